"""Sizes and speed of web packages: the table of docs/benchmarks.md.

    python scripts/web_speed.py [MODEL.ONNX ...]

Without models, one of each family of cells with 64 units, 6 inputs and random weights. Steps per
second are of raw samples through model.js in Node.js, and of integers through a module in wasmtime:
the best of some runs. Instructions are those of WebAssembly per step, counted by wasmtime: they do
not depend on the machine.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import wasmtime

import edgeflow
from edgeflow.bench.cells import CELLS, random_cell
from edgeflow.program import Program

INPUTS, HIDDEN = 6, 64
RUNS, STEPS = 300, 250  # short ones, so that some have the processor for themselves
FUEL = 1 << 60  # of wasmtime, more than any run takes: one per instruction
#: The second argument is false for the module without SIMD128.
IN_NODE = """
const { load } = await import(process.argv[1]);
const model = await load({ simd: process.argv[2] === "true" });
const [runs, steps] = process.argv.slice(3).map(Number);
const samples = Array.from({ length: 256 }, (_, t) =>
  Float32Array.from({ length: model.info.inputs }, (_, i) => Math.sin(t / 9 + i)));
let best = Infinity;
for (let run = 0; run < runs; run++) {
  const start = performance.now();
  for (let t = 0; t < steps; t++) model.step(samples[t % 256]);
  best = Math.min(best, performance.now() - start);
}
console.log((1000 * steps) / best);
"""
MODULES = {"model.wasm": "true", "model-plain.wasm": "false"}


def in_node(package: Path, simd: str) -> float:
    """Return steps per second."""
    command = ["node", "--input-type=module", "-e", IN_NODE, str(package / "model.js"), simd]
    done = subprocess.run(
        [*command, str(RUNS), str(STEPS)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


#: Calls a step over and over: a call from Python takes longer than a step does.
LOOP = """(module (import "" "step" (func $step)) (func (export "run") (param $left i32)
  (loop $again (call $step)
    (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"""


def in_wasmtime(file: Path, counted: bool) -> float:
    """Return steps per second; if `counted`, instructions per step on average instead."""
    config = wasmtime.Config()
    config.consume_fuel = counted
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    if counted:
        store.set_fuel(FUEL)
    module = wasmtime.Module.from_file(engine, str(file))
    exports = wasmtime.Instance(store, module, []).exports(store)
    loop = wasmtime.Module(engine, wasmtime.wat2wasm(LOOP))
    run = wasmtime.Instance(store, loop, [exports["step"]]).exports(store)["run"]
    exports["reset"](store)
    if counted:
        before = store.get_fuel()
        run(store, STEPS)
        return (before - store.get_fuel()) / STEPS
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        run(store, STEPS)
        best = min(best, time.perf_counter() - start)
    return STEPS / best


def row(name: str, program: Program) -> str:
    """Return a line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "web"
        edgeflow.export(program, "web", package, name="model")
        weights = described(package / "model.wasm")
        cells = [name, f"{weights:,}"]
        sizes = [(package / file).stat().st_size for file in MODULES]
        cells += [f"{size:,}" for size in sizes] + [f"{max(sizes) - weights:,}"]
        cells += [f"{in_wasmtime(package / file, True):,.0f}" for file in MODULES]
        cells += [rounded(in_node(package, simd)) for simd in MODULES.values()]
        cells += [rounded(in_wasmtime(package / file, False)) for file in MODULES]
    return f"| {' | '.join(cells)} |"


def described(file: Path) -> int:
    """Return the bytes of weights that a module tells."""
    text = file.read_bytes().rpartition(b'"weightBytes":')[2]
    return int(text.partition(b",")[0])


def rounded(speed: float) -> str:
    """Return two digits of steps per second: more would be the machine's mood."""
    return f"{float(f'{speed:.2g}'):,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.ONNX")
    models = parser.parse_args().models
    programs = [(path.stem, Program.load(path)) for path in models] or [
        (f"{cell}-{HIDDEN}", random_cell(cell, INPUTS, HIDDEN)) for cell in CELLS
    ]
    for name, program in programs:
        print(row(name, program), flush=True)


if __name__ == "__main__":
    main()

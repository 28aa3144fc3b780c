"""Compare the exact host simulator with onnxruntime in float and with numpy, on one core.

    OMP_NUM_THREADS=1 python scripts/simulator_speed.py

A GRU-64 with a head reads WISDM's test windows: integers of its program by compiled C, with all
vectors of this machine and with those of AVX2 alone, and by numpy; float32 of the same weights by
onnxruntime. Ways take turns, and the fastest round of each counts, in CPU time. All outputs of the
program are compared between C and numpy. The weights are random, as no time depends on them.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import edgeflow as ef
from edgeflow.program.lanes import library
from edgeflow.program.lanes.simulator import VARIABLE, simulator_of


class Net(torch.nn.Module):
    """A GRU and a head over its outputs."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.cell = torch.nn.GRU(inputs, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x)[0])


def session(net: Net, x: np.ndarray) -> onnxruntime.InferenceSession:
    """Return a session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        torch.onnx.export(
            net, (torch.from_numpy(x[:2]),), path, dynamo=False, input_names=["x"],
            output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip
        return onnxruntime.InferenceSession(path.read_bytes(), options)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="wisdm-watch-hand")
    parser.add_argument("--root", help="folder of the data set")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--windows", type=int, default=4096, help="at most so many")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    windows = ef.load_dataset(options.data, root=options.root).windows("test").x[: options.windows]
    net = Net(windows.shape[2], options.hidden, 6).eval()
    program = ef.compress(net, windows[:256])
    x = program.quantize_input(windows)
    normal = ((windows - windows.mean((0, 1))) / windows.std((0, 1))).astype(np.float32)
    float_model = session(net, normal)

    def by(choice: str, flags: tuple[str, ...]) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            os.environ[VARIABLE], library.FLAGS = choice, flags
            return program.run(x)

        return run

    flags = library.FLAGS
    ways: dict[str, Callable[[], np.ndarray]] = {
        "numpy": by("numpy", flags),
        "C, AVX2": by("lanes", (*flags, "-mno-avx512f", "-mno-avxvnni")),
        "C, native": by("lanes", flags),
        "onnxruntime float": lambda: float_model.run(None, {"x": normal})[0],
    }
    if platform.machine() != "x86_64":
        del ways["C, AVX2"]
    found = simulator_of(program)
    assert not isinstance(found, str), found
    library.path_of(found.source.text).unlink(missing_ok=True)
    start = time.perf_counter()
    library.build(found.source.text)
    build = time.perf_counter() - start
    outputs = {name: run() for name, run in ways.items()}
    mismatches = {
        name: int((y != outputs["numpy"]).sum()) for name, y in outputs.items() if name[0] == "C"
    }
    best = dict.fromkeys(ways, np.inf)
    for number in range(options.rounds):
        for name, run in ways.items():
            if name == "numpy" and number:
                continue
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    steps = x.shape[0] * x.shape[1]
    rows = {name: 1e6 * seconds / steps for name, seconds in best.items()}
    if options.json:
        print(json.dumps({"us_per_step": rows, "build_s": build, "mismatches": mismatches}))
        return
    print(f"{x.shape[0]} windows of {x.shape[1]} steps; build {build:.1f} s")
    for name, value in rows.items():
        speed = f"{rows['onnxruntime float'] / value:.2f} x onnxruntime float"
        print(f"{name:18} {value:7.3f} us a step, {speed}, {rows['numpy'] / value:.1f} x numpy")
    print("mismatches:", mismatches)


if __name__ == "__main__":
    main()

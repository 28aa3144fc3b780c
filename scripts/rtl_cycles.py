"""Measures models on the RTL of a core, and the error of the cycle model on the same images.

    python scripts/rtl_cycles.py [--board rtl-ibex ...] [--model gru-32 ...] [--steps 300]

Each model is trained for an epoch on seglearn-watch, which gives weights and activations like those
of a trained one, and runs on windows of test subjects. Its image runs twice, on the RTL, whose
cycle counter counts, and on the emulated board with the same core and memories, where instructions
are counted. With all models and steps it writes the comparisons into the model's file
(``calibration/costs/cycles``); ``scripts/docs_tables.py`` makes tables of them.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.build import Build, compile_program
from edgeflow.data import Dataset, choose_sequences, load_dataset
from edgeflow.device import open_board
from edgeflow.errors import EdgeFlowError
from edgeflow.files import write_atomic
from edgeflow.profiling.counts import Counts, read_counts
from edgeflow.profiling.models import estimate_cycles, load_cycle_model
from edgeflow.profiling.trace import prepare_trace
from edgeflow.program import Program
from edgeflow.recipes.apply import compress_by_recipe
from edgeflow.recipes.recipe import make_recipe
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, list_boards, load_board
from edgeflow.targets.elf import compiler_of
from edgeflow.training import train

DATA, HIDDEN, STEPS = "seglearn-watch", 32, 300
BOARDS = ("rtl-ibex", "rtl-ibex-zbb")
#: Cell, options of its compression and goal of its image, by name.
MODELS: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "gru-32": ("gru", {}, "balanced"),
    "lstm-32": ("lstm", {}, "balanced"),
    "lmu-32": ("lmu", {}, "balanced"),
    "cfc-32": ("cfc", {}, "balanced"),
    "lif-32": ("lif", {}, "balanced"),
    "gru-32 delta": ("gru", {"delta": {"state": 0.7, "input": 0.3}}, "balanced"),
    "gru-32 blocks": ("gru", {"prune": "recurrent=0.75", "block": "8x1", "epochs": 1}, "balanced"),
    # else the weights would be stored as bytes
    "gru-32 int4": ("gru", {"weights": "int4", "epochs": 1}, "size"),
}
_HEAD = "# Written by scripts/rtl_cycles.py.\n"


class Row(NamedTuple):
    """What a model's steps took: on the RTL, and by the cycle model."""

    model: str
    steps: int
    mismatches: int
    instructions: float
    measured: NDArray[np.int64]  # [steps]
    estimated: NDArray[np.float64]  # [steps]

    @property
    def error_percent(self) -> float:
        """Of the mean."""
        return float(100 * (self.estimated.mean() / self.measured.mean() - 1))


def twin(board: BoardSpec) -> BoardSpec:
    """Return the emulated board that runs the images of an RTL board."""
    return next(
        other
        for other in list_boards()
        if other.emulated and other.core == board.core and other.memory == board.memory
    )


def program_of(name: str, data: Dataset, folder: Path) -> Program:
    """Train and compress a model of `MODELS`; a cell that is in the folder is not trained again."""
    cell, options, _ = MODELS[name]
    model = folder / cell
    if not model.is_dir():
        train(data, cell, out=model, hidden=HIDDEN, epochs=1, batch=256)
    out = folder / f"{name.replace(' ', '-')}.onnx"
    return compress_by_recipe(model, data, make_recipe({}, options), out).compressed.program


def measure(
    name: str, program: Program, board: BoardSpec, data: Dataset, steps: int, folder: Path
) -> Row:
    """Run a program's image on a board's RTL and on its twin, over test windows."""
    build = compile_program(program, board, folder, optimize=MODELS[name][2])
    sequences = choose_sequences(program, data, "test", steps)
    x = [program.quantize_input(one) for one in sequences.x]
    counts, twins = count(build, twin(board), program, x, folder)
    with open_board(board, image=build.elf) as device, device.connect(program.hash) as client:
        results = [client.steps(one, reset=True) for one in x]
    cycles = np.concatenate([result.cycles for result in results if result.cycles is not None])
    model = load_cycle_model(board.core.name)
    estimated = None if model is None else estimate_cycles(counts, model, None)
    if estimated is None:
        raise EdgeFlowError(f"{board.name}: no cycle model for these instructions")
    expected = [program.run(one[None])[0] for one in x]
    wrong = sum(
        int((found != right).any(axis=1).sum())
        for y in ([result.y for result in results], twins)
        for found, right in zip(y, expected, strict=True)
    )
    return Row(
        name, len(cycles), wrong, float(counts.instructions.mean()),
        cycles.astype(np.int64), estimated.sum(axis=1),
    )  # fmt: skip


def count(
    build: Build, board: BoardSpec, program: Program, x: Sequence[NDArray[np.int16]], folder: Path
) -> tuple[Counts, list[NDArray[np.int16]]]:
    """Return the instructions of an image on an emulated board, and its outputs."""
    assert board.emulator is not None
    trace = prepare_trace(build.elf, folder, qemu=board.emulator)
    with (
        open_board(board, image=build.elf, plugin=trace.plugin) as device,
        device.connect(program.hash) as client,
    ):
        y = [client.steps(one, reset=True).y for one in x]
    return read_counts(trace.out), y


def write(board: BoardSpec, rows: Sequence[Row], compiler: str) -> Path:
    """Put the comparisons at the end of the model's file, instead of those that are there."""
    path = resource("calibration") / "costs" / "cycles" / f"{board.core.name}.toml"
    text = path.read_text(encoding="utf-8").partition(_HEAD)[0].rstrip() + f"\n\n{_HEAD}"
    for row in rows:
        text += (
            "\n[[validation]]\n"
            f'workload = "{row.model}"\n'
            'unit = "cycles/step"\n'
            f"published = {row.measured.mean():.2f}\n"
            f"estimated = {row.estimated.mean():.2f}\n"
            f'conditions = "{row.steps} steps of {DATA}, {row.instructions:.0f} instructions, '
            f'{row.mismatches} mismatches, {compiler}"\n'
            f'source = "measured: {board.runner.rtl_label}"\n'
        )
    write_atomic(path, text)
    return path


def main() -> None:
    """Print a table for each board."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--board", nargs="+", default=BOARDS, choices=BOARDS)
    parser.add_argument("--model", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--trained", type=Path, help="folder that keeps the trained models")
    args = parser.parse_args()
    try:
        data = load_dataset(DATA)
        with tempfile.TemporaryDirectory() as folder:
            kept = args.trained or Path(folder)
            programs = {name: program_of(name, data, kept) for name in args.model}
            for board in map(load_board, args.board):
                print(f"\n| {board.name} | instructions | RTL | estimate | error | mismatches |")
                print("|---|---|---|---|---|---|")
                rows = []
                for name, program in programs.items():
                    row = measure(name, program, board, data, args.steps, Path(folder) / "build")
                    print(
                        f"| {name} | {row.instructions:,.0f} | {row.measured.mean():,.0f} | "
                        f"{row.estimated.mean():,.0f} | {row.error_percent:+.2f} % | "
                        f"{row.mismatches} |",
                        flush=True,
                    )
                    rows.append(row)
                if args.model == list(MODELS) and args.steps == STEPS:
                    objects = Path(folder) / "build" / "objects" / "model"
                    compiler = compiler_of(sorted(objects.glob("*.o"))[0])
                    print(f"written: {write(board, rows, compiler).name}", file=sys.stderr)
    except EdgeFlowError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

"""Counts instructions of kernels, shapes and cells on every emulated board: instructions.json.

    python scripts/instruction_counts.py [--board qemu-m4 ...]

writes ``benchmarks/instructions.json``, which ``tests/boards/test_instruction_counts.py`` compares
new code with, draws ``docs/kernels-by-shape.svg`` and prints its figures as tables.
``--board`` refreshes some boards only, ``--plot`` draws what is there. ``scripts/docs_tables.py``
writes what is stored into docs/benchmarks.md.
"""

import argparse
import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.cells import CELLS, random_cell, random_walks
from edgeflow.bench.fit import case_of, fitting_case, tool_versions
from edgeflow.bench.kernels import FORMATS, bench_inputs, bench_matrix, runnable
from edgeflow.bench.measure import measure_layers
from edgeflow.codegen.sparse import DENSITY
from edgeflow.files import write_atomic
from edgeflow.program.nodes import Linear, Node
from edgeflow.targets.board import BoardSpec, list_boards, load_board

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "benchmarks" / "instructions.json"
PLOT = ROOT / "docs" / "kernels-by-shape.svg"
#: Columns x rows that every kernel is counted with.
SHAPES = ((64, 192), (37, 45), (6, 192))
#: Share of columns updated, with delta kernels.
FIRED = 0.2
#: Columns of matrices with three times as many rows, as a GRU has, each with the kernel chosen.
COLS = (4, 6, 8, 12, 16, 20, 24, 31, 32, 37, 48, 61, 64, 80, 96, 100, 113, 128)
#: Units and inputs of the cells.
HIDDEN, INPUTS = 32, 6
STEPS = 20
#: One of each kind of core, for the plot.
DRAWN = ("qemu-m0", "qemu-m3", "qemu-rv32", "qemu-a53", "qemu-a55", "qemu-m4", "qemu-m55")


@lru_cache
def cell_layers() -> dict[str, list[tuple[Node, NDArray[np.int16]]]]:
    """Return the layers of each cell, by name, with what each reads."""
    layers: dict[str, list[tuple[Node, NDArray[np.int16]]]] = {}
    for cell in CELLS:
        program = random_cell(cell, INPUTS, HIDDEN)
        x = program.quantize_input(random_walks(INPUTS, 1, STEPS, seed=1)[0])
        for number, node in enumerate(program.nodes[:-1]):
            before = (
                replace(program, nodes=program.nodes[:number], classes=()).run(x[None])[0]
                if number
                else x
            )
            layers.setdefault(f"{cell}-{HIDDEN}", []).append((node, before))
    return layers


def count(board: BoardSpec) -> dict[str, float]:
    """Return mean instructions by case: ``kernel 64x192``, ``product 64x192``, ``gru-32``."""
    layers: list[tuple[Node, NDArray[np.int16]]] = []
    cases: list[tuple[str, str | None]] = []
    for kernel in runnable(board):
        for cols, rows in SHAPES:
            if kernel.delta:
                matrix, x, _ = case_of(kernel, rows, cols, FIRED, DENSITY)
                layers.append((Linear("layer", matrix), x))
                cases.append((f"{kernel.name} {cols}x{rows}, {FIRED:.0%} fire", kernel.name))
                continue
            case = fitting_case(kernel, rows, cols)
            if case is not None:
                layers.append((Linear("layer", case[0]), case[1]))
                cases.append((f"{kernel.name} {cols}x{rows}", kernel.name))
    for cols in COLS:
        matrix = bench_matrix(3 * cols, cols, FORMATS["w8a12"])
        layers.append((Linear("layer", matrix), bench_inputs(matrix, STEPS)))
        cases.append((f"product {cols}x{3 * cols}", None))
    for name, parts in cell_layers().items():
        layers += parts
        cases += [(name, None)] * len(parts)
    counts = measure_layers(layers, board, [kernel for _, kernel in cases])
    total: dict[str, float] = {}
    for (name, _), c in zip(cases, counts, strict=True):
        total[name] = total.get(name, 0) + c
    return {name: round(c, 2) for name, c in total.items()}


def read() -> dict[str, Any]:
    """Return what is stored, by board: versions of the tools, and counts by case."""
    return json.loads(DATA.read_text()) if DATA.is_file() else {}


def draw(stored: dict[str, Any]) -> None:
    """Draw instructions per multiply-accumulate against the columns, a line per core."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "edgeflow"  # the same file from the same numbers
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for board in [name for name in DRAWN if name in stored]:
        counts = stored[board]["instructions"]
        per_mac = [counts[f"product {c}x{3 * c}"] / (3 * c * c) for c in COLS]
        axis.plot(COLS, per_mac, ".-", label=stored[board]["core"])
    axis.set(
        xscale="log", yscale="log", xlabel="columns (three times as many rows)",
        ylabel="instructions per multiply-accumulate",
    )  # fmt: skip
    ticks = [4, 8, 16, 32, 64, 128]
    axis.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axis.set_xticks([], minor=True)
    values = [0.25, 0.5, 1, 2, 4, 8]
    axis.set_yticks(values, [str(value) for value in values])
    axis.set_yticks([], minor=True)
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(PLOT, metadata={"Date": None})


def products_table(stored: dict[str, Any]) -> str:
    """Return what is drawn as a table: a column per core."""
    boards = [name for name in DRAWN if name in stored]
    lines = [_head("columns x rows", stored, boards)]
    for c in COLS:
        counts = (stored[name]["instructions"][f"product {c}x{3 * c}"] for name in boards)
        values = (f"{count / (3 * c * c):.2f}" for count in counts)
        lines.append(f"| {c} x {3 * c} | {' | '.join(values)} |")
    return "\n".join(lines)


def cells_table(stored: dict[str, Any]) -> str:
    """Return instructions per step of the cells: a column per core."""
    boards = [name for name in DRAWN if name in stored]
    lines = [_head("instructions per step", stored, boards)]
    for cell in CELLS:
        counts = (stored[name]["instructions"].get(f"{cell}-{HIDDEN}") for name in boards)
        values = (f"{count:,.0f}" if count else "not counted" for count in counts)
        lines.append(f"| {cell}-{HIDDEN} | {' | '.join(values)} |")
    return "\n".join(lines)


def _head(first: str, stored: dict[str, Any], boards: list[str]) -> str:
    cores = " | ".join(stored[name]["core"] for name in boards)
    return f"| {first} | {cores} |\n" + "| --- " * (len(boards) + 1) + "|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help="only this one; may be repeated")
    parser.add_argument("--plot", action="store_true", help="draw what was counted before")
    arguments = parser.parse_args()
    stored = read()
    boards = [b for b in list_boards() if b.emulated]
    if arguments.board:
        boards = [load_board(name) for name in arguments.board]
    for board in [] if arguments.plot else boards:
        versions = tool_versions(board)
        stored[board.name] = {"core": board.core.name, **versions, "instructions": count(board)}
        print(board.name, flush=True)
        write_atomic(DATA, json.dumps(stored, indent=1) + "\n")
    draw(stored)
    print(products_table(stored), cells_table(stored), sep="\n\n")


if __name__ == "__main__":
    main()

"""Cost of every matvec kernel of a core by shape, fitted to counts: ``calibration/kernels``."""

import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.fit_delta import fit_delta_kernels
from edgeflow.bench.kernels import FORMATS, bench_inputs, bench_matrix, runnable
from edgeflow.bench.measure import measure_layers
from edgeflow.codegen.backends import OURS, owner
from edgeflow.codegen.costs import MAX_BLOCK, KernelCost, KernelCosts, column_blocks
from edgeflow.codegen.delta import break_evens
from edgeflow.codegen.kernels import MatvecKernel, kernel_named
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.codegen.sparse import break_even
from edgeflow.files import write_atomic
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Linear
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.tools import find_tool

#: Multiples of the blocks that kernels step through, and what lies between.
COLS = (3, 6, 8, 10, 12, 16, 20, 24, 27, 31, 32, 37, 48, 64, 80, 96, 113, 128)
ROWS = (3, 8, 10, 16, 21, 32, 48, 64, 96, 192)
#: What rarely sees a spike costs least: a formula without that case holds from here on.
FEWEST_SPIKING_COLS = 8
#: Of twenty values of an input of spikes, those that are not zero.
SPIKES = 4
STEPS = 20
#: Shares of blocks that are not zero, by turns, with block-sparse kernels.
DENSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
#: What half a block of columns may count as.
HALVES = (1.0, 0.75)
#: Errors are relative to a count, or to this if it is less: a few instructions do not matter.
SMALL = 400.0


def fit_kernels(board: BoardSpec) -> KernelCosts:
    """Measure all kernels that an emulated board can run, and fit a formula to each.

    Raises
    ------
    TargetError
        If the board is not emulated.
    ToolMissingError
        If compiler or emulator is not installed.
    """
    layers: list[tuple[Linear, NDArray[np.int16]]] = []
    names: list[str] = []
    for kernel in [k for k in runnable(board) if owner(k) is OURS]:
        for cols, rows in product(COLS, ROWS):
            case = fitting_case(kernel, rows, cols)
            if case is not None:
                layers.append((Linear("layer", case[0]), case[1]))
                names.append(kernel.name)
    counts = measure_layers(layers, board, names)
    measured: dict[str, list[tuple[Matrix, float]]] = {name: [] for name in names}
    for name, (node, _), count in zip(names, layers, counts, strict=True):
        measured[name].append((node.matrix, count))
    kernels = {name: _fit_kernel(kernel_named(name), points) for name, points in measured.items()}
    kernels |= fit_delta_kernels(board)
    return KernelCosts(
        core=board.core.name,
        board=board.name,
        **tool_versions(board),
        spike_rate=SPIKES / STEPS,
        kernels=kernels,
        break_even=break_even(kernels),
        delta_break_even=break_evens(kernels),
    )


def _fit_kernel(kernel: MatvecKernel, points: Sequence[tuple[Matrix, float]]) -> KernelCost:
    form = kernel.sparse
    if form is None:
        return fit([(matrix.rows, matrix.cols, count) for matrix, count in points])
    return fit_sparse([(m.rows, form.items(m), count) for m, count in points], form)


def fitting_case(
    kernel: MatvecKernel, rows: int, cols: int
) -> tuple[Matrix, NDArray[np.int16]] | None:
    """Return a matrix that the kernel takes, and its input; None if there is none."""
    # what has fewest bits is exact with most kernels, and costs the same
    density, block = 1.0, (1, 1)
    if kernel.sparse is not None:
        density = DENSITIES[(rows + cols) % len(DENSITIES)]
        block = kernel.sparse.rows, kernel.sparse.cols
    matrix = bench_matrix(rows, cols, FORMATS["w4a8"], density=density, block=block)
    if kernel.is_exact_for(matrix):
        return matrix, bench_inputs(matrix, STEPS)
    matrix = bench_matrix(rows, cols, FORMATS["w8a2"])
    if kernel.is_exact_for(matrix) and cols >= FEWEST_SPIKING_COLS:
        return matrix, spikes(cols)
    return None


def spikes(cols: int) -> NDArray[np.int16]:
    """Return int16 [STEPS, cols] with `SPIKES` ones in each column."""
    column = (np.arange(STEPS) < SPIKES).astype(np.int16)
    return np.random.default_rng(cols).permuted(np.repeat(column[:, None], cols, 1), axis=0)


def fit(points: Sequence[tuple[int, int, float]]) -> KernelCost:
    """Fit the formula of `KernelCost` to (rows, columns, instructions).

    Least squares of relative errors for each size of blocks, with half a block of columns as one or
    as less; what has the least is taken.
    """
    rows, cols, count = np.array(points, np.float64).T
    weight = np.maximum(count, SMALL)
    sizes = [1 << i for i in range(MAX_BLOCK.bit_length())]
    best: tuple[float, KernelCost] | None = None
    for half, height, width in product(HALVES, sizes, sizes):
        R, C = np.ceil(rows / height), np.array([column_blocks(c, width, half) for c in cols])
        terms = np.stack([np.ones_like(R), rows, R, C, R * C], axis=1)
        solution = np.linalg.lstsq(terms / weight[:, None], count / weight, rcond=None)[0]
        rounded = np.array([round(float(value), 3) for value in solution])
        error = (terms @ rounded - count) / weight
        mean = float(np.square(error).mean())
        if best is None or mean < best[0]:
            worst = round(100 * float(np.abs(error).max()), 1)
            cost = KernelCost(
                block=(height, width),
                base=float(rounded[0]),
                per_row=float(rounded[1]),
                per_row_block=float(rounded[2]),
                per_column_block=float(rounded[3]),
                per_block=float(rounded[4]),
                half=half,
                error_percent=worst,
            )
            best = mean, cost
    assert best is not None
    return best[1]


def fit_sparse(points: Sequence[tuple[int, int, float]], form: BlockFormat) -> KernelCost:
    """Fit the formula of `KernelCost` to (rows, items stored, instructions)."""
    rows, items, count = np.array(points, np.float64).T
    weight = np.maximum(count, SMALL)
    # a row as a block would count twice
    blocks = np.ceil(rows / form.rows) if form.rows > 1 else np.zeros_like(rows)
    terms = np.stack([np.ones_like(rows), rows, blocks, items], axis=1)
    solution = np.linalg.lstsq(terms / weight[:, None], count / weight, rcond=None)[0]
    rounded = np.array([round(float(value), 3) for value in solution])
    error = np.abs(terms @ rounded - count) / weight
    return KernelCost(
        block=(form.rows, form.cols),
        base=float(rounded[0]),
        per_row=float(rounded[1]),
        per_row_block=float(rounded[2]),
        per_column_block=0.0,
        per_block=float(rounded[3]),
        error_percent=round(100 * float(error.max()), 1),
    )


def tool_versions(board: BoardSpec) -> dict[str, str]:
    """Return the first line that compiler and emulator print about their versions."""
    names = {"compiler": board.core.compiler, "emulator": board.emulator or ""}
    return {kind: _version(name) for kind, name in names.items()}


def _version(tool: str) -> str:
    command = [find_tool(tool), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0]


def write_costs(costs: KernelCosts, path: Path) -> None:
    """Write a file that `edgeflow.codegen.costs.read_costs` reads."""
    lines = [
        "# Instructions of a call of each matvec kernel: see edgeflow/codegen/costs.py. Made by",
        f"#   edgeflow bench kernels --board {costs.board} --fit {path.name}",
        f'core = "{costs.core}"',
        f'board = "{costs.board}"',
        f'compiler = "{costs.compiler}"',
        f'emulator = "{costs.emulator}"',
        f"spike_rate = {costs.spike_rate}",
    ]
    for name, cost in costs.kernels.items():
        lines += [
            "",
            f"[kernels.{name}]",
            f"block = [{cost.block[0]}, {cost.block[1]}]",
            f"base = {cost.base:g}",
            f"per_row = {cost.per_row:g}",
            f"per_row_block = {cost.per_row_block:g}",
            f"per_column_block = {cost.per_column_block:g}",
            f"per_block = {cost.per_block:g}",
            *([f"per_fired = {cost.per_fired:g}"] if cost.per_fired else []),
            *([f"half = {cost.half:g}"] if cost.half < 1 else []),
            f"error_percent = {cost.error_percent:g}",
        ]
    if costs.break_even:
        lines += ["", "# share of blocks up to which block-sparse kernels cost less than dense"]
        lines += ["[break_even]", *(f"{k} = {share:g}" for k, share in costs.break_even.items())]
    if costs.delta_break_even:
        lines += ["", "# share of columns that fire up to which delta kernels cost less than dense"]
        shares = costs.delta_break_even.items()
        lines += ["[delta_break_even]", *(f"{k} = {share:g}" for k, share in shares)]
    write_atomic(path, "\n".join(lines) + "\n")

"""Costs of matvec kernels by shape, fitted to counts: ``calibration/costs/kernels``."""

import dataclasses
import subprocess
from collections.abc import Iterable, Sequence
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.bench.kernels import FORMATS, bench_inputs, bench_matrix, runnable
from edgeflow.bench.measure import measure_cycles
from edgeflow.calibration import write_data
from edgeflow.codegen.backends import OURS, owner
from edgeflow.codegen.costs import MAX_BLOCK, Formula, KernelCost, KernelCosts, column_blocks
from edgeflow.codegen.delta import HOLD, break_evens
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.codegen.sparse import break_even
from edgeflow.errors import TargetError
from edgeflow.profiling.models import load_cycle_model
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Linear
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.tools import find_tool

#: Multiples of the blocks that kernels step through, and what lies between.
COLS = (3, 6, 8, 10, 12, 16, 20, 24, 27, 31, 32, 37, 48, 64, 80, 96, 113, 128)
ROWS = (3, 8, 10, 16, 21, 32, 48, 64, 96, 192)
#: Multiples of the blocks of delta kernels, and what lies between.
DELTA_COLS = (3, 6, 8, 16, 31, 64, 100)
DELTA_ROWS = (3, 10, 16, 32, 64, 96, 192)
#: Shares of the columns that are updated per step, by turns.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
#: Columns that are updated move by at least this, in units of x.
THRESHOLD = 8
#: The dense kernel, of any core, that `HOLD` is measured with, and its rows.
DENSE, FEW_ROWS = "ef_matvec_s8_s16", 3
#: What rarely sees a spike costs least: a formula without that case holds from here on.
FEWEST_SPIKING_COLS = 8
#: Of twenty values of an input of spikes, those that are not zero.
SPIKES = 4
STEPS = 20
#: Shares of blocks that are not zero, by turns, with block-sparse kernels; with delta ones.
DENSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
DELTA_DENSITIES = (0.1, 0.2, 0.3, 0.5, 1.0)
#: Sizes of blocks, and what half a block of columns may count as.
SIZES = tuple(1 << i for i in range(MAX_BLOCK.bit_length()))
HALVES = (1.0, 0.75)
#: Errors are relative to a count, or to this if it is less: a few instructions do not matter.
SMALL = 400.0
#: Factors of `KernelCost`, in the order of its formula.
TERMS = ("base", "per_row", "per_row_block", "per_column_block", "per_block", "per_fired")

#: A matrix, its input [STEPS, cols], and how many columns are updated per step on average.
Case = tuple[Matrix, NDArray[np.int16], float]


def fit_kernels(board: BoardSpec) -> KernelCosts:
    """Measure all kernels that an emulated board can run, and fit a formula to each.

    Raises
    ------
    TargetError
        If the board is not emulated.
    ToolMissingError
        If compiler or emulator is not installed.
    """
    cases = {kernel: _cases(kernel) for kernel in runnable(board) if owner(kernel) is OURS}
    layers = [(Linear("layer", matrix), x) for some in cases.values() for matrix, x, _ in some]
    names = [kernel.name for kernel, some in cases.items() for _ in some]
    measured = iter(_measure(layers, board, names))
    kernels = {}
    for kernel, some in cases.items():
        if some:
            instructions, cycles = zip(*(next(measured) for _ in some), strict=True)
            kernels[kernel.name] = _with_cycles(
                _fit_kernel(kernel, some, instructions),
                None if cycles[0] is None else _fit_kernel(kernel, some, cycles),
            )
    kernels[HOLD] = _fit_hold(board)
    return KernelCosts(
        core=board.core.name,
        board=board.name,
        **tool_versions(board),
        spike_rate=SPIKES / STEPS,
        kernels=kernels,
        break_even=break_even(kernels),
        delta_break_even=break_evens(kernels),
    )


def _measure(
    layers: Sequence[tuple[Linear, NDArray[np.int16]]], board: BoardSpec, names: Sequence[str]
) -> Sequence[tuple[float, float | None]]:
    """Return instructions of each layer, and cycles where the core has a model.

    Raises
    ------
    TargetError
        Also if the model has no cost for a class of instructions that occurs.
    """
    counts, cycles = measure_cycles(layers, board, names)
    if cycles is not None:
        return list(zip(counts, cycles, strict=True))
    if load_cycle_model(board.core.name) is not None:
        raise TargetError(f"{board.core.name}: no cycles of some of the kernels' instructions")
    return [(count, None) for count in counts]


def _with_cycles(cost: KernelCost, cycles: KernelCost | None) -> KernelCost:
    """Return a formula of instructions that also has the one of cycles."""
    if cycles is None:
        return cost
    return cost.model_copy(update={"cycles": Formula(**cycles.model_dump(exclude={"cycles"}))})


def _cases(kernel: MatvecKernel) -> list[Case]:
    if kernel.delta:
        turns = zip(product(DELTA_ROWS, DELTA_COLS), cycle(SHARES), cycle(DELTA_DENSITIES))
        return [case_of(kernel, *shape, share, density) for shape, share, density in turns]
    cases = (fitting_case(kernel, rows, cols) for cols, rows in product(COLS, ROWS))
    return [(*case, 0.0) for case in cases if case is not None]


def _fit_kernel(kernel: MatvecKernel, cases: Sequence[Case], counts: Sequence[float]) -> KernelCost:
    form = kernel.sparse
    rows, cols, items, updated = np.array(
        [(m.rows, m.cols, form.items(m) if form else 0, updated) for m, _, updated in cases]
    ).T
    count = np.array(counts)
    if kernel.delta:
        return fit_delta(rows, cols, updated, count, items if form else None)
    return fit_sparse(rows, items, count, form) if form else fit(rows, cols, count)


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


def delta_case(
    rows: int,
    cols: int,
    share: float,
    group: int,
    density: float = 1.0,
    block: tuple[int, int] = (1, 1),
) -> Case:
    """Return a delta matrix, and an input of which about this share is updated.

    Any of the groups move in each step, the others stand still. Of the blocks of the matrix a share
    of `density` is not zero.
    """
    matrix = bench_matrix(rows, cols, FORMATS["w4a8"], density=density, block=block)
    matrix = dataclasses.replace(matrix, threshold=THRESHOLD, group=group)
    rng = np.random.default_rng([rows, cols, group])
    groups = -(-cols // group)
    x = np.zeros((STEPS + 1, cols), np.int64)
    for t in range(STEPS):
        # shares of a column are made up for by others in later steps
        count = round(share * groups * (t + 1)) - round(share * groups * t)
        moves = np.repeat(rng.permutation(groups) < count, group)[:cols]
        x[t + 1] = np.where(moves, np.where(x[t] > 0, -1, 1) * rng.integers(40, 120, cols), x[t])
    return matrix, x[1:].astype(np.int16), float((x[1:] != x[:-1]).sum()) / STEPS


def case_of(kernel: MatvecKernel, rows: int, cols: int, share: float, density: float) -> Case:
    """Return a `delta_case` that a kernel takes; `density` is for block-sparse ones."""
    group = next(g for g in (1, 2) if kernel.is_exact_for(delta_case(8, 8, 0.5, g)[0]))
    form = kernel.sparse
    if form is None:
        return delta_case(rows, cols, share, group)
    return delta_case(rows, cols, share, group, density, (form.rows, form.cols))


def _fit_hold(board: BoardSpec) -> KernelCost:
    """Fit what a product of x_hat takes more than one of x."""
    cols = DELTA_COLS + DELTA_COLS
    cases = [delta_case(FEW_ROWS, c, share, 1) for c, share in zip(cols, cycle(SHARES))]
    layers = []
    for matrix, x, _ in cases:
        dense = dataclasses.replace(matrix, threshold=0)
        layers += [(Linear("layer", matrix), x), (Linear("layer", dense), x)]
    updated = [updated for *_, updated in cases]
    instructions, cycles = zip(*_measure(layers, board, [DENSE] * len(layers)), strict=True)

    def of(counts: Sequence[float]) -> KernelCost:
        more = np.array(counts[::2]) - np.array(counts[1::2])
        return fit_delta(np.zeros(len(cols)), cols, updated, more)

    return _with_cycles(of(instructions), None if cycles[0] is None else of(cycles))


def fit(rows: ArrayLike, cols: ArrayLike, count: ArrayLike) -> KernelCost:
    """Fit the formula to the instructions of dense kernels.

    For each size of blocks, with half a block of columns as one or as less; what has the least
    error is taken.
    """
    rows, cols = np.asarray(rows), np.asarray(cols)
    trials = []
    for half, height, width in product(HALVES, SIZES, SIZES):
        R, C = np.ceil(rows / height), np.array([column_blocks(c, width, half) for c in cols])
        trials.append(({"block": (height, width), "half": half}, (rows, R, C, R * C)))
    return _least_squares(count, trials)


def fit_sparse(
    rows: ArrayLike, items: ArrayLike, count: ArrayLike, form: BlockFormat
) -> KernelCost:
    """Fit the formula to the instructions by rows and items stored."""
    rows = np.asarray(rows)
    none = np.zeros(len(rows))
    # a row as a block would count twice
    R = np.ceil(rows / form.rows) if form.rows > 1 else none
    return _least_squares(count, [({"block": (form.rows, form.cols)}, (rows, R, none, items))])


def fit_delta(
    rows: ArrayLike,
    cols: ArrayLike,
    updated: ArrayLike,
    count: ArrayLike,
    items: ArrayLike | None = None,
) -> KernelCost:
    """Fit the formula to the instructions by columns updated.

    `items` are those that a block-sparse kernel stores. For each size of blocks of rows; what has
    the least error is taken.
    """
    rows, cols, updated = np.asarray(rows), np.asarray(cols), np.asarray(updated)
    trials = []
    for height in SIZES:
        R = np.ceil(rows / height)
        blocks = R * updated if items is None else np.asarray(items) * updated / cols
        trials.append(({"block": (height, 1)}, (rows, R, cols, blocks, updated)))
    return _least_squares(count, trials)


def _least_squares(
    count: ArrayLike, trials: Iterable[tuple[dict[str, Any], Sequence[ArrayLike]]]
) -> KernelCost:
    """Return the formula with the least squares of relative errors.

    Trials are given fields of `KernelCost`, and the factors of those of `TERMS` but for the base.
    """
    count = np.asarray(count)
    weight = np.maximum(count, SMALL)
    found: list[tuple[float, KernelCost]] = []
    for given, columns in trials:
        terms = np.stack([np.ones(len(count)), *columns], axis=1)
        solution = np.linalg.lstsq(terms / weight[:, None], count / weight, rcond=None)[0]
        rounded = [round(value, 3) + 0.0 for value in solution.tolist()]  # no -0
        error = (terms @ rounded - count) / weight
        worst = round(100 * float(np.abs(error).max()), 1)
        cost = KernelCost(**given, **dict(zip(TERMS, rounded, strict=False)), error_percent=worst)
        found.append((float(np.square(error).mean()), cost))
    return min(found, key=lambda trial: trial[0])[1]


def tool_versions(board: BoardSpec) -> dict[str, str]:
    """Return the first line that compiler and emulator print about their versions."""
    names = {"compiler": board.core.compiler, "emulator": board.emulator or ""}
    return {kind: _version(name) for kind, name in names.items()}


def _version(tool: str) -> str:
    command = [find_tool(tool), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0]


def write_costs(costs: KernelCosts, path: Path) -> None:
    """Write a file of ``calibration/costs/kernels``."""
    write_data(
        costs,
        path,
        "Instructions of a call of each matvec kernel: see edgeflow/codegen/costs.py. Made by\n"
        f"  edgeflow bench kernels --board {costs.board} --fit {path.name}",
    )

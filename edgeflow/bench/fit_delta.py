"""Cost of the delta kernels of a core by shape and by the columns that fire."""

import dataclasses
from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.kernels import FORMATS, bench_matrix, runnable
from edgeflow.bench.measure import measure_layers
from edgeflow.codegen.costs import MAX_BLOCK, KernelCost
from edgeflow.codegen.delta import HOLD
from edgeflow.codegen.kernels import MatvecKernel, kernel_named
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Linear
from edgeflow.targets.board import BoardSpec

COLS = (3, 6, 8, 16, 31, 64, 100)
ROWS = (3, 10, 16, 32, 64, 96, 192)
#: Shares of the columns that fire in a step, by turns.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
#: Shares of blocks that are not zero, by turns, with kernels that are block-sparse too.
DENSITIES = (0.1, 0.2, 0.3, 0.5, 1.0)
STEPS = 20
#: What fires moves by at least this, in units of x.
THRESHOLD = 8
#: The dense kernel, of any core, that `HOLD` is measured with, and its rows.
DENSE, FEW_ROWS = "ef_matvec_s8_s16", 3
#: Errors are relative to a count, or to this if it is less: a few instructions do not matter.
SMALL = 400.0

Point = tuple[int, int, float, float]


def delta_case(
    rows: int,
    cols: int,
    share: float,
    group: int,
    density: float = 1.0,
    block: tuple[int, int] = (1, 1),
) -> tuple[Matrix, NDArray[np.int16], float]:
    """Return a matrix, its input [STEPS, cols] and how many columns fire a step in the mean.

    About a share of the groups, any of them, moves in each step; the others stand still. Of the
    blocks of the matrix a share of `density` is not zero.
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
    fired = float((x[1:] != x[:-1]).sum()) / STEPS
    return matrix, x[1:].astype(np.int16), fired


def fit_delta_kernels(board: BoardSpec) -> dict[str, KernelCost]:
    """Measure the delta kernels of an emulated board, and `HOLD`; fit a formula to each.

    Raises
    ------
    TargetError
        If the board is not emulated.
    ToolMissingError
        If compiler or emulator is not installed.
    """
    costs = {HOLD: _fit_hold(board)}
    for kernel in runnable(board):
        if kernel.delta:
            costs[kernel.name] = _fit_kernel(kernel, board)
    return costs


def group_of(kernel: MatvecKernel) -> int:
    """Return the smallest groups that a delta kernel takes."""
    matrices = [delta_case(8, 8, 0.5, group)[0] for group in (1, 2)]
    return 1 if kernel.is_exact_for(matrices[0]) else 2


def case_of(
    kernel: MatvecKernel, rows: int, cols: int, share: float, density: float
) -> tuple[Matrix, NDArray[np.int16], float]:
    """Return a `delta_case` that a kernel takes; `density` is for block-sparse ones."""
    form = kernel.sparse
    if form is None:
        return delta_case(rows, cols, share, group_of(kernel))
    return delta_case(rows, cols, share, group_of(kernel), density, (form.rows, form.cols))


def _fit_kernel(kernel: MatvecKernel, board: BoardSpec) -> KernelCost:
    cases = [
        case_of(kernel, rows, cols, SHARES[i % len(SHARES)], DENSITIES[i % len(DENSITIES)])
        for i, (rows, cols) in enumerate(product(ROWS, COLS))
    ]
    layers = [(Linear("layer", matrix), x) for matrix, x, _ in cases]
    counts = measure_layers(layers, board, [kernel.name] * len(layers))
    points = [(m.rows, m.cols, f, n) for (m, _, f), n in zip(cases, counts, strict=True)]
    form = kernel.sparse
    return fit_delta(points, [form.items(m) for m, _, _ in cases] if form else None)


def _fit_hold(board: BoardSpec) -> KernelCost:
    """Fit what a product of x_hat takes more than that of x."""
    layers, fired = [], []
    for i, cols in enumerate(COLS + COLS):
        matrix, x, mean = delta_case(FEW_ROWS, cols, SHARES[i % len(SHARES)], 1)
        dense = dataclasses.replace(matrix, threshold=0)
        layers += [(Linear("layer", matrix), x), (Linear("layer", dense), x)]
        fired.append(mean)
    counts = measure_layers(layers, board, [kernel_named(DENSE).name] * len(layers))
    points = [
        (0, cols, f, held - dense)
        for cols, f, held, dense in zip(COLS + COLS, fired, counts[::2], counts[1::2], strict=True)
    ]
    return fit_delta(points)


def fit_delta(points: Sequence[Point], items: Sequence[int] | None = None) -> KernelCost:
    """Fit the formula of `KernelCost` to (rows, columns, columns fired, instructions).

    `items` are those that a block-sparse kernel stores.
    Least squares of relative errors for each size of blocks of rows; that with the least is taken.
    """
    rows, cols, fired, count = np.array(points, np.float64).T
    weight = np.maximum(count, SMALL)
    best: tuple[float, KernelCost] | None = None
    for height in (1 << i for i in range(MAX_BLOCK.bit_length())):
        R = np.ceil(rows / height)
        blocks = R * fired if items is None else np.array(items) * fired / cols
        terms = np.stack([np.ones_like(R), rows, R, cols, blocks, fired], axis=1)
        solution = np.linalg.lstsq(terms / weight[:, None], count / weight, rcond=None)[0]
        rounded = np.array([round(float(value), 3) + 0.0 for value in solution])  # no -0
        error = (terms @ rounded - count) / weight
        mean = float(np.square(error).mean())
        if best is None or mean < best[0]:
            cost = KernelCost(
                block=(height, 1),
                base=float(rounded[0]),
                per_row=float(rounded[1]),
                per_row_block=float(rounded[2]),
                per_column_block=float(rounded[3]),
                per_block=float(rounded[4]),
                per_fired=float(rounded[5]),
                error_percent=round(100 * float(np.abs(error).max()), 1),
            )
            best = mean, cost
    assert best is not None
    return best[1]

"""Random matrices: plain, delta and low-rank ones."""

from dataclasses import replace

import numpy as np

from edgeflow.program import Matrix, Node
from edgeflow.program.fixedpoint import largest_magnitude


def random_matrix(
    rng: np.random.Generator, rows: int, cols: int, bits: int, extreme: bool,
    seen: np.ndarray | None = None,
) -> Matrix:  # fmt: skip
    """Return a matrix whose results change with x, by an eighth of a table's range to all of it.

    The largest weights if `extreme`, with rows of three kinds: accumulators that come close to their
    limit, with a multiplier that brings them into range or with one that saturates, and rows without
    a bias. `seen` [n, cols] is what x may be; by default x is spread over its width.
    """
    largest = largest_magnitude(bits)
    reach = cols * largest
    top = min(127, (2**30 - 1 - 2**20) // reach)  # as large as the accumulator allows
    if extreme:
        weight = rng.choice(np.array([-top, top], dtype=np.int8), (rows, cols))
    else:
        weight = rng.integers(-top, top + 1, (rows, cols)).astype(np.int8)
    if seen is None:
        spread = largest / 2 * np.sqrt((weight.astype(np.float64) ** 2).sum(axis=1))
    else:
        spread = (seen.astype(np.float64) @ weight.T).std(axis=0)
    spread = np.maximum(spread, 1)
    ratio = 2.0 ** rng.uniform(9, 14) * rng.uniform(0.5, 1.5, rows) / spread
    ratio[rng.random(rows) < 0.02] = 0
    bias = spread * rng.uniform(-1.5, 1.5, rows)
    # the smallest shift that holds the ratios
    products = np.abs(weight.astype(np.int64)).sum(axis=1) * largest
    room = int(np.log2((2**31 - 1) // max(1, products.max())))
    shift = int(np.clip(np.ceil(np.log2(max(ratio.max(), 0.5))) + 1, 1, min(15, room)))
    limit = ((2**31 - 1) >> shift) - products
    if extreme:
        kind, sign = rng.choice([0, 1, 2, 2], rows), rng.choice([-1, 1], rows)
        bias = np.where(kind == 2, 0, sign * limit)
        in_range = rng.uniform(0.5, 1, rows) * 2.0**14 / np.maximum(limit, 1)
        ratio = np.where(kind == 0, in_range, np.where(kind == 1, 2.0 ** (shift - 1), ratio))
    return Matrix(
        weight,
        np.clip(bias, -limit, limit).astype(np.int32),
        np.minimum(ratio * 2.0 ** (32 - shift), 2**31 - 1).astype(np.int32),
        shift,
        bits,
    )


def with_delta(rng: np.random.Generator, node: Node) -> Node:
    """Return the layer with most of its matrices as delta ones, of any threshold and group."""
    changes = {}
    for field, matrix in node.matrices().items():
        if field in node.delta_sources and rng.integers(4):
            reach = 2 * largest_magnitude(matrix.x_bits)
            threshold = rng.choice([1, rng.integers(1, reach), rng.integers(1, 9), 65535])
            group = int(rng.choice([1, 2, 4, rng.integers(1, 256)]))
            changes[field] = with_threshold(matrix, int(threshold), group)
    return replace(node, **changes)


def with_threshold(matrix: Matrix, threshold: int, group: int) -> Matrix:
    """Return the matrix as a delta one; it is the factor that has the threshold, if there is one."""
    if matrix.factor is None:
        return replace(matrix, threshold=threshold, group=group)
    return replace(matrix, factor=replace(matrix.factor, threshold=threshold, group=group))


def with_low_rank(rng: np.random.Generator, node: Node, extreme: bool = False) -> Node:
    """Return the layer with most of its matrices replaced by ones of low rank."""
    changes = {}
    for field, matrix in node.matrices().items():
        if field in node.delta_sources and rng.integers(4):
            rank, bits = int(rng.integers(1, 18)), int(rng.choice([8, 12, 13, 16]))
            factor = random_matrix(rng, rank, matrix.cols, matrix.input_bits, extreme)
            left = random_matrix(rng, matrix.rows, rank, bits, extreme)
            changes[field] = replace(left, factor=within(factor, bits))
    return replace(node, **changes)


def within(matrix: Matrix, bits: int) -> Matrix:
    """Return the matrix with multipliers such that no row leaves a width."""
    limit, bound = largest_magnitude(bits), matrix.accumulator_bound()
    most = ((limit << 32) - (1 << 31)) // (np.maximum(bound, 1) << matrix.shift)
    return replace(matrix, multiplier=np.minimum(matrix.multiplier, most).astype(np.int32))


def random_range(rng: np.random.Generator, width: int) -> tuple[int, int]:
    """Return the first of the values that a front end works on, and how many."""
    first = int(rng.integers(width))
    return first, int(rng.integers(1, width - first + 1))

"""On which matrices each matvec kernel is exact: proven from weights, widths and multipliers."""

import numpy as np

from edgeflow.codegen.packing.delta_sparse import MAX_OFFSET_ROWS
from edgeflow.codegen.packing.dense import halfword_shift
from edgeflow.codegen.packing.sparse import MAX_GATHERED
from edgeflow.program.fixedpoint import INT16_MAX, INT32_MAX
from edgeflow.program.matrix import Matrix


def scales_down(matrix: Matrix) -> bool:
    """Tell whether each row's ratio is below 1: multipliers have room for the shift."""
    return int(matrix.multiplier.max()) << (matrix.shift - 1) <= INT32_MAX


def fits_bytes(matrix: Matrix) -> bool:
    """Tell whether x fits bytes, has more than one block of int16, and a copy fits the stack."""
    return matrix.input_bits <= 8 and 8 < matrix.cols <= 2048


def fits_bytes_down(matrix: Matrix) -> bool:
    """Tell whether they do, and each row's ratio is below 1."""
    return fits_bytes(matrix) and scales_down(matrix)


def fits_split(matrix: Matrix) -> bool:
    """Tell whether a copy of x as two arrays of bytes is worth it, and fits the stack."""
    return scales_down(matrix) and 24 < matrix.cols <= 1024


def fits_dot(matrix: Matrix) -> bool:
    """Tell whether a copy of x as bytes fits the stack."""
    return matrix.cols <= 2048


def fits_dot_bytes(matrix: Matrix) -> bool:
    """Tell whether it does, and x fits bytes."""
    return matrix.input_bits <= 8 and fits_dot(matrix)


def reads_spikes(matrix: Matrix) -> bool:
    """Tell whether the matrix reads nothing but -1, 0 and 1."""
    return matrix.input_bits == 2


def fits_lanes(matrix: Matrix) -> bool:
    """Tell whether it does, row sums fit 16 bits, and a list of columns fits the stack.

    It must also have so many rows that looking for spikes costs less than they save over other
    kernels.
    """
    largest = int(np.abs(matrix.weight.astype(np.int64)).sum(axis=1).max())
    tall = matrix.rows >= 16 and matrix.cols <= 1024
    return reads_spikes(matrix) and tall and largest <= INT16_MAX


def holds_shift(matrix: Matrix) -> bool:
    """Tell whether each row's ratio is below 1/2: multipliers have room for the whole shift."""
    return int(matrix.multiplier.max()) << matrix.shift <= INT32_MAX


def fits_row_pairs(matrix: Matrix) -> bool:
    """Tell whether ``256 A`` of each first row of a pair fits 32 bits for every input."""
    return holds_shift(matrix) and int(matrix.accumulator_bound()[0::2].max()) < 1 << 23


def fits_halfwords(matrix: Matrix) -> bool:
    """Tell whether multipliers and weights of 16 bits have room for the whole shift."""
    return halfword_shift(matrix) is not None


def fits_narrow(matrix: Matrix) -> bool:
    """Tell whether they do, and x fits the registers."""
    return fits_halfwords(matrix) and matrix.cols <= 8


def is_delta(matrix: Matrix) -> bool:
    """Tell whether the matrix is a delta one."""
    return matrix.threshold > 0


def fits_delta_vectors(matrix: Matrix) -> bool:
    """Tell whether it is, and each row's ratio is below 1."""
    return is_delta(matrix) and scales_down(matrix)


def fits_changes(matrix: Matrix) -> bool:
    """Tell whether it is, a change of x fits 16 bits, and multipliers have room for the shift."""
    return is_delta(matrix) and matrix.input_bits <= 15 and holds_shift(matrix)


def fits_long_pairs(matrix: Matrix) -> bool:
    """Tell whether they do, and the second row of each pair stays within 24 bits."""
    return fits_changes(matrix) and int(matrix.accumulator_bound()[1::2].max(initial=0)) < 1 << 23


def fits_even_groups(matrix: Matrix) -> bool:
    """Tell whether changes fit, and pairs of columns fire together."""
    return fits_changes(matrix) and matrix.group % 2 == 0


def fits_even_row_pairs(matrix: Matrix) -> bool:
    """Tell whether pairs of columns fire together, and rows fit as in `fits_row_pairs`."""
    return fits_even_groups(matrix) and fits_row_pairs(matrix)


def fits_delta_blocks(matrix: Matrix) -> bool:
    """Tell whether changes fit, rows fit as in `fits_row_pairs`, and offsets of sums 16 bits."""
    return fits_changes(matrix) and fits_row_pairs(matrix) and matrix.rows <= MAX_OFFSET_ROWS


def fits_delta_column_pairs(matrix: Matrix) -> bool:
    """Tell whether they do, and pairs of columns fire together."""
    return matrix.group % 2 == 0 and fits_delta_blocks(matrix)


def fits_delta_block_vectors(matrix: Matrix) -> bool:
    """Tell whether each row's ratio is below 1, and offsets of sums fit 16 bits."""
    return fits_delta_vectors(matrix) and matrix.rows <= MAX_OFFSET_ROWS


def fits_numbered(matrix: Matrix) -> bool:
    """Tell whether a column's number fits a byte."""
    return matrix.cols <= MAX_GATHERED


def fits_numbered_fours(matrix: Matrix) -> bool:
    """Tell whether it does, and multipliers have room for the shift."""
    return fits_numbered(matrix) and holds_shift(matrix)


def fits_offsets(matrix: Matrix) -> bool:
    """Tell whether twice a column's number fits a byte."""
    return matrix.cols <= MAX_GATHERED // 2


def fits_gathered(matrix: Matrix) -> bool:
    """Tell whether a column's number does, and each row's ratio is below 1."""
    return scales_down(matrix) and fits_numbered(matrix)


def fits_gathered_bytes(matrix: Matrix) -> bool:
    """Tell whether twice that does, each ratio is, and x fits bytes."""
    narrow = matrix.input_bits <= 8 and matrix.cols <= MAX_GATHERED // 2
    return scales_down(matrix) and narrow


def fits_always(matrix: Matrix) -> bool:
    """Tell that a kernel takes every matrix."""
    return True


def fits_nibbles(matrix: Matrix) -> bool:
    """Tell whether all weights are within int4, -8 left out."""
    return int(np.abs(matrix.weight).max()) <= 7


def fits_row_quads(matrix: Matrix) -> bool:
    """Tell whether they are, and ``4096 A``, ``256 B`` and ``16 C`` fit 32 bits for every input."""
    bound = matrix.accumulator_bound()
    fits = all(int(bound[i::4].max(initial=0)) < 1 << 19 + 4 * i for i in range(3))
    return fits_nibbles(matrix) and fits


def fits_nibble_pairs(matrix: Matrix) -> bool:
    """Tell whether they are, ``16 A`` fits 32 bits for every input, and a copy of x the stack."""
    fits = int(matrix.accumulator_bound().max()) < 1 << 27
    return fits_nibbles(matrix) and fits and matrix.cols <= 1024


def fits_nibble_pair_bytes(matrix: Matrix) -> bool:
    """Tell whether they do, x fits bytes, and is more than half a vector."""
    return matrix.input_bits <= 8 and matrix.cols > 8 and fits_nibble_pairs(matrix)

"""How dense matvec kernels read their weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.packing.packed import Packed
from edgeflow.program.fixedpoint import INT32_MAX, Ints
from edgeflow.program.matrix import Matrix, round_up

#: 127 << 8 fits 16 bits.
MAX_HALFWORD_SHIFT = 8


def pack_rows(matrix: Matrix) -> Packed:
    """Row by row, unchanged."""
    return Packed(np.ascontiguousarray(matrix.weight).reshape(-1), complete=False)


def pack_tiles(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_dsp.inc``, a word a row in each 4 x 4 tile, bytes c0 c2 c1 c3."""
    weight = _padded(matrix)
    tiles = _tiles(weight)[..., [0, 2, 1, 3]]  # [groups, tiles, 4 rows, 4 bytes]
    words = np.ascontiguousarray(tiles).view("<u4")[..., 0]
    bias = _pad(matrix.bias.astype(np.int64), matrix.rows)
    return _stream(matrix, words, bias, matrix.multiplier.astype(np.int64))


def pack_dot_tiles(matrix: Matrix, split: bool) -> Packed:
    """Stream of ``ef_matvec_neon_dot.inc``: tiles of 4 x 4, row by row.

    The start of the accumulators makes up for low bytes of x less 128 if `split`.
    """
    words = np.ascontiguousarray(_tiles(_padded(matrix))).view("<u4")[..., 0]
    sums = matrix.weight.astype(np.int64).sum(axis=1)
    bias = _pad(matrix.bias + (128 * sums if split else 0), matrix.rows)
    return _stream(matrix, words, bias, matrix.multiplier.astype(np.int64))


def pack_row_pairs(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_dsp.inc``, halfwords ``256 a + b`` of rows A, B and of C, D."""
    weight = _groups(matrix)
    halves = 256 * weight[:, 0::2] + weight[:, 1::2]  # [groups, AB or CD, columns]
    bias = _pad(matrix.bias.astype(np.int64), matrix.rows)
    bias[0::2] = 256 * bias[0::2] + bias[1::2]
    multiplier = matrix.multiplier.astype(np.int64) << matrix.shift
    return _stream(matrix, _column_pairs(halves), bias, multiplier)


def halfword_shift(matrix: Matrix) -> int | None:
    """Return how far weights of 16 bits take the shift that the multipliers have no room for.

    None if they have not enough room either. The shifted accumulator is proven to fit.
    """
    most = int(matrix.multiplier.max())
    for left in range(min(matrix.shift, MAX_HALFWORD_SHIFT) + 1):
        if most << (matrix.shift - left) <= INT32_MAX:
            return left
    return None


def pack_halfwords(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_dsp.inc``, a word a row for each 2 columns."""
    left = halfword_shift(matrix) or 0
    bias = _pad(matrix.bias.astype(np.int64) << left, matrix.rows)
    multiplier = matrix.multiplier.astype(np.int64) << (matrix.shift - left)
    return _stream(matrix, _column_pairs(_groups(matrix) << left), bias, multiplier)


def pack_delta_columns(matrix: Matrix) -> Packed:
    """Multipliers, columns of bytes; sums begin as biases."""
    rows = round_up(matrix.rows)
    columns = np.zeros((matrix.cols, rows), np.int8)
    columns[:, : matrix.rows] = matrix.weight.T
    words = columns.view("<u4").reshape(-1)
    stream = np.concatenate([matrix.multiplier.astype(np.uint32), words])
    sums = _pad(matrix.bias.astype(np.int64), matrix.rows) & 0xFFFFFFFF
    return Packed(stream.astype(np.uint32), complete=True, memory=sums.astype(np.uint32))


def pack_columns(matrix: Matrix) -> Packed:
    """For each 8 rows: bias, multipliers, results without spikes, columns of bytes ``w + 128``."""
    silent = matrix.apply(np.zeros(matrix.cols, np.int64))
    columns = (matrix.weight.astype(np.int16) + 128).astype(np.uint8)
    parts = [
        _grouped(matrix.bias.astype("<i4"), 8),
        _grouped(matrix.multiplier.astype("<i4"), 8),
        _grouped(silent.astype("<i2"), 8),
        _grouped(columns, 8).transpose(0, 2, 1),
    ]
    words = [np.ascontiguousarray(p).reshape(len(p), -1).view("<u4") for p in parts]
    return Packed(np.concatenate(words, axis=1).reshape(-1).astype(np.uint32), complete=True)


def pack_byte_columns(matrix: Matrix, multiple: int = 2, offset: int = 0, rows: int = 8) -> Packed:
    """For each `rows` rows: bias, columns of bytes ``w + offset``, multipliers.

    Columns are padded to a `multiple` by bytes of 0, whatever the offset.
    """
    ends = matrix.bias, matrix.multiplier
    bias, multiplier = (_grouped(v.astype("<i4"), rows) for v in ends)
    weight = _grouped((matrix.weight.astype(np.int16) + offset).astype(np.uint8), rows)
    weight = np.pad(weight, ((0, 0), (0, 0), (0, -matrix.cols % multiple)))
    columns = weight.transpose(0, 2, 1).reshape(len(weight), -1)
    parts = [np.ascontiguousarray(p).view("<u4") for p in (bias, columns, multiplier)]
    return Packed(np.concatenate(parts, axis=1).reshape(-1).astype(np.uint32), complete=True)


def _grouped(rows: NDArray[Any], size: int) -> NDArray[Any]:
    """Return [groups, size, ...], padded by zeros."""
    padded = np.zeros((-(-len(rows) // size) * size, *rows.shape[1:]), rows.dtype)
    padded[: len(rows)] = rows
    return padded.reshape(-1, size, *rows.shape[1:])


def pack_eight_rows(matrix: Matrix, lanes: int, shift: bool = True) -> Packed:
    """Stream of ``ef_matvec_mve.inc``: 8 rows x `lanes` columns in a block, the last block first.

    Multipliers hold the shift unless `shift` is False.
    """
    multiplier = matrix.multiplier.astype(np.int64) << (matrix.shift - 1 if shift else 0)
    ends = matrix.bias.astype(np.int64), multiplier
    whole = whole_columns(matrix.cols) if lanes == 16 else matrix.cols
    parts = [
        _vectors(matrix.weight[part], [end[part] for end in ends], lanes, rows, -1, whole, 1)
        for part, rows in eights_and_four(matrix.rows)
    ]
    return Packed(np.concatenate(parts), complete=True)


def eights_and_four(rows: int) -> list[tuple[slice, list[int]]]:
    """Return the parts of so many rows, with the order in their groups, that Helium kernels take.

    Those are groups of 8, and one of 4 behind them where it is enough.
    """
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    if not 1 <= rows % 8 <= 4:
        return [(slice(0, rows), order)]
    eights = [(slice(0, rows // 8 * 8), order)] if rows >= 8 else []
    return [*eights, (slice(rows // 8 * 8, rows), [0, 1, 2, 3])]


def whole_columns(cols: int) -> int:
    """Return the columns in front of half a block: those of whole sixteens if up to 8 are left."""
    return cols // 16 * 16 if 1 <= cols % 16 <= 8 and cols > 16 else cols


def pack_four_rows(matrix: Matrix, shift: bool = True) -> Packed:
    """For each 4 rows: bias, blocks of 4 rows x 8 columns, multipliers.

    Multipliers hold the shift unless `shift` is False.
    """
    multiplier = matrix.multiplier.astype(np.int64) << (matrix.shift if shift else 0)
    ends = matrix.bias.astype(np.int64), multiplier
    return Packed(_vectors(matrix.weight, ends, 8, [0, 1, 2, 3], 0, matrix.cols), complete=True)


def pack_split(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_split_s8_s16_mve.S``: 4 rows x 16 columns in a block."""
    whole = whole_columns(matrix.cols)
    bias = matrix.bias + 128 * matrix.weight[:, :whole].astype(np.int64).sum(axis=1)
    ends = bias, matrix.multiplier.astype(np.int64) << (matrix.shift - 1)
    return Packed(_vectors(matrix.weight, ends, 16, [0, 1, 2, 3], 0, whole, 2), complete=True)


def _vectors(
    weight: NDArray[np.int8],
    ends: Sequence[Ints],
    lanes: int,
    rows: Sequence[int],
    first: int,
    whole: int,
    before: int = 0,
) -> NDArray[np.uint32]:
    """Return groups of `rows`: start of the accumulators, blocks from `first` on, multipliers.

    Columns behind the `whole` ones are half a block, which follows `before` others.
    """
    size = len(rows)
    groups, blocks = -(-len(weight) // size), -(-whole // lanes)
    padded = np.zeros((groups * size, blocks * lanes + 8), np.int8)
    padded[: len(weight), :whole] = weight[:, :whole]
    padded[: len(weight), blocks * lanes :][:, : weight.shape[1] - whole] = weight[:, whole:]
    padded = padded.reshape(groups, size, -1)[:, rows]
    full = np.roll(padded[..., :-8].reshape(groups, size, blocks, lanes), -first, axis=2)
    parts = [full[:, :, :before], padded[:, :, None, -8:], full[:, :, before:]]
    if whole == weight.shape[1]:
        parts = [full]
    stored = [part.transpose(0, 2, 1, 3).reshape(groups, -1) for part in parts]
    words = np.ascontiguousarray(np.concatenate(stored, axis=1)).view("<u4")
    edges = np.zeros((2, groups * size), np.int64)
    edges[:, : len(weight)] = ends
    start, end = (edges.reshape(2, groups, size)[:, :, rows] & 0xFFFFFFFF).astype(np.uint32)
    return np.concatenate([start, words, end], axis=1).reshape(-1)


def _pad(values: Ints, rows: int) -> Ints:
    result = np.zeros(round_up(rows), dtype=np.int64)
    result[:rows] = values
    return result


def _padded(matrix: Matrix) -> NDArray[np.int8]:
    padded = np.zeros((round_up(matrix.rows), round_up(matrix.cols)), dtype=np.int8)
    padded[: matrix.rows, : matrix.cols] = matrix.weight
    return padded


def _tiles(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return [groups of 4 rows, groups of 4 columns, 4, 4]."""
    rows, cols = weight.shape
    return weight.reshape(rows // 4, 4, cols // 4, 4).transpose(0, 2, 1, 3)


def _groups(matrix: Matrix) -> Ints:
    """Return weights [groups, 4 rows, columns], padded to an even number of columns."""
    weight = np.zeros((round_up(matrix.rows), -(-matrix.cols // 2) * 2), np.int64)
    weight[: matrix.rows, : matrix.cols] = matrix.weight
    return weight.reshape(-1, 4, weight.shape[1])


def _column_pairs(halves: Ints) -> Ints:
    """Return words [groups, pairs, n] of the halfwords [groups, n, columns]."""
    halves = halves & 0xFFFF
    return (halves[..., 0::2] | (halves[..., 1::2] << 16)).transpose(0, 2, 1)


def _stream(matrix: Matrix, words: NDArray[np.generic], bias: Ints, multiplier: Ints) -> Packed:
    """Return groups of 4 rows: start of the accumulators, tiles, multipliers."""
    groups = words.shape[0]
    parts = [
        bias.reshape(groups, 4),
        words.astype(np.int64).reshape(groups, -1),
        _pad(multiplier, matrix.rows).reshape(groups, 4),
    ]
    stream = np.concatenate(parts, axis=1).reshape(-1)
    return Packed((stream & 0xFFFFFFFF).astype(np.uint32), complete=True)

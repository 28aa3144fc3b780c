"""Layouts of all weights in 16, 8 or 4 bits."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeflow.codegen.layouts.layout import (
    EVEN_ODD,
    Layout,
    Packed,
    bytes_to_words,
    column_pairs,
    complete,
    group_stream,
    lane_stream,
    matrix_groups,
    pad_columns,
    row_groups,
    vectors,
    with_row_below,
)
from edgeflow.program.fixedpoint import INT32_MAX, Ints
from edgeflow.program.matrix import Matrix

#: 127 << 8 fits 16 bits.
MAX_HALFWORD_SHIFT = 8


class Rows(Layout):
    """Row by row, unchanged; biases and multipliers apart."""

    def pack(self, matrix: Matrix) -> Packed:
        return Packed(np.ascontiguousarray(matrix.weight).reshape(-1), complete=False)


class Tiles(Layout):
    """Tiles of 4 x 4, a word per row with bytes c0 c2 c1 c3 (``ef_matvec_dsp.inc``)."""

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias, multiplier = matrix_groups(matrix, 4)
        weight = pad_columns(weight, 4)
        tiles = weight.reshape(*weight.shape[:2], -1, 4)[..., [0, 2, 1, 3]].reshape(weight.shape)
        return complete(group_stream(bias, vectors(tiles, 4), multiplier))


@dataclass(frozen=True)
class DotTiles(Layout):
    """Tiles of 4 x 4, row by row (``ef_matvec_neon_dot.inc``).

    Parameters
    ----------
    split : bool
        The start of the accumulators makes up for low bytes of x less 128.
    """

    split: bool

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias, multiplier = matrix_groups(matrix, 4)
        start = bias + (128 * weight.sum(axis=-1) if self.split else 0)
        return complete(group_stream(start, vectors(weight, 4), multiplier))


class RowPairs(Layout):
    """Halfwords ``256 a + b`` of rows A, B and of C, D, two columns (``ef_matvec_dsp.inc``)."""

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias, multiplier = matrix_groups(matrix, 4)
        words = column_pairs(256 * weight[:, 0::2] + weight[:, 1::2])
        return complete(group_stream(with_row_below(bias), words, multiplier << matrix.shift))


def halfword_shift(matrix: Matrix) -> int | None:
    """Return how far weights of 16 bits take the shift that the multipliers have no room for.

    None if they have not enough room either. The shifted accumulator is proven to fit.
    """
    most = int(matrix.multiplier.max())
    for left in range(min(matrix.shift, MAX_HALFWORD_SHIFT) + 1):
        if most << (matrix.shift - left) <= INT32_MAX:
            return left
    return None


class Halfwords(Layout):
    """A word per row for each 2 columns, weights in 16 bits (``ef_matvec_dsp.inc``)."""

    weight_bits = 16

    def pack(self, matrix: Matrix) -> Packed:
        left = halfword_shift(matrix) or 0
        weight, bias, multiplier = matrix_groups(matrix, 4)
        end = multiplier << (matrix.shift - left)
        return complete(group_stream(bias << left, column_pairs(weight << left), end))


class SpikeColumns(Layout):
    """For each 8 rows: biases, multipliers, results without spikes, columns of ``w + 128``."""

    def pack(self, matrix: Matrix) -> Packed:
        resting = matrix.apply(np.zeros(matrix.cols, np.int64)).astype(np.int16)
        columns = row_groups(matrix.weight.astype(np.int64) + 128, 8).transpose(0, 2, 1)
        _, bias, multiplier = matrix_groups(matrix, 8)
        results = row_groups(resting, 8).astype("<i2").view("<u4").astype(np.int64)
        parts = (bias, multiplier, results, bytes_to_words(columns).reshape(len(bias), -1))
        return complete(np.concatenate(parts, axis=1))


@dataclass(frozen=True)
class ByteColumns(Layout):
    """For each `rows` rows: biases, columns of bytes ``w + offset``, multipliers.

    Parameters
    ----------
    multiple : int
        Columns are padded to a multiple of it by bytes of 0, whatever the offset.
    offset : int
    rows : int
    """

    multiple: int = 2
    offset: int = 0
    rows: int = 8

    def pack(self, matrix: Matrix) -> Packed:
        _, bias, multiplier = matrix_groups(matrix, self.rows)
        weight = row_groups(matrix.weight.astype(np.int64) + self.offset, self.rows)
        columns = pad_columns(weight, self.multiple).transpose(0, 2, 1)
        return complete(group_stream(bias, bytes_to_words(columns), multiplier))


class UnsignedColumns(Layout):
    """For each 4 rows: starts for x + 2^15, columns of bytes ``w + 128``, multipliers.

    Multipliers hold as much of the shift as fits; the rest goes before all.
    """

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias, multiplier = matrix_groups(matrix, 4)
        room = 31 - int(multiplier.max()).bit_length()
        left = max(matrix.shift - room, 0)
        start = bias - (weight.sum(axis=-1) << 15)
        columns = (weight + 128).transpose(0, 2, 1).reshape(len(bias), -1)
        end = multiplier << (matrix.shift - left)
        return complete(np.array([left]), group_stream(start, bytes_to_words(columns), end))


@dataclass(frozen=True)
class EightRows(Layout):
    """Blocks of 8 rows x `lanes` columns, the last block first (``ef_matvec_mve.inc``).

    Parameters
    ----------
    lanes : int
    shift : bool
        Multipliers hold the shift less 1.
    """

    lanes: int
    shift: bool = True

    def pack(self, matrix: Matrix) -> Packed:
        whole = _whole_columns(matrix.cols) if self.lanes == 16 else matrix.cols
        left = matrix.shift - 1 if self.shift else 0
        return complete(
            *(
                lane_stream(weight, bias, multiplier << left, self.lanes, whole, -1, 1)
                for weight, bias, multiplier in _helium_groups(matrix)
            )
        )


def _helium_groups(matrix: Matrix) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Give weights, biases and multipliers of groups of 8 rows, in the order of Helium's lanes.

    Then those of one of 4 rows, where it is enough for what is left.
    """
    eights = matrix.rows // 8 * 8 if 1 <= matrix.rows % 8 <= 4 else matrix.rows
    parts = [(slice(0, eights), EVEN_ODD), (slice(eights, matrix.rows), [0, 1, 2, 3])]
    for part, order in parts:
        of_part = (matrix.weight[part], matrix.bias[part], matrix.multiplier[part])
        if len(of_part[0]):
            weight, bias, multiplier = (row_groups(v, len(order))[:, order] for v in of_part)
            yield weight, bias, multiplier


def _whole_columns(cols: int) -> int:
    """Return the columns in front of half a block: those of whole sixteens if up to 8 are left."""
    return cols // 16 * 16 if 1 <= cols % 16 <= 8 and cols > 16 else cols


@dataclass(frozen=True)
class FourRows(Layout):
    """Blocks of 4 rows x 8 columns.

    Parameters
    ----------
    shift : bool
        Multipliers hold the shift.
    """

    shift: bool = True

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias, multiplier = matrix_groups(matrix, 4)
        return complete(lane_stream(weight, bias, multiplier << matrix.shift * self.shift, 8))


class SplitBytes(Layout):
    """Blocks of 4 rows x 16 columns for x in two bytes (``ef_matvec_split_s8_s16_mve.S``)."""

    def pack(self, matrix: Matrix) -> Packed:
        whole = _whole_columns(matrix.cols)
        weight, bias, multiplier = matrix_groups(matrix, 4)
        start = bias + 128 * weight[..., :whole].sum(axis=-1)
        end = multiplier << (matrix.shift - 1)
        return complete(lane_stream(weight, start, end, 16, whole, 0, 2))


class Nibbles(Layout):
    """Row by row, two columns per byte, the first in the low nibble."""

    weight_bits = 4

    def pack(self, matrix: Matrix) -> Packed:
        weight = pad_columns(matrix.weight.astype(np.int64), 2)
        packed = (weight[:, 0::2] & 15) | (weight[:, 1::2] << 4)
        return Packed(packed.astype(np.int8).reshape(-1), complete=False)


class RowQuads(Layout):
    """Halfwords ``4096 a + 256 (b + 8) + 16 c + d + 8`` of four rows (``ef_matvec_dsp.inc``)."""

    weight_bits = 4

    def pack(self, matrix: Matrix) -> Packed:
        place, offset = np.array([4096, 256, 16, 1]), np.array([0, 8, 0, 8])
        weight, bias, multiplier = matrix_groups(matrix, 4)
        weight = pad_columns(weight, 2)
        halves = ((weight + offset[:, None]) * place[:, None]).sum(axis=1) & 0xFFFF
        start = (bias * place)[:, ::-1].cumsum(axis=1)[:, ::-1]
        return complete(group_stream(start, halves[:, 0::2] | (halves[:, 1::2] << 16), multiplier))


class ChainedNibbles(Layout):
    """Words of two columns and four rows, those of rows 4 to 7 of eight before rows 0 to 3.

    Their nibbles, from the top, are ``d1 b1 a0 c1 d0 b0 a1 c0``, b and c plus 8. The first groups
    have no starts where all their biases are 0 (``ef_matvec_chain_s4_s16_dsp.S``).
    """

    weight_bits = 4

    def pack(self, matrix: Matrix) -> Packed:
        place = 4 * np.array([[5, 1], [2, 6], [0, 4], [3, 7]])  # of rows A to D in both columns
        weight, bias, multiplier = matrix_groups(matrix, 8)
        weight = pad_columns(weight, 2) + np.tile([0, 8, 8, 0], 2)[:, None]
        fours = weight.reshape(len(weight), 2, 4, -1, 2) & 15
        words = (fours << place[:, None]).sum(axis=(2, 4))[:, ::-1].swapaxes(1, 2)
        a, b, c, d = np.moveaxis(bias.reshape(-1, 2, 4), -1, 0)
        start = np.stack([4096 * a + b, 256 * b + c, 4096 * d], axis=-1).reshape(-1, 6)
        biased = np.append(np.flatnonzero(bias.any(axis=1)), matrix.rows // 8).min()
        stream = group_stream(start, words, multiplier << matrix.shift).reshape(len(start), -1)
        return complete(np.array([16 * biased]), stream[:biased, 6:], stream[biased:])


class NibbleColumns(Layout):
    """For each 8 rows: starts of pairs of rows, columns of nibbles ``w + 8``, multipliers.

    Rows k and k + 4 are a pair: the latter in the upper halfword of a start, as in that of a word
    of nibbles. Columns are padded to an even number by words of 0.
    """

    weight_bits = 4

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias, multiplier = matrix_groups(matrix, 8)
        nibbles = (weight + 8) << (4 * np.arange(8))[:, None]
        words = pad_columns(nibbles.sum(axis=1), 2)
        start = bias[:, :4] + (bias[:, 4:] << 16)
        return complete(group_stream(start, words, multiplier))


class OffsetNibbles(Layout):
    """Nibbles ``w + 8``, a word per row for each 8 columns (``ef_matvec_dsp.inc``).

    Nibble i of a word is column 2 i, nibble i + 4 column 2 i + 1. Where 4 columns are left, they go
    first: a word has those of two rows.
    """

    weight_bits = 4

    def pack(self, matrix: Matrix) -> Packed:
        place = np.array([0, 16, 4, 20, 8, 24, 12, 28])
        weight, bias, multiplier = matrix_groups(matrix, 4)
        weight = pad_columns(weight, 4)
        left = weight.shape[-1] % 8
        first = weight[..., :left].reshape(len(weight), -1, 8)
        eights = weight[..., left:].reshape(len(weight), 4, -1, 8).transpose(0, 2, 1, 3)
        rows = np.concatenate([first, eights.reshape(len(weight), -1, 8)], axis=1)
        return complete(group_stream(bias, ((rows + 8) << place).sum(axis=-1), multiplier))


class NibblePairs(Layout):
    """Bytes ``16 a + b`` in blocks of 16 columns, the last block first (``ef_matvec_mve.inc``).

    Rows 0 2 4 6 of eight share bytes with 1 3 5 7, rows 0 1 of four with 2 3.
    """

    weight_bits = 4

    def pack(self, matrix: Matrix) -> Packed:
        whole = _whole_columns(matrix.cols)
        groups = _helium_groups(matrix)
        return complete(*(_pair_stream(*group, whole, -1) for group in groups))


class SplitNibblePairs(Layout):
    """Bytes ``16 a + c`` of rows A C and B D, x in two bytes (``ef_matvec_split_s4_s16_mve.S``)."""

    weight_bits = 4

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias, multiplier = matrix_groups(matrix, 4)
        start = bias + 128 * weight.sum(axis=-1)
        return complete(_pair_stream(weight, start, multiplier, matrix.cols, 0))


def _pair_stream(weight: Ints, bias: Ints, multiplier: Ints, whole: int, first: int) -> Ints:
    """Return groups whose first half of rows shares bytes with the second."""
    half = weight.shape[1] // 2
    pairs = 16 * weight[:, :half] + weight[:, half:]
    start = np.concatenate([16 * bias[:, :half] + bias[:, half:], 16 * bias[:, half:]], axis=1)
    return lane_stream(pairs, start, multiplier, 16, whole, first, 1)

"""Layouts of delta matrices, of all weights or blocks, with the sums that memory starts with."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.codegen.layouts.layout import (
    EVEN_ODD,
    Layout,
    Packed,
    bytes_to_words,
    column_pairs,
    complete,
    pad_to_multiple,
    padded_bytes,
    row_groups,
    with_row_below,
)
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Rows that offsets of sums in bytes reach, a halfword.
MAX_OFFSET_ROWS = (1 << 16) // 4


class DeltaLayout(Layout):
    """A layout of delta matrices."""

    delta = True


class DeltaColumns(DeltaLayout):
    """Multipliers, then columns of bytes; sums begin as biases."""

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias = (pad_to_multiple(values, 4) for values in (matrix.weight, matrix.bias))
        return complete(matrix.multiplier, bytes_to_words(weight.T), memory=bias)


class DeltaRowPairs(DeltaLayout):
    """Pairs of columns, halfwords ``256 a + b`` of rows A, B; sums ``256 A + B`` and B."""

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias = _rows(matrix, 8)
        words = column_pairs(256 * weight[0::2] + weight[1::2])
        return _shifted(matrix, words, with_row_below(bias))


class DeltaHalfwords(DeltaLayout):
    """Pairs of columns, weights in 16 bits."""

    weight_bits = 16

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias = _rows(matrix, 8)
        return _shifted(matrix, column_pairs(weight), bias)


class DeltaLong(DeltaLayout):
    """Words ``2^24 a + b`` of rows A, B; sums ``2^32 A + 2^8 B`` in 64 bits."""

    weight_bits = 16

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias = _rows(matrix, 8)
        words = (weight[0::2] << 24) + weight[1::2]  # [pairs of rows, columns]
        return _shifted(matrix, words.T, _long_sums(bias))


class DeltaBytes(DeltaLayout):
    """Bytes ``b + 128, c, d + 128, a`` of four rows A B D C; sums as in `DeltaLong`.

    Bytes are of the words ``2^24 a + b + 128`` of two pairs of rows, one of them turned by 16 bits.
    """

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias = _rows(matrix, 8)
        first, second = (
            ((weight[i::4] & 255) << 24) | (weight[i + 1 :: 4] + 128) for i in (0, 2)
        )  # [fours of rows, columns]
        turned = ((second >> 16) | (second << 16)) & 0xFFFFFFFF
        return _shifted(matrix, (first | turned).T, _long_sums(bias))


class DeltaVectors(DeltaLayout):
    """Columns of bytes and multipliers, rows of each 8 in the order 0 2 4 6 1 3 5 7."""

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias = _rows(matrix, 16)
        order = np.arange(len(bias)).reshape(-1, 8)[:, EVEN_ODD].reshape(-1)
        multiplier = pad_to_multiple(matrix.multiplier, 16) << (matrix.shift - 1)
        return complete(multiplier[order], bytes_to_words(weight[order].T), memory=bias[order])


def _rows(matrix: Matrix, multiple: int) -> tuple[Ints, Ints]:
    """Return weights and biases, padded by rows of zeros."""
    return pad_to_multiple(matrix.weight, multiple), pad_to_multiple(matrix.bias, multiple)


def _long_sums(bias: Ints) -> Ints:
    sums = (bias[0::2] << 32) + (bias[1::2] << 8)
    return np.stack([sums & 0xFFFFFFFF, sums >> 32], axis=1).reshape(-1)


def _shifted(matrix: Matrix, words: Ints, sums: Ints) -> Packed:
    """Return multipliers that hold the shift, then `words`; and the sums after a reset."""
    return complete(pad_to_multiple(matrix.multiplier, 8) << matrix.shift, words, memory=sums)


class DeltaGapBlocks(DeltaLayout):
    """Blocks of 8 x 1, each behind a byte with the blocks from the one before."""

    blocks: BlockFormat = BlockFormat(8, 1, reach=8 * 255, by_columns=True)

    def pack(self, matrix: Matrix) -> Packed:
        columns = []
        for first, weight in self.blocks.groups(matrix):
            distance = np.diff(first, prepend=0)[:, None] // self.blocks.rows
            columns.append(np.concatenate([distance, weight[..., 0].T], axis=1).reshape(-1))
        start = np.cumsum([0, *(column.size for column in columns)])
        stream = padded_bytes(np.concatenate(columns))
        sums = pad_to_multiple(matrix.bias, self.blocks.rows)
        return complete(matrix.multiplier, start, stream, memory=sums)


class DeltaOffsetBlocks(DeltaLayout):
    """Pairs of blocks, each pair behind the offsets of its sums in bytes."""

    blocks: BlockFormat

    @abstractmethod
    def words(self, weight: Ints) -> Ints:
        """Return the words [n, size] of the weights [rows, n, columns] of n blocks."""

    def columns(self, matrix: Matrix) -> list[Ints]:
        """Return how far each column's blocks are, then for each of these the number of items.

        The items follow: two offsets of sums in bytes, halfwords of a word, and the words
        of two blocks.
        """
        columns = []
        for first, weight in self.blocks.groups(matrix):
            offsets = 4 * first.reshape(-1, 2)
            pairs = np.zeros((0, 0), np.int64)
            if len(offsets):
                pairs = self.words(weight).reshape(len(offsets), -1)
            items = np.concatenate([offsets[:, :1] | offsets[:, 1:] << 16, pairs], axis=1)
            columns.append(np.concatenate([[len(items)], items.reshape(-1)]).astype(np.int64))
        start = np.cumsum([0, *(column.size for column in columns[:-1])])
        # from the word that says it
        return [4 * (start + len(start) - np.arange(len(start))), *columns]


@dataclass(frozen=True)
class DeltaBlockRowPairs(DeltaOffsetBlocks):
    """Blocks in halfwords ``256 a + b`` of rows A, B (``ef_delta_matvec_sparse_dsp.inc``).

    Parameters
    ----------
    blocks : BlockFormat
        Of 4 rows, two per item, by columns.
    """

    blocks: BlockFormat

    def pack(self, matrix: Matrix) -> Packed:
        multiplier = pad_to_multiple(matrix.multiplier, 8) << matrix.shift
        sums = with_row_below(pad_to_multiple(matrix.bias, 8))
        return complete(multiplier, *self.columns(matrix), memory=sums)

    def words(self, weight: Ints) -> Ints:
        halves = (256 * weight[0::2] + weight[1::2]) & 0xFFFF  # [AB or CD, n, columns]
        flat = halves.transpose(1, 0, 2).reshape(halves.shape[1], -1)
        return flat[:, 0::2] | (flat[:, 1::2] << 16)


class DeltaBlockVectors(DeltaOffsetBlocks):
    """Blocks of 8 x 1 in bytes; rows, and sums, in the order 0 2 4 6 1 3 5 7."""

    blocks: BlockFormat = BlockFormat(8, 1, step=2, by_columns=True)

    def pack(self, matrix: Matrix) -> Packed:
        sums, multiplier = (
            row_groups(values, 8)[:, EVEN_ODD] for values in (matrix.bias, matrix.multiplier)
        )
        multiplier = multiplier << (matrix.shift - 1)
        return complete(multiplier, *self.columns(matrix), memory=sums)

    def words(self, weight: Ints) -> Ints:
        return bytes_to_words(weight[EVEN_ODD, :, 0].T)

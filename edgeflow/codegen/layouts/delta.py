"""Layouts of all weights of a delta matrix, with the sums that its memory starts with."""

import numpy as np

from edgeflow.codegen.layouts.layout import (
    EVEN_ODD,
    Layout,
    Packed,
    bytes_to_words,
    column_pairs,
    complete,
    pad_to_multiple,
    with_row_below,
)
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix


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

    They are the words ``2^24 a + b + 128`` of two pairs of rows, one of them turned by 16 bits.
    """

    def pack(self, matrix: Matrix) -> Packed:
        weight, bias = _rows(matrix, 8)
        first, second = (
            ((weight[i::4] & 255) << 24) | (weight[i + 1 :: 4] + 128) for i in (0, 2)
        )  # [fours of rows, columns]
        turned = ((second >> 16) | (second << 16)) & 0xFFFFFFFF
        return _shifted(matrix, (first | turned).T, _long_sums(bias))


class DeltaVectors(DeltaLayout):
    """Columns of bytes, rows of each 8 in the order 0 2 4 6 1 3 5 7; multipliers likewise."""

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

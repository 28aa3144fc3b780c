"""Layouts of all weights in 4 bits."""

import numpy as np

from edgeflow.codegen.layouts.dense import eights_and_four, whole_columns
from edgeflow.codegen.layouts.layout import (
    Layout,
    Packed,
    complete,
    group_stream,
    lane_stream,
    matrix_groups,
    pad_columns,
    row_groups,
)
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix


class Nibbles(Layout):
    """Row by row, two columns a byte, the first in the low nibble."""

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


class OffsetNibbles(Layout):
    """Nibbles ``w + 8``, a word a row for each 8 columns (``ef_matvec_dsp.inc``).

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
        parts = []
        for part, order in eights_and_four(matrix.rows):
            of_part = (matrix.weight[part], matrix.bias[part], matrix.multiplier[part])
            weight, bias, multiplier = (row_groups(v, len(order))[:, order] for v in of_part)
            parts.append(_pair_stream(weight, bias, multiplier, whole_columns(matrix.cols), -1))
        return complete(*parts)


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

"""How matvec kernels read int4 weights, and which matrices they take."""

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.packing.dense import eights_and_four, whole_columns
from edgeflow.codegen.packing.packed import Packed, as_words
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix, round_up


def pack_nibbles(matrix: Matrix) -> Packed:
    """Row by row, two columns a byte, the first in the low nibble."""
    weight = np.zeros((matrix.rows, -(-matrix.cols // 2) * 2), np.int8)
    weight[:, : matrix.cols] = matrix.weight
    packed = (weight[:, 0::2] & 15) | (weight[:, 1::2] << 4)
    return Packed(packed.astype(np.int8).reshape(-1), complete=False)


def pack_row_quads(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_dsp.inc``, halfwords ``4096 a + 256 (b + 8) + 16 c + d + 8``."""
    place, offset = np.array([4096, 256, 16, 1]), np.array([0, 8, 0, 8])
    weight, bias, multiplier = _groups(matrix, 4, -(-matrix.cols // 2) * 2)
    halves = ((weight + offset[:, None]) * place[:, None]).sum(axis=1) & 0xFFFF
    start = (bias * place)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return _stream(start, halves[:, 0::2] | (halves[:, 1::2] << 16), multiplier)


def pack_offset_nibbles(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_dsp.inc``, nibbles ``w + 8``, a word a row for each 8 columns.

    Nibble i of a word is column 2 i, nibble i + 4 column 2 i + 1. Where 4 columns are left, they go
    first: a word has those of two rows.
    """
    place = np.array([0, 16, 4, 20, 8, 24, 12, 28])
    weight, bias, multiplier = _groups(matrix, 4, round_up(matrix.cols))
    left = weight.shape[-1] % 8
    first = weight[..., :left].reshape(len(weight), -1, 8)
    eights = weight[..., left:].reshape(len(weight), 4, -1, 8).transpose(0, 2, 1, 3)
    rows = np.concatenate([first, eights.reshape(len(weight), -1, 8)], axis=1)
    return _stream(bias, ((rows + 8) << place).sum(axis=-1), multiplier)


def pack_nibble_pairs(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_mve.inc`` for ``ef_matvec_s4_s8_mve.S``: bytes ``16 a + b``.

    Rows 0 2 4 6 of eight share bytes with 1 3 5 7, rows 0 1 of four with 2 3.
    """
    whole = whole_columns(matrix.cols)
    parts: list[NDArray[np.uint32]] = []
    for part, rows in eights_and_four(matrix.rows):
        half = len(rows) // 2
        weight, bias, multiplier = (
            v[:, rows] for v in _groups(matrix, len(rows), -(-matrix.cols // 8) * 8 + 8, part)
        )
        pairs = 16 * weight[:, :half] + weight[:, half:]
        blocks = np.roll(_vectors(pairs[..., : -(-whole // 16) * 16], 16), 1, axis=1)
        left = _vectors(pairs[..., whole : whole + 8], 8)[:, : matrix.cols > whole]
        in_order = [v.reshape(len(pairs), -1) for v in (blocks[:, :1], left, blocks[:, 1:])]
        start = np.concatenate([16 * bias[:, :half] + bias[:, half:], 16 * bias[:, half:]], axis=1)
        parts.append(_words(start, np.concatenate(in_order, axis=1), multiplier))
    return Packed(np.concatenate(parts), complete=True)


def pack_split_nibble_pairs(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_split_s4_s16_mve.S``: bytes ``16 a + c`` of rows A C and B D."""
    weight, bias, multiplier = _groups(matrix, 4, -(-matrix.cols // 16) * 16)
    pairs = 16 * weight[:, :2] + weight[:, 2:]
    bias = bias + 128 * weight.sum(axis=-1)
    start = np.concatenate([16 * bias[:, :2] + bias[:, 2:], 16 * bias[:, 2:]], axis=1)
    return _stream(start, _vectors(pairs, 16), multiplier)


def _vectors(pairs: Ints, lanes: int) -> Ints:
    """Return words [groups, blocks, words] of bytes [groups, n, columns], `lanes` a block."""
    count, height, _ = pairs.shape
    blocks = pairs.reshape(count, height, -1, lanes).transpose(0, 2, 1, 3).astype(np.int8)
    return blocks.reshape(count, -1, lanes * height).view("<u4").astype(np.int64)


def _groups(
    matrix: Matrix, height: int, cols: int, part: slice = slice(None)
) -> tuple[Ints, Ints, Ints]:
    """Return weights [groups, height, cols], biases and multipliers [groups, height], padded."""
    rows = -len(matrix.bias[part]) % height
    weight = matrix.weight[part].astype(np.int64)
    weight = np.pad(weight, ((0, rows), (0, cols - matrix.cols)))
    ends = (np.pad(v[part].astype(np.int64), (0, rows)) for v in (matrix.bias, matrix.multiplier))
    bias, multiplier = (v.reshape(-1, height) for v in ends)
    return weight.reshape(-1, height, cols), bias, multiplier


def _stream(start: Ints, words: Ints, end: Ints) -> Packed:
    return Packed(_words(start, words, end), complete=True)


def _words(start: Ints, words: Ints, end: Ints) -> NDArray[np.uint32]:
    """Return for each group the start of the accumulators, weights, multipliers."""
    parts = np.concatenate([start, words.reshape(len(start), -1), end], axis=1)
    return as_words(parts).reshape(-1)

"""How the delta matvec kernels of the Arm DSP extension and Helium read their weights."""

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.packing.packed import Packed, as_words, column_pairs
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix


def pack_delta_long(matrix: Matrix) -> Packed:
    """Words ``2^24 a + b`` of rows A, B; sums ``2^32 A + 2^8 B`` in 64 bits."""
    weight, bias = _rows(matrix, 8)
    words = (weight[0::2] << 24) + weight[1::2]  # [pairs of rows, columns]
    return _complete(matrix, words.T, _long_sums(bias))


def pack_delta_bytes(matrix: Matrix) -> Packed:
    """Bytes ``b + 128, c, d + 128, a`` of four rows A B D C; sums as `pack_delta_long`.

    They are the words ``2^24 a + b + 128`` of two pairs of rows, one of them turned by 16 bits.
    """
    weight, bias = _rows(matrix, 8)
    first, second = (
        ((weight[i::4] & 255) << 24) | (weight[i + 1 :: 4] + 128) for i in (0, 2)
    )  # [fours of rows, columns]
    turned = ((second >> 16) | (second << 16)) & 0xFFFFFFFF
    return _complete(matrix, (first | turned).T, _long_sums(bias))


def pack_delta_row_pairs(matrix: Matrix) -> Packed:
    """Pairs of columns, halfwords ``256 a + b`` of rows A, B; sums ``256 A + B`` and B."""
    weight, bias = _rows(matrix, 8)
    bias[0::2] = 256 * bias[0::2] + bias[1::2]
    return _complete(matrix, column_pairs(256 * weight[0::2] + weight[1::2]), bias)


def pack_delta_halfwords(matrix: Matrix) -> Packed:
    """Pairs of columns, a halfword a weight."""
    weight, bias = _rows(matrix, 8)
    return _complete(matrix, column_pairs(weight), bias)


def pack_delta_vectors(matrix: Matrix) -> Packed:
    """Columns of bytes, rows of each 8 in the order 0 2 4 6 1 3 5 7; multipliers likewise."""
    weight, bias = _rows(matrix, 16)
    order = np.arange(len(bias)).reshape(-1, 8)[:, [0, 2, 4, 6, 1, 3, 5, 7]].reshape(-1)
    multiplier = np.zeros(len(bias), np.int64)
    multiplier[: matrix.rows] = matrix.multiplier.astype(np.int64) << (matrix.shift - 1)
    columns = np.ascontiguousarray(weight[order].T.astype(np.int8)).view("<u4")
    stream = _words(multiplier[order], columns)
    return Packed(stream, complete=True, memory=_words(bias[order]))


def _rows(matrix: Matrix, multiple: int) -> tuple[Ints, Ints]:
    """Return weights and biases, padded by rows of zeros."""
    padding = -matrix.rows % multiple
    weight = np.pad(matrix.weight.astype(np.int64), ((0, padding), (0, 0)))
    return weight, np.pad(matrix.bias.astype(np.int64), (0, padding))


def _long_sums(bias: Ints) -> Ints:
    sums = (bias[0::2] << 32) + (bias[1::2] << 8)
    return np.stack([sums & 0xFFFFFFFF, sums >> 32], axis=1).reshape(-1)


def _complete(matrix: Matrix, words: Ints, sums: Ints) -> Packed:
    """Return multipliers that hold the shift, then `words`; and the sums after a reset."""
    multiplier = np.zeros(len(sums), np.int64)
    multiplier[: matrix.rows] = matrix.multiplier.astype(np.int64) << matrix.shift
    return Packed(_words(multiplier, words), complete=True, memory=_words(sums))


def _words(*parts: Ints) -> NDArray[np.uint32]:
    return as_words(np.concatenate([np.asarray(part).reshape(-1) for part in parts]))

"""How the block-sparse delta matvec kernels read their weights: the blocks of each column."""

from collections.abc import Callable, Sequence

import numpy as np

from edgeflow.codegen.packing.packed import Packed, as_words, whole
from edgeflow.codegen.packing.sparse import SparseFormat
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Rows from a block to the next one, a byte of whole blocks.
DELTA_COLUMNS_OF_EIGHT = SparseFormat(8, 1, reach=8 * 255, by_columns=True)
#: Sums by their offset in bytes, a halfword.
DELTA_COLUMNS_OF_FOUR = SparseFormat(4, 1, step=2, by_columns=True)
DELTA_COLUMN_PAIRS = SparseFormat(4, 2, step=2, by_columns=True)
DELTA_VECTORS = SparseFormat(8, 1, step=2, by_columns=True)
MAX_OFFSET_ROWS = (1 << 16) // 4

#: Words [n, size] of the weights [rows, n, cols] of n blocks.
BlockWords = Callable[[Ints], Ints]


def pack_delta_sparse_columns(matrix: Matrix) -> Packed:
    """Stream of ``ef_delta_matvec_sparse_8x1_s8_s16.c``."""
    form = DELTA_COLUMNS_OF_EIGHT
    columns = []
    for first, weight in form.groups(matrix):
        distance = np.diff(first, prepend=0)[:, None] // form.rows
        columns.append(np.concatenate([distance, weight[..., 0].T], axis=1).reshape(-1))
    start = np.cumsum([0, *(column.size for column in columns)])
    stream = (np.concatenate(columns) & 255).astype(np.uint8)
    blocks = np.pad(stream, (0, -stream.size % 4)).view("<u4")
    sums = whole(matrix.bias, form.rows)
    return _packed([whole(matrix.multiplier, 1), start, blocks], sums)


def pack_delta_sparse_rows(matrix: Matrix, form: SparseFormat) -> Packed:
    """Stream of ``ef_delta_matvec_sparse_dsp.inc``: halfwords ``256 a + b`` of rows A, B."""

    def words(weight: Ints) -> Ints:
        halves = (256 * weight[0::2] + weight[1::2]) & 0xFFFF  # [AB or CD, n, columns]
        flat = halves.transpose(1, 0, 2).reshape(halves.shape[1], -1)
        return flat[:, 0::2] | (flat[:, 1::2] << 16)

    sums = whole(matrix.bias, 8)
    sums[0::2] = 256 * sums[0::2] + sums[1::2]
    multiplier = whole(matrix.multiplier, 8) << matrix.shift
    return _packed([multiplier, *_columns(matrix, form, words)], sums)


def pack_delta_sparse_vectors(matrix: Matrix) -> Packed:
    """Stream of ``ef_delta_matvec_sparse_8x1_s8_s16_mve.c``: rows 0 2 4 6 1 3 5 7 of each 8."""
    order = [0, 2, 4, 6, 1, 3, 5, 7]

    def words(weight: Ints) -> Ints:
        rows = np.ascontiguousarray(weight[order, :, 0].T.astype(np.int8))
        return rows.view("<u4").astype(np.int64)

    sums, multiplier = (
        whole(values, 8).reshape(-1, 8)[:, order] for values in (matrix.bias, matrix.multiplier)
    )
    columns = _columns(matrix, DELTA_VECTORS, words)
    return _packed([multiplier << (matrix.shift - 1), *columns], sums)


def _columns(matrix: Matrix, form: SparseFormat, words: BlockWords) -> list[Ints]:
    """Return how far each column's blocks are, then for each of these the number of items and them.

    An item is two offsets of sums in bytes, halfwords of a word, and the words of two blocks.
    """
    columns = []
    for first, weight in form.groups(matrix):
        offsets = 4 * first.reshape(-1, 2)
        pairs = words(weight).reshape(len(offsets), -1) if len(offsets) else np.zeros((0, 0))
        items = np.concatenate([offsets[:, :1] | offsets[:, 1:] << 16, pairs], axis=1)
        columns.append(np.concatenate([[len(items)], items.reshape(-1)]).astype(np.int64))
    start = np.cumsum([0, *(column.size for column in columns[:-1])])
    # from the word that tells it
    return [4 * (start + len(start) - np.arange(len(start))), *columns]


def _packed(parts: Sequence[Ints], sums: Ints) -> Packed:
    stream = np.concatenate([np.asarray(part, np.int64).reshape(-1) for part in parts])
    return Packed(as_words(stream), complete=True, memory=as_words(sums.reshape(-1)))

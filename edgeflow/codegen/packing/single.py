"""How matvec kernels of single weights read them: those that are zero are left out."""

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.packing.packed import Packed, as_words
from edgeflow.codegen.packing.sparse import SparseFormat
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Columns by their numbers, or bytes from x itself.
SINGLES = SparseFormat(1, 1)
#: By the values from one's x to the next one's, as a byte holds them, or twice as many.
SINGLES_APART = SparseFormat(1, 1, reach=255)
SINGLES_NEAR = SparseFormat(1, 1, reach=127)
#: Vectors of gathered columns, equally many for each eight rows.
SINGLES_GATHERED = SparseFormat(1, 1, step=8, together=8)
#: Items that kernels unroll, and those that run before another number is read.
UNROLLED, PART = 32, 16
#: Numbers of items that say so, and that the last row is over.
MORE = UNROLLED + 1
END = UNROLLED + 2


def pack_singles_by_number(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_sparse_1x1_s8_s16_armv7m.S``."""
    rows: list[int] = []
    items: list[Ints] = []
    ends = matrix.bias.tolist(), matrix.multiplier.tolist()
    for (first, weight), bias, multiplier in zip(SINGLES.groups(matrix), *ends, strict=True):
        rows += [bias, multiplier, *_numbers(len(first))]
        items.append(np.stack([first, weight[0, :, 0]], axis=1))
    return _rows_then_items([*rows, 0, 0, END], items)


def pack_singles_by_sign(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_sparse_1x1_s8_s16_armv6m.S``: positive weights first."""
    rows: list[int] = []
    items: list[Ints] = []
    ends = matrix.bias.tolist(), matrix.multiplier.tolist()
    for (first, weight), bias, multiplier in zip(SINGLES.groups(matrix), *ends, strict=True):
        values = weight[0, :, 0]
        all_items = np.stack([2 * first, np.abs(values)], axis=1)
        signs = [all_items[values > 0], all_items[values < 0]]
        # the first numbers of both signs stand together
        (p, *more_p), (n, *more_n) = (
            [2 * k for k in _numbers(len(s), UNROLLED // 2, PART // 2)] for s in signs
        )
        rows += [bias, p, n, *more_p, *more_n, multiplier]
        items += signs
    return _rows_then_items([*rows, 0, 2 * (UNROLLED // 2 + 2), 0, 0], items)


def pack_singles_by_distance(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_sparse_1x1_s8_s16_rv32.S``."""
    rows: list[int] = []
    items: list[Ints] = []
    ends = matrix.bias.tolist(), matrix.multiplier.tolist()
    for (first, weight), bias, multiplier in zip(SINGLES_NEAR.groups(matrix), *ends, strict=True):
        rows += [bias, *(2 * k for k in _numbers(len(first))), multiplier]
        items.append(np.stack([np.diff(2 * first, prepend=0), weight[0, :, 0]], axis=1))
    return _rows_then_items(rows, items)


def pack_singles_in_fours(matrix: Matrix, wide: bool) -> Packed:
    """Stream of ``ef_matvec_sparse_1x1_dsp.inc``, with places in words if `wide`, else in bytes."""
    stream: list[Ints] = []
    multipliers = matrix.multiplier.astype(np.int64) << matrix.shift
    ends = np.stack([matrix.bias, multipliers], axis=1)
    for (first, weight), end in zip(SINGLES.groups(matrix), ends, strict=True):
        stream.append(end)
        items = np.stack([first, weight[0, :, 0]], axis=1)
        for number in _numbers(len(items)):
            now = PART if number == MORE else number
            stream += [np.array([number]), _fours(items[:now], wide).reshape(-1)]
            items = items[now:]
    stream += [np.array([0, 0, END]), _fours(items[:0], wide).reshape(-1)]
    words = np.concatenate(stream) & 0xFFFFFFFF
    return Packed(words.astype(np.uint32), complete=True)


def pack_singles_gathered(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_sparse_1x1_s8_s16_mve.S``; multipliers hold the shift."""
    form = SINGLES_GATHERED
    stored = [
        np.stack([first, weight[0, :, 0]]).reshape(2, -1, form.step)
        for first, weight in form.groups(matrix)
    ]
    most_first = np.argsort([-items.shape[1] for items in stored], kind="stable")
    rows = np.pad(most_first, (0, -matrix.rows % form.together), mode="edge")
    multiplier = matrix.multiplier.astype(np.int64) << (matrix.shift - 1)
    stream: list[NDArray[np.uint32]] = []
    for group in rows.reshape(-1, form.together):
        count = stored[group[0]].shape[1]
        order = group[[0, 2, 4, 6, 1, 3, 5, 7]]
        # [columns or weights, vectors, 8] of each row
        items = [stored[row] for row in order]
        items = [np.pad(i, ((0, 0), (0, count - i.shape[1]), (0, 0))) for i in items]
        vectors = np.stack(items).transpose(2, 0, 1, 3)  # [vectors, rows, columns or weights, 8]
        stream += [
            _words([*matrix.bias[order].tolist(), count]),
            np.ascontiguousarray(vectors & 255).astype(np.uint8).reshape(-1).view("<u4"),
            _words(multiplier[order].tolist()),
            group.astype("<u2").view("<u4"),
        ]
    return Packed(np.concatenate(stream).astype(np.uint32), complete=True)


def _fours(items: Ints, wide: bool) -> Ints:
    """Return words [fours, n] of columns and weights [items, 2]; the first four is filled up."""
    lacking = -len(items) % 4 if len(items) else 4
    fours = np.concatenate([np.zeros((lacking, 2), np.int64), items]).reshape(-1, 4, 2)
    columns, weights = fours[..., 0], fours[..., 1]
    places = 2 * columns
    if not wide:
        places = np.ascontiguousarray(columns.astype(np.uint8)).view("<u4").astype(np.int64)
    pairs = weights.reshape(-1, 2, 2) & 0xFFFF
    return np.concatenate([places, pairs[..., 0] | pairs[..., 1] << 16], axis=1)


def _numbers(count: int, unrolled: int = UNROLLED, part: int = PART) -> list[int]:
    """Return the numbers that tell a kernel how many items a row has."""
    parts = max(0, -(-(count - unrolled) // part))
    return parts * [unrolled + 1] + [count - parts * part]


def _rows_then_items(rows: list[int], items: list[Ints]) -> Packed:
    """Return the bytes of the rows' words, these words, and the bytes of the items."""
    stored = (np.concatenate(items).reshape(-1) & 255).astype(np.uint8)
    tail = np.pad(stored, (0, -stored.size % 4)).view("<u4")
    return Packed(np.concatenate([_words([4 * len(rows), *rows]), tail]), complete=True)


def _words(values: list[int]) -> NDArray[np.uint32]:
    return as_words(np.array(values, np.int64))

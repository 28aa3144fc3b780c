"""How block-sparse matvec kernels read their weights: blocks of zeros are left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.packing.packed import Packed, as_words, column_pairs, whole
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Items that the kernels of ``ef_matvec_sparse_dsp.inc`` unroll.
UNROLLED = 8


#: What `SparseFormat.stored` found, as several kernels store the same blocks of a matrix.
_STORED: WeakKeyDictionary[Matrix, dict[tuple[int, ...], list[Ints]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class SparseFormat:
    """Which blocks of a matrix are stored.

    Parameters
    ----------
    rows, cols : int
        Shape of a block; blocks lie at multiples of it.
    step : int
        Blocks of a row of blocks that are stored together: an item. What lacks is zeros.
    reach : int
        From a block to the next one stored, in columns, as a byte holds it; where the next block
        that is not zero lies farther, zeros are stored in between.
    by_columns : bool
        Blocks of a column of blocks are stored together, as delta kernels read them, rather than
        those of a row; reach counts rows.
    together : int
        Rows of blocks that get equally many items, those with about as many by themselves.
    """

    rows: int
    cols: int
    step: int = 1
    reach: int = 1 << 16
    by_columns: bool = False
    together: int = 1

    def stored(self, matrix: Matrix) -> list[Ints]:
        """Return the numbers of the blocks stored of each row, or column, of blocks."""
        found = _STORED.setdefault(matrix, {})
        key = (self.rows, self.cols, self.reach, self.by_columns)
        if key not in found:
            found[key] = self._find(matrix)
        return found[key]

    def _find(self, matrix: Matrix) -> list[Ints]:
        farthest = self.reach // self._pitch
        filled = np.any(self._blocks(matrix), axis=(2, 3))
        if filled.all():
            return [np.arange(filled.shape[1])] * len(filled)
        result = []
        for row in filled:
            numbers = np.flatnonzero(row)
            far = np.flatnonzero(np.diff(numbers, prepend=0) > farthest)
            if far.size:
                pairs = zip(np.append(0, numbers)[far], numbers[far], strict=True)
                between = [np.arange(low + farthest, high, farthest) for low, high in pairs]
                numbers = np.sort(np.concatenate([numbers, *between]))
            result.append(numbers)
        return result

    def items(self, matrix: Matrix) -> int:
        """Return how many items are stored: what the kernel's time grows with."""
        counts = [-(-len(numbers) // self.step) for numbers in self.stored(matrix)]
        return self.together * sum(sorted(counts, reverse=True)[:: self.together])

    def share(self, matrix: Matrix) -> float:
        """Return the part of the blocks that is stored, 0..1, or more with what fills items."""
        blocks = -(-matrix.rows // self.rows) * -(-matrix.cols // self.cols)
        return self.items(matrix) * self.step / blocks

    def groups(self, matrix: Matrix) -> Iterator[tuple[Ints, Ints]]:
        """Give where blocks begin [n] and their weights [rows, n, cols], for each row of blocks.

        Or for each column of blocks; they begin at columns, or at rows. n is a multiple of `step`:
        weights of 0 at the last block's place fill up.
        """
        for blocks, numbers in zip(self._blocks(matrix), self.stored(matrix), strict=True):
            lacking = -len(numbers) % self.step
            chosen = blocks[numbers]
            if lacking:
                chosen = np.pad(chosen, ((0, lacking), (0, 0), (0, 0)))
                numbers = np.append(numbers, lacking * [numbers[-1]])
            yield numbers * self._pitch, chosen.transpose(1, 0, 2)

    @property
    def _pitch(self) -> int:
        return self.rows if self.by_columns else self.cols

    def _blocks(self, matrix: Matrix) -> Ints:
        """Return [rows of blocks, columns of blocks, rows, cols], or the first two swapped."""
        height, width = -(-matrix.rows // self.rows), -(-matrix.cols // self.cols)
        padded = np.zeros((height * self.rows, width * self.cols), np.int64)
        padded[: matrix.rows, : matrix.cols] = matrix.weight
        blocks = padded.reshape(height, self.rows, width, self.cols).swapaxes(1, 2)
        return blocks.swapaxes(0, 1) if self.by_columns else blocks


#: Column blocks by the bytes from one's x to the next one's.
TILES = SparseFormat(4, 4, reach=124)
COLUMN_PAIRS = SparseFormat(4, 2, reach=126)
COLUMNS_OF_FOUR = SparseFormat(4, 1, step=2, reach=127)
COLUMNS_OF_EIGHT = SparseFormat(8, 1, reach=255)
#: Columns by their numbers, which a byte holds.
NUMBERED = SparseFormat(8, 1)
#: Vectors of gathered columns, which are at most `MAX_GATHERED` and half of it.
GATHERED_HALFWORDS = SparseFormat(8, 1, step=8)
GATHERED_BYTES = SparseFormat(8, 1, step=16)
MAX_GATHERED = 256


def pack_sparse_columns(matrix: Matrix, form: SparseFormat) -> Packed:
    """Stream of ``ef_matvec_sparse_8x1_s8_s16.c``, or of the one for 1 x 1."""
    parts = []
    for first, weight in form.groups(matrix):
        columns = np.concatenate([np.diff(first, prepend=0)[:, None], weight[..., 0].T], axis=1)
        parts += [np.array([len(first) & 255, len(first) >> 8]), columns.reshape(-1)]
    stream = np.concatenate(parts) & 255
    return Packed(stream.astype(np.uint8).view(np.int8), complete=False)


def pack_sparse_numbered(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_sparse_8x1_s8_s16_armv6m.S``."""
    ends = (as_words(whole(v, 8).reshape(-1, 8)) for v in (matrix.bias, matrix.multiplier))
    parts: list[NDArray[np.uint32]] = []
    for (first, weight), bias, multiplier in zip(NUMBERED.groups(matrix), *ends, strict=True):
        columns = np.concatenate([first[:, None], weight[..., 0].T + 128], axis=1).reshape(-1)
        stored = np.pad(columns.astype(np.uint8), (0, -columns.size % 4)).view("<u4")
        parts += [bias, np.array([columns.size], np.uint32), stored, multiplier]
    return Packed(np.concatenate(parts).astype(np.uint32), complete=True)


def pack_sparse_tiles(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_sparse_dsp.inc``, 4 x 4 blocks, a word a row, bytes c0 c2 c1 c3."""
    parts = []
    for first, weight in TILES.groups(matrix):
        tiles = weight.transpose(1, 0, 2)[..., [0, 2, 1, 3]].astype(np.int8)
        parts.append((first, np.ascontiguousarray(tiles).view("<u4")[..., 0].astype(np.int64)))
    return _stream(matrix, TILES, parts, matrix.bias, matrix.multiplier)


def pack_sparse_halfwords(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_sparse_dsp.inc``, 4 x 4 blocks, a word a row for each 2 columns."""
    parts = [(first, column_pairs(_flat(weight))) for first, weight in TILES.groups(matrix)]
    return _stream(matrix, TILES, parts, matrix.bias, _shifted(matrix, matrix.shift))


def pack_sparse_pairs(matrix: Matrix, form: SparseFormat) -> Packed:
    """Stream of ``ef_matvec_sparse_dsp.inc``, halfwords ``256 a + b`` of rows A, B and of C, D."""
    parts = [
        (first, column_pairs(_flat(256 * weight[0::2] + weight[1::2])))
        for first, weight in form.groups(matrix)
    ]
    bias = whole(matrix.bias, 4)
    bias[0::2] = 256 * bias[0::2] + bias[1::2]
    return _stream(matrix, form, parts, bias, _shifted(matrix, matrix.shift))


def pack_sparse_gathered(matrix: Matrix, form: SparseFormat) -> Packed:
    """Stream of ``ef_matvec_sparse_mve.inc``; multipliers hold the shift."""
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    ends = [
        as_words(whole(values, 8).reshape(-1, 8)[:, order])
        for values in (matrix.bias, _shifted(matrix, matrix.shift - 1))
    ]
    unit = form.step // 8  # of offsets into x: halfwords, or bytes
    parts: list[NDArray[np.uint32]] = []
    for (first, weight), bias, multiplier in zip(form.groups(matrix), *ends, strict=True):
        rows = weight[order, :, 0].reshape(8, -1, form.step).transpose(1, 0, 2)
        vectors = np.concatenate([unit * first.reshape(-1, 1, form.step), rows], axis=1)
        stored = (vectors & 255).astype(np.uint8).reshape(-1).view("<u4")
        parts += [bias, np.array([len(vectors)], np.uint32), stored, multiplier]
    return Packed(np.concatenate(parts).astype(np.uint32), complete=True)


def _stream(
    matrix: Matrix,
    form: SparseFormat,
    parts: list[tuple[Ints, Ints]],
    bias: Ints | NDArray[np.int32],
    multiplier: Ints | NDArray[np.int32],
) -> Packed:
    """Return the stream of ``ef_matvec_sparse_dsp.inc`` from first columns and words of groups."""
    starts, ends = (as_words(whole(v, 4).reshape(-1, 4)) for v in (bias, multiplier))
    per_word = 4 // form.step  # items whose offsets share a word
    stream: list[NDArray[np.uint32]] = []
    for (first, words), start, end in zip(parts, starts, ends, strict=True):
        count = len(first) // form.step
        skipped = -count % UNROLLED % per_word
        offsets = np.diff(2 * first, prepend=0).astype(np.uint8)
        shared = np.pad(offsets, (skipped * form.step, 0)).view("<u4")
        items = as_words(words.reshape(count, words.size // max(1, count)))
        stream += [start, np.array([count], np.uint32)]
        done = 0
        for number, word in enumerate(shared):
            until = (number + 1) * per_word - skipped
            stream += [np.array([word], np.uint32), items[done:until].reshape(-1)]
            done = until
        stream.append(end)
    return Packed(np.concatenate(stream).astype(np.uint32), complete=True)


def _flat(halves: Ints) -> Ints:
    """Return [n, blocks, columns of a block] as [n, columns]."""
    return halves.reshape(len(halves), -1)


def _shifted(matrix: Matrix, shift: int) -> Ints:
    return matrix.multiplier.astype(np.int64) << shift

"""Blocks of a matrix that are stored, where those of zeros are left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Results of `BlockFormat.stored`, as several kernels store the same blocks of a matrix.
_STORED: WeakKeyDictionary[Matrix, dict[tuple[int, ...], list[Ints]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class BlockFormat:
    """The blocks of a matrix that are stored.

    Parameters
    ----------
    rows, cols : int
        Shape of a block; blocks lie at multiples of it.
    step : int
        Blocks of a row of blocks that are stored together: an item, filled up with zeros.
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
        known = _STORED.setdefault(matrix, {})
        key = (self.rows, self.cols, self.reach, self.by_columns)
        if key not in known:
            known[key] = self._find(matrix)
        return known[key]

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
        """Return the number of items stored: what the kernel's time grows with."""
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

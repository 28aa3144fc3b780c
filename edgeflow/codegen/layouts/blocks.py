"""Layouts of the blocks of weights that are not zero."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.codegen.layouts.layout import (
    EVEN_ODD,
    Layout,
    Packed,
    bytes_to_words,
    column_pairs,
    complete,
    padded_bytes,
    row_groups,
    with_row_below,
)
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Items that the kernels of ``ef_matvec_sparse_dsp.inc`` unroll.
UNROLLED = 8


@dataclass(frozen=True)
class GapBlocks(Layout):
    """For each row of blocks their number, then each behind a byte with the gap before it.

    Parameters
    ----------
    blocks : BlockFormat
        Of one column; gaps are values of x.
    """

    blocks: BlockFormat

    def pack(self, matrix: Matrix) -> Packed:
        parts = []
        for first, weight in self.blocks.groups(matrix):
            columns = np.concatenate([np.diff(first, prepend=0)[:, None], weight[..., 0].T], axis=1)
            parts += [np.array([len(first) & 255, len(first) >> 8]), columns.reshape(-1)]
        stream = np.concatenate(parts) & 255
        return Packed(stream.astype(np.uint8).view(np.int8), complete=False)


class IndexedBlocks(Layout):
    """Blocks of 8 x 1 in bytes ``w + 128``, each behind its column's index, a byte."""

    blocks: BlockFormat = BlockFormat(8, 1)

    def pack(self, matrix: Matrix) -> Packed:
        ends = (row_groups(values, 8) for values in (matrix.bias, matrix.multiplier))
        parts: list[Ints] = []
        groups = zip(self.blocks.groups(matrix), *ends, strict=True)
        for (first, weight), bias, multiplier in groups:
            columns = np.concatenate([first[:, None], weight[..., 0].T + 128], axis=1).reshape(-1)
            parts += [bias, np.array([columns.size]), padded_bytes(columns), multiplier]
        return complete(*parts)


@dataclass(frozen=True)
class GatheredBlocks(Layout):
    """Blocks of 8 x 1, behind each item the offsets of its x (``ef_matvec_sparse_mve.inc``).

    Multipliers hold the shift.

    Parameters
    ----------
    blocks : BlockFormat
        Of one column, 8 or 16 per item; offsets are bytes, of halfwords with 16.
    """

    blocks: BlockFormat

    def pack(self, matrix: Matrix) -> Packed:
        step = self.blocks.step
        ends = (row_groups(v, 8)[:, EVEN_ODD] for v in (matrix.bias, _shifted(matrix, 1)))
        parts: list[Ints] = []
        groups = zip(self.blocks.groups(matrix), *ends, strict=True)
        for (first, weight), bias, multiplier in groups:
            rows = weight[EVEN_ODD, :, 0].reshape(8, -1, step).transpose(1, 0, 2)
            vectors = np.concatenate([step // 8 * first.reshape(-1, 1, step), rows], axis=1)
            parts += [bias, np.array([len(vectors)]), bytes_to_words(vectors), multiplier]
        return complete(*(part.reshape(-1) for part in parts))


@dataclass(frozen=True)
class OffsetBlocks(Layout):
    """Blocks of 4 rows behind words of offsets from one's x (``ef_matvec_sparse_dsp.inc``).

    Parameters
    ----------
    blocks : BlockFormat
    """

    blocks: BlockFormat

    def stream(
        self,
        matrix: Matrix,
        words: Sequence[Ints],
        bias: NDArray[np.integer],
        multiplier: NDArray[np.integer],
    ) -> Packed:
        """Return the stream, given the words of each row of blocks."""
        per_word = 4 // self.blocks.step  # items whose offsets share a word
        stream: list[Ints] = []
        ends = (row_groups(values, 4) for values in (bias, multiplier))
        groups = zip(self.blocks.groups(matrix), words, *ends, strict=True)
        for (first, _), group, start, end in groups:
            count = len(first) // self.blocks.step
            skipped = -count % UNROLLED % per_word
            offsets = np.diff(2 * first, prepend=0)
            shared = bytes_to_words(np.pad(offsets, (skipped * self.blocks.step, 0)))
            items = group.reshape(count, group.size // max(1, count))
            stream += [start, np.array([count])]
            done = 0
            for number, word in enumerate(shared):
                until = (number + 1) * per_word - skipped
                stream += [word[None], items[done:until].reshape(-1)]
                done = until
            stream.append(end)
        return complete(*stream)


@dataclass(frozen=True)
class BlockTiles(OffsetBlocks):
    """Blocks of 4 x 4, a word per row with bytes c0 c2 c1 c3."""

    def pack(self, matrix: Matrix) -> Packed:
        words = [
            bytes_to_words(weight.transpose(1, 0, 2)[..., [0, 2, 1, 3]])
            for _, weight in self.blocks.groups(matrix)
        ]
        return self.stream(matrix, words, matrix.bias, matrix.multiplier)


@dataclass(frozen=True)
class BlockHalfwords(OffsetBlocks):
    """Blocks of 4 x 4, a word per row for each 2 columns, weights in 16 bits."""

    weight_bits = 16

    def pack(self, matrix: Matrix) -> Packed:
        words = [column_pairs(_flat(weight)) for _, weight in self.blocks.groups(matrix)]
        return self.stream(matrix, words, matrix.bias, _shifted(matrix))


@dataclass(frozen=True)
class BlockRowPairs(OffsetBlocks):
    """Halfwords ``256 a + b`` of rows A, B and of C, D of a block, two columns."""

    def pack(self, matrix: Matrix) -> Packed:
        words = [
            column_pairs(_flat(256 * weight[0::2] + weight[1::2]))
            for _, weight in self.blocks.groups(matrix)
        ]
        bias = with_row_below(row_groups(matrix.bias, 4)).reshape(-1)
        return self.stream(matrix, words, bias, _shifted(matrix))


def _flat(halves: Ints) -> Ints:
    """Return [n, blocks, columns of a block] as [n, columns]."""
    return halves.reshape(len(halves), -1)


def _shifted(matrix: Matrix, less: int = 0) -> Ints:
    return matrix.multiplier.astype(np.int64) << (matrix.shift - less)

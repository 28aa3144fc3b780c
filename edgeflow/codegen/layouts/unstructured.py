"""Layouts of unstructured sparsity: each weight that is not zero, with where it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.codegen.layouts.layout import (
    EVEN_ODD,
    Layout,
    Packed,
    bytes_to_words,
    complete,
    padded_bytes,
)
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Items that kernels unroll, and those that run before another count is read.
UNROLLED, PART = 32, 16
#: Counts of items that say so, and that the last row is over.
MORE = UNROLLED + 1
END = UNROLLED + 2


class Unstructured(Layout):
    """The weights of a row that are not zero, with where they are."""

    blocks: BlockFormat = BlockFormat(1, 1)

    def rows(self, matrix: Matrix) -> Iterator[tuple[Ints, Ints, int, int]]:
        """Give columns, weights, bias and multiplier of each row."""
        ends = matrix.bias.tolist(), matrix.multiplier.tolist()
        groups = zip(self.blocks.groups(matrix), *ends, strict=True)
        for (first, weight), bias, multiplier in groups:
            yield first, weight[0, :, 0], bias, multiplier

    def stream(self, rows: Sequence[int], items: list[Ints]) -> Packed:
        """Return the bytes of the rows' words, these words, and the items, two bytes each."""
        stored = padded_bytes(np.concatenate(items).reshape(-1))
        return complete(np.array([4 * len(rows), *rows]), stored)


class Indexed(Unstructured):
    """Items of an absolute column index and a weight (``ef_matvec_sparse_1x1_s8_s16_armv7m.S``)."""

    def pack(self, matrix: Matrix) -> Packed:
        rows: list[int] = []
        items: list[Ints] = []
        for first, weight, bias, multiplier in self.rows(matrix):
            rows += [bias, multiplier, *_counts(len(first))]
            items.append(np.stack([first, weight], axis=1))
        return self.stream([*rows, 0, 0, END], items)


class IndexedBySign(Unstructured):
    """Items of twice an index and a magnitude, positive weights of a row first.

    Read by ``ef_matvec_sparse_1x1_s8_s16_armv6m.S``.
    """

    def pack(self, matrix: Matrix) -> Packed:
        rows: list[int] = []
        items: list[Ints] = []
        for first, weight, bias, multiplier in self.rows(matrix):
            all_items = np.stack([2 * first, np.abs(weight)], axis=1)
            signs = [all_items[weight > 0], all_items[weight < 0]]
            # the first counts of both signs stand together
            (p, *more_p), (n, *more_n) = (
                [2 * k for k in _counts(len(s), UNROLLED // 2, PART // 2)] for s in signs
            )
            rows += [bias, p, n, *more_p, *more_n, multiplier]
            items += signs
        return self.stream([*rows, 0, 2 * (UNROLLED // 2 + 2), 0, 0], items)


class GapEncoded(Unstructured):
    """Items of a gap in bytes and a weight (``ef_matvec_sparse_1x1_s8_s16_rv32.S``)."""

    blocks: BlockFormat = BlockFormat(1, 1, reach=127)

    def pack(self, matrix: Matrix) -> Packed:
        rows: list[int] = []
        items: list[Ints] = []
        for first, weight, bias, multiplier in self.rows(matrix):
            rows += [bias, *(2 * k for k in _counts(len(first))), multiplier]
            items.append(np.stack([np.diff(2 * first, prepend=0), weight], axis=1))
        return self.stream(rows, items)


@dataclass(frozen=True)
class IndexedFours(Unstructured):
    """Items of four columns and four weights in 16 bits (``ef_matvec_sparse_1x1_dsp.inc``).

    Parameters
    ----------
    weight_bits : int
        8: a column is its index in a byte. 16: its offset from x in a word.
    """

    weight_bits: int = 8

    def pack(self, matrix: Matrix) -> Packed:
        stream: list[Ints] = []
        for first, weight, bias, multiplier in self.rows(matrix):
            stream.append(np.array([bias, multiplier << matrix.shift]))
            items = np.stack([first, weight], axis=1)
            for count in _counts(len(items)):
                now = PART if count == MORE else count
                stream += [np.array([count]), self._fours(items[:now])]
                items = items[now:]
        return complete(*stream, np.array([0, 0, END]), self._fours(items[:0]))

    def _fours(self, items: Ints) -> Ints:
        """Return words [fours, n] of columns and weights [items, 2]; the first is filled up."""
        lacking = -len(items) % 4 if len(items) else 4
        fours = np.concatenate([np.zeros((lacking, 2), np.int64), items]).reshape(-1, 4, 2)
        columns, weights = fours[..., 0], fours[..., 1]
        places = 2 * columns if self.weight_bits == 16 else bytes_to_words(columns)
        pairs = weights.reshape(-1, 2, 2) & 0xFFFF
        return np.concatenate([places, pairs[..., 0] | pairs[..., 1] << 16], axis=1)


class GatheredRows(Layout):
    """Eight rows with about as many weights, 8 indices before 8 weights of each.

    Read by ``ef_matvec_sparse_1x1_s8_s16_mve.S``; multipliers hold the shift.
    """

    blocks: BlockFormat = BlockFormat(1, 1, step=8, together=8)

    def pack(self, matrix: Matrix) -> Packed:
        stored = [
            np.stack([first, weight[0, :, 0]]).reshape(2, -1, self.blocks.step)
            for first, weight in self.blocks.groups(matrix)
        ]
        most_first = np.argsort([-items.shape[1] for items in stored], kind="stable")
        rows = np.pad(most_first, (0, -matrix.rows % self.blocks.together), mode="edge")
        multiplier = matrix.multiplier.astype(np.int64) << (matrix.shift - 1)
        stream: list[Ints] = []
        for group in rows.reshape(-1, self.blocks.together):
            count = stored[group[0]].shape[1]
            order = group[EVEN_ODD]
            # [columns or weights, vectors, 8] of each row
            items = [stored[row] for row in order]
            items = [np.pad(i, ((0, 0), (0, count - i.shape[1]), (0, 0))) for i in items]
            # [vectors, rows, columns or weights, 8]
            vectors = np.stack(items).transpose(2, 0, 1, 3)
            stream += [
                np.array([*matrix.bias[order].tolist(), count]),
                bytes_to_words(vectors).reshape(-1),
                multiplier[order],
                group[0::2] | group[1::2] << 16,
            ]
        return complete(*stream)


def _counts(count: int, unrolled: int = UNROLLED, part: int = PART) -> list[int]:
    """Return the counts that tell a kernel how many items a row has."""
    parts = max(0, -(-(count - unrolled) // part))
    return parts * [unrolled + 1] + [count - parts * part]

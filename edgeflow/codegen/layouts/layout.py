"""Layouts: a matrix as one array, in the order in which a kernel loads it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

#: Rows of eight as Helium's even and odd lanes take them.
EVEN_ODD = [0, 2, 4, 6, 1, 3, 5, 7]


@dataclass(frozen=True)
class Packed:
    """Weights as a kernel reads them.

    Parameters
    ----------
    weights : int8 or uint32 array [size]
    complete : bool
        Bias and multipliers are among the weights; the kernel reads no others.
    memory : uint32 array
        First words of a delta matrix's memory after a reset; x_hat, of zeros, stands behind them.
    """

    weights: NDArray[np.int8] | NDArray[np.uint32]
    complete: bool
    memory: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))


class Layout(ABC):
    """A way to store the weights of a matrix.

    Attributes
    ----------
    weight_bits : int
        Width in which a weight is stored.
    delta : bool
        Of delta matrices: their memory starts with sums.
    blocks : BlockFormat or None
        The blocks of weights that are stored; None: all weights.
    """

    weight_bits: int = 8
    delta: ClassVar[bool] = False
    blocks: BlockFormat | None = None

    @abstractmethod
    def pack(self, matrix: Matrix) -> Packed:
        """Return the weights of a matrix as the kernel reads them."""

    def bytes(self, matrix: Matrix) -> int:
        """Return bytes of weights, biases and multipliers, and of the sums after a reset."""
        packed = self.pack(matrix)
        ends = 0 if packed.complete else matrix.bias.nbytes + matrix.multiplier.nbytes
        return packed.weights.nbytes + packed.memory.nbytes + ends


def complete(*parts: NDArray[np.integer], memory: Ints | None = None) -> Packed:
    """Return the lower 32 bits of all parts, one behind the other, and of `memory`."""
    stream = np.concatenate([np.asarray(part, np.int64).reshape(-1) for part in parts])
    if memory is None:
        return Packed(_words(stream), complete=True)
    return Packed(_words(stream), complete=True, memory=_words(memory.reshape(-1)))


def _words(values: Ints) -> NDArray[np.uint32]:
    return (values & 0xFFFFFFFF).astype(np.uint32)


def bytes_to_words(values: Ints) -> Ints:
    """Return words [..., n / 4] of the lower 8 bits of integers [..., n]."""
    return np.ascontiguousarray((values & 255).astype(np.uint8)).view("<u4").astype(np.int64)


def padded_bytes(values: Ints) -> Ints:
    """Return words of the lower 8 bits of integers [n], the last one filled up by zeros."""
    return bytes_to_words(np.pad(values, (0, -values.size % 4)))


def pad_to_multiple(values: NDArray[np.integer], multiple: int) -> Ints:
    """Return values [n, ...] as int64, and zeros behind them up to a multiple of the first axis."""
    edges = [(0, -len(values) % multiple)] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values.astype(np.int64), edges)


def row_groups(values: NDArray[np.integer], height: int) -> Ints:
    """Return values [groups, height, ...] of [n, ...]; zeros fill the last group."""
    return pad_to_multiple(values, height).reshape(-1, height, *values.shape[1:])


def matrix_groups(matrix: Matrix, height: int) -> tuple[Ints, Ints, Ints]:
    """Return weights [groups, height, columns], biases and multipliers [groups, height]."""
    parts = (matrix.weight, matrix.bias, matrix.multiplier)
    weight, bias, multiplier = (row_groups(values, height) for values in parts)
    return weight, bias, multiplier


def column_pairs(halves: Ints) -> Ints:
    """Return words [..., pairs of columns, n] of the halfwords [..., n, columns]."""
    halves = pad_columns(halves & 0xFFFF, 2)
    return (halves[..., 0::2] | (halves[..., 1::2] << 16)).swapaxes(-1, -2)


def pad_columns(values: Ints, multiple: int) -> Ints:
    """Return values [..., columns] with zeros up to a multiple of columns."""
    edges = [(0, 0)] * (values.ndim - 1) + [(0, -values.shape[-1] % multiple)]
    return np.pad(values, edges)


def with_row_below(values: Ints) -> Ints:
    """Return ``256 a + b`` in the place of the first of each two rows [..., 2 n]: sums of pairs."""
    result = values.copy()
    result[..., 0::2] = 256 * values[..., 0::2] + values[..., 1::2]
    return result


def vectors(rows: Ints, lanes: int) -> Ints:
    """Return words [groups, blocks, n] of bytes [groups, rows, columns], `lanes` per row and block.

    Zeros fill the last block.
    """
    count, height, _ = rows.shape
    blocks = pad_columns(rows, lanes).reshape(count, height, -1, lanes).transpose(0, 2, 1, 3)
    return bytes_to_words(blocks.reshape(count, -1, lanes * height))


def group_stream(start: Ints, words: Ints, end: Ints) -> Ints:
    """Return for each group start values [groups, n], its words, then `end` [groups, n]."""
    return np.concatenate([start, words.reshape(len(start), -1), end], axis=1).reshape(-1)


def lane_stream(
    weight: Ints,
    start: Ints,
    end: Ints,
    lanes: int,
    whole: int | None = None,
    first: int = 0,
    before: int = 0,
) -> Ints:
    """Return groups of rows in blocks of `lanes` columns, from block `first` on.

    Parameters
    ----------
    weight : int64 array [groups, rows, columns]
    start, end : int64 array [groups, n]
        Words before and behind a group's blocks.
    lanes : int
    whole : int, optional
        Columns in front of half a block, which follows `before` whole ones; default: all.
    first, before : int
    """
    whole = weight.shape[-1] if whole is None else whole
    parts: Sequence[Ints] = [np.roll(vectors(weight[..., :whole], lanes), -first, axis=1)]
    if whole < weight.shape[-1]:
        half = vectors(weight[..., whole:], 8)
        parts = [parts[0][:, :before], half, parts[0][:, before:]]
    flat = [part.reshape(len(weight), -1) for part in parts]
    return group_stream(start, np.concatenate(flat, axis=1), end)

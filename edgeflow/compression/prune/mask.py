"""Masks of a matrix's weights: the largest stay, in blocks that kernels read as one item."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import CompressError
from edgeflow.quantization import Floats

Bools = NDArray[np.bool_]

_MAX_SIDE = 64


@dataclass(frozen=True)
class Block:
    """Weights that stay or go together; blocks lie at multiples of their shape.

    Parameters
    ----------
    rows, cols : int
        1..64.
    step : int
        Number of blocks of a row of blocks that stay or go at a time, as a kernel's item has:
        it then has no remainder.

    Raises
    ------
    CompressError
        If a value is out of range.
    """

    rows: int = 1
    cols: int = 1
    step: int = 1

    def __post_init__(self) -> None:
        if not all(1 <= side <= _MAX_SIDE for side in (self.rows, self.cols, self.step)):
            raise CompressError(f"a block of {self}: its sides are 1..{_MAX_SIDE}")

    def __str__(self) -> str:
        return f"{self.rows}x{self.cols}"

    @classmethod
    def parse(cls, text: str) -> "Block":
        """Return the block of a text like ``4x2``: rows, then columns.

        Raises
        ------
        CompressError
            If it is none.
        """
        found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
        if not found:
            raise CompressError(f"'{text}' is no block: use rows x columns, like 4x2")
        return cls(int(found[1]), int(found[2]))

    def norms(self, weight: Floats) -> Floats:
        """Return the sum of squares of each block, [rows of blocks, columns of blocks]."""
        padding = [(0, -size % side) for size, side in zip(weight.shape, self.sides, strict=True)]
        padded = np.pad(weight**2, padding)
        height, width = (s // side for s, side in zip(padded.shape, self.sides, strict=True))
        result: Floats = padded.reshape(height, self.rows, width, self.cols).sum(axis=(1, 3))
        return result

    def spread(self, blocks: Bools, shape: tuple[int, ...]) -> Bools:
        """Return a mask of weights [rows, cols] of one of blocks."""
        whole = blocks.repeat(self.rows, axis=0).repeat(self.cols, axis=1)
        return whole[: shape[0], : shape[1]]

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.cols


def keep_largest(weight: Floats, sparsity: float, block: Block) -> Bools:
    """Return which weights [rows, cols] stay: the blocks with the largest norms.

    The share of blocks that go is `sparsity`, rounded to items of `block.step`; blocks at the edge
    count as whole ones. Of equal blocks the first stay.
    """
    norms = block.norms(weight)
    height, width = norms.shape
    # a row of blocks in descending order, cut into items: each weighs less than the one before
    order = np.argsort(-norms, axis=1, kind="stable")
    ranked = np.pad(np.take_along_axis(norms, order, axis=1), ((0, 0), (0, -width % block.step)))
    items = ranked.reshape(height, -1, block.step).sum(axis=2)
    left = items.size - round(sparsity * items.size)
    stays = np.zeros(items.size, dtype=bool)
    stays[np.argsort(-items, axis=None, kind="stable")[:left]] = True
    chosen = stays.reshape(items.shape).repeat(block.step, axis=1)[:, :width]
    blocks = np.zeros(norms.shape, dtype=bool)
    np.put_along_axis(blocks, order, chosen, axis=1)
    return block.spread(blocks, weight.shape)


def keep_random(
    shape: tuple[int, ...], sparsity: float, block: Block, rng: np.random.Generator
) -> Bools:
    """Return which weights [rows, cols] stay, drawn by chance; share as in `keep_largest`."""
    height, width = (-(-size // side) for size, side in zip(shape, block.sides, strict=True))
    scores = rng.random((height, width))
    return block.spread(keep_largest(scores, sparsity, Block(step=block.step)), shape)

"""How a kernel reads its weights: one array, in the order in which it loads it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import Ints


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


def whole(values: Ints | NDArray[np.int32], multiple: int) -> Ints:
    """Return the values, and zeros up to a multiple."""
    return np.pad(values.astype(np.int64), (0, -len(values) % multiple))


def as_words(values: Ints) -> NDArray[np.uint32]:
    """Return the lower 32 bits."""
    return (values & 0xFFFFFFFF).astype(np.uint32)


def column_pairs(halves: Ints) -> Ints:
    """Return words [pairs of columns, n] of the halfwords [n, columns]."""
    halves = np.pad(halves & 0xFFFF, ((0, 0), (0, halves.shape[1] % 2)))
    return (halves[:, 0::2] | (halves[:, 1::2] << 16)).T

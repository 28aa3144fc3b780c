"""What a source returns, in the form that a chain does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def usual(y: NDArray[np.float32], n: int, time: int) -> NDArray[np.float32]:
    """Return outputs of n sequences as [n, time, outputs] or [n, outputs] where they are those."""
    width = y.shape[-1] if y.ndim else 1
    if y.size == n * width and 1 in y.shape[:-1]:
        return y.reshape(n, width)  # [1, n, outputs] or [n, 1, outputs] is the last step's
    return y[None] if n == 1 and len(y) == time != 1 else y


def in_a_row(heads: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return several outputs in a row: of every step, or of the last one if one is only that."""
    wide = [y[:, None] if y.ndim == 1 else y for y in heads]
    if any(y.ndim == 2 for y in wide):
        wide = [y[:, -1] if y.ndim == 3 else y for y in wide]
    return np.concatenate(wide, axis=-1)

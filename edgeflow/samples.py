"""Numbers as users hold them: lists, float64, torch tensors."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import EdgeFlowError, ProgramError

#: Of numpy's types: floats, integers, truth values.
_NUMBERS = "fiub"


def as_float32(
    x: ArrayLike, expected: str, error: type[EdgeFlowError] = ProgramError
) -> NDArray[np.float32]:
    """Return numbers as a float32 array.

    Parameters
    ----------
    x : array, list or torch tensor
    expected : str
        Expected kind and shape, for messages: ``"samples [n, time, 6]"``.
    error : type
        Type of the error.

    Raises
    ------
    EdgeFlowError
        If x is not numbers, or its rows are not of one length.
    """
    source: Any = x
    if hasattr(source, "detach"):  # a torch tensor, which may ask for a gradient or live elsewhere
        source = source.detach().cpu()
        source = source.float() if source.is_floating_point() else source
    try:
        array = np.asarray(source)
    except (TypeError, ValueError, RuntimeError):
        raise error(f"{expected} are needed, in rows of one length") from None
    if array.dtype.kind not in _NUMBERS:
        raise error(f"{expected} are needed, not {type(x).__name__} of {array.dtype}")
    with np.errstate(over="ignore"):  # beyond float32 it is infinite
        return array.astype(np.float32, copy=False)

"""An imported chain must compute what its source computes."""

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.cells import supported
from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.program.program import is_layer_name

#: Largest difference of an output, relative to the largest output where that exceeds 1.
TOLERANCE = 1e-4


def identifier(name: str, taken: Iterable[str] = ()) -> str:
    """Return `name` as a C identifier that is not in `taken`."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII) or "layer"
    text = text if is_layer_name(text) else f"layer_{text}"
    used, number, result = set(taken), 1, text
    while result in used:
        number += 1
        result = f"{text}_{number}"
    return result


def one_line(error: Exception) -> str:
    """Return the text of another library's error."""
    return " ".join(str(error).split())[:200]


def check_output(
    chain: FloatChain,
    x: NDArray[np.float32],
    expected: NDArray[np.float32],
    *,
    softmax: bool = False,
) -> None:
    """Compare the chain with its source.

    Parameters
    ----------
    chain : FloatChain
    x : float32 array [n, time, channels]
    expected : float32 array [n, time, outputs] or [n, outputs]
        What the source makes of `x`, at every step or at the last.
    softmax : bool
        Whether the source ends with a softmax, which the chain leaves out.

    Raises
    ------
    CompressError
        If the outputs differ in shape or by more than ``TOLERANCE``.
    """
    got = chain.run(x)
    if expected.ndim == 2 and expected.shape == got[:, -1].shape:
        got = got[:, -1]
    elif expected.shape != got.shape:
        raise CompressError(
            f"the model returns {list(expected.shape)}; its layers give {list(got.shape)} a step: "
            "return the outputs of every step [n, time, outputs] or of the last [n, outputs]"
        )
    if softmax:
        got = np.exp(got - got.max(axis=-1, keepdims=True))
        got /= got.sum(axis=-1, keepdims=True)
    error = float(np.abs(got - expected).max())
    if not error <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
        names = ", ".join(name for name, _ in chain.layers)
        raise CompressError(
            f"the model does more than its layers ({names}) in sequence: outputs differ by "
            f"{error:.3g}. Functions such as relu or softmax between layers are not supported; "
            f"supported are {supported()}"
        )

"""How sure a class is, in integers: the same bits as ``NAME_margin`` and ``NAME_confidence`` in C.

The confidence is the softmax of the class, ``1 / sum(exp(-d))`` over the distances ``d`` of all
outputs from the largest, as ``2**-(n + f)``: `n` is a shift, and ``2**-f`` for ``0 <= f < 1`` the
cubic polynomial that is right at both ends and within 1e-4 between.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Coefficients of 1 - f (c1 - f (c2 - f c3)), in Q0.15; at f = 1 it is 1/2.
POLYNOMIAL = (22662, 7569, 1291)
#: Fractional bits of an exponent to the base 2, and of a confidence.
EXPONENT_FRACTION, ONE = 12, 1 << 15


def exponent_scale(output_scale: float) -> tuple[int, int]:
    """Return multiplier, below 2**16, and shift, 0..16, from output units to Q.12 exponents.

    A distance d of up to 65535 units becomes ``(d * multiplier + (1 << shift >> 1)) >> shift``,
    below 2**32.
    """
    real = output_scale * math.log2(math.e) * (1 << EXPONENT_FRACTION)
    shift = next((s for s in range(16, 0, -1) if round(real * (1 << s)) < 1 << 16), 0)
    return min(round(real * (1 << shift)), (1 << 16) - 1), shift


def margin(y: ArrayLike) -> NDArray[np.int64]:
    """Return the largest output minus the second largest, in their units.

    Parameters
    ----------
    y : int array [..., outputs]
        Of int16. What a single output leads is the least of int16.

    Returns
    -------
    int64 array [...]
        0..65535.
    """
    outputs = np.sort(np.asarray(y, np.int64), axis=-1)
    second = outputs[..., -2] if outputs.shape[-1] > 1 else np.iinfo(np.int16).min
    lead: NDArray[np.int64] = outputs[..., -1] - second
    return lead


def confidence(y: ArrayLike, output_scale: float) -> NDArray[np.int64]:
    """Return the softmax of the largest output.

    Parameters
    ----------
    y : int array [..., outputs]
        Of int16.
    output_scale : float
        Real value of one unit of y.

    Returns
    -------
    int64 array [...]
        In Q0.15: 32768 is one.
    """
    outputs = np.asarray(y, np.int64)
    distance = outputs.max(axis=-1, keepdims=True) - outputs
    total = exponential(distance, *exponent_scale(output_scale)).sum(axis=-1)
    return (ONE * ONE + total // 2) // total


def exponential(distance: NDArray[np.int64], multiplier: int, shift: int) -> NDArray[np.int64]:
    """Return ``exp(-distance)`` in Q0.15, of output units whose `exponent_scale` is given."""
    exponent = (distance * multiplier + (1 << shift >> 1)) >> shift
    whole = np.minimum(exponent >> EXPONENT_FRACTION, 31)
    return half_power(exponent & (1 << EXPONENT_FRACTION) - 1) >> whole


def half_power(fraction: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``2**-f`` in Q0.15 for f in [0, 1), in Q.12: off by 2.1e-4 of itself at most."""
    f = fraction << 15 - EXPONENT_FRACTION
    c1, c2, c3 = POLYNOMIAL
    return ONE - (f * (c1 - (f * (c2 - (f * c3 >> 15)) >> 15)) >> 15)

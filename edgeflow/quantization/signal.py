"""Signals between layers: real values, and the integers that stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import PREACTIVATION_FRACTION

Floats = NDArray[np.float64]

#: Real value of one unit of a gate's pre-activation.
PREACTIVATION_SCALE = 2.0**-PREACTIVATION_FRACTION


#: Head room over the largest value seen in calibration.
MARGIN = 1.25


@dataclass(frozen=True)
class Signal:
    """Values between two layers: ``real = offset + scale * integer``, per channel.

    Parameters
    ----------
    offset, scale : float64 array [width]
    bits : int
    real : float32 array [n, time, width]
        The float model's values on the calibration data.
    lagged : bool
        Whether delayed samples are among them: what reads these rounds its weights together, as
        errors of one delay can make up for those of the next.
    """

    offset: Floats
    scale: Floats
    bits: int
    real: NDArray[np.float32]
    lagged: bool = False


def side_by_side(signals: Sequence[Signal]) -> Signal:
    """Return signals as the one of what reads all of them, as wide as the widest."""
    if len(signals) == 1:
        return signals[0]
    return Signal(
        np.concatenate([signal.offset for signal in signals]),
        np.concatenate([signal.scale for signal in signals]),
        max(signal.bits for signal in signals),
        np.concatenate([signal.real for signal in signals], axis=-1),
        any(signal.lagged for signal in signals),
    )


def centred(scale: Floats | float, bits: int, real: NDArray[np.float32]) -> Signal:
    """Return the signal of values whose integer zero is zero; `scale` per channel, or for all."""
    size = real.shape[-1]
    return Signal(np.zeros(size), np.full(size, scale), bits, real)


def clipped_fraction(values: NDArray[np.floating], limit: float = 8.0) -> float:
    """Return the fraction of `values` whose magnitude reaches `limit`."""
    return float((np.abs(values) >= limit).mean())


def reach(values: NDArray[np.floating]) -> float:
    """Return the largest magnitude of `values`, with head room, and never 0."""
    return max(float(np.abs(values).max()) * MARGIN, 1e-6)


def own_reach(values: NDArray[np.floating]) -> Floats:
    """Return the `reach` of each channel of values [n, time, channels]; silent ones' is small."""
    each: Floats = np.abs(values).max(axis=(0, 1)).astype(np.float64) * MARGIN
    return np.maximum(each, 2.0**-20 * reach(values))


def delayed(real: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the state before each step, [n, time, size], given the state after it."""
    return np.concatenate([np.zeros_like(real[:, :1]), real[:, :-1]], axis=1)

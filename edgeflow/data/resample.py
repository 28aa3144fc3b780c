"""Recordings at another sampling rate."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.dataset import Dataset
from edgeflow.errors import DataError

#: The rates' ratio may be off by this much, as clocks of wearables are by more.
_CLOCK = 1e-5
#: Largest ratio of two rates.
_RATIO = 1000


def resample(x: NDArray[np.float32], from_hz: float, to_hz: float) -> NDArray[np.float32]:
    """Return a recording at another sampling rate, anti-aliased.

    A polyphase filter (`scipy.signal.resample_poly`, Kaiser window) upsamples and downsamples by
    whole numbers, whose ratio differs from that of the rates by at most 10 ppm. What is above half
    of the lower rate is removed. The straight line from the first to the last sample stays as it
    is: offsets such as gravity, and no jump at the edges.

    Parameters
    ----------
    x : float32 [time, channels]
        Finite samples, evenly spaced.
    from_hz, to_hz : float
        Samples per second of `x`, and of the result.

    Returns
    -------
    float32 [ceil(time * to_hz / from_hz), channels]
        Sample k is at k / to_hz seconds; the first sample's time stays.

    Raises
    ------
    DataError
        If a rate is not a positive number, the rates differ more than a thousandfold, or a sample
        is not finite.
    """
    for rate in (from_hz, to_hz):
        if not (math.isfinite(rate) and rate > 0):
            raise DataError(f"resampling to {rate} Hz: a rate must be a positive number of Hz")
    if not 1 / _RATIO <= to_hz / from_hz <= _RATIO:
        raise DataError(
            f"resampling from {from_hz:g} to {to_hz:g} Hz: the rates differ more than "
            f"{_RATIO}-fold: check the data's rate"
        )
    if not np.isfinite(x).all():
        raise DataError("resampling: a sample is not finite: leave it out")
    ratio = ratio_of(from_hz, to_hz)
    if ratio == 1 or not x.size:
        return x
    length = math.ceil(len(x) * ratio)
    from scipy.signal import resample_poly  # half a second

    wide = x.astype(np.float64)
    first, slope = wide[0], (wide[-1] - wide[0]) / max(len(x) - 1, 1)
    level = wide - first - slope * np.arange(len(x))[:, None]
    found = resample_poly(level, ratio.numerator, ratio.denominator, axis=0)
    found += first + slope * (np.arange(length) / float(ratio))[:, None]
    return found.astype(np.float32)


def resampled(dataset: Dataset, to_hz: float) -> Dataset:
    """Return a data set at another rate, with a note; its windows last as long as before.

    Raises
    ------
    DataError
        As `resample` does.
    """
    if to_hz == dataset.rate_hz:
        return dataset
    recordings = [
        replace(
            one,
            x=resample(one.x, dataset.rate_hz, to_hz),
            target=_targets(one.target, dataset.rate_hz, to_hz),
        )
        for one in dataset.recordings
    ]
    return replace(
        dataset,
        recordings=recordings,
        rate_hz=float(to_hz),
        window=max(1, round(dataset.window * to_hz / dataset.rate_hz)),
        notes=(*dataset.notes, f"resampled from {dataset.rate_hz:g} to {to_hz:g} Hz, anti-aliased"),
    )


def _targets(target: NDArray[Any] | None, from_hz: float, to_hz: float) -> NDArray[Any] | None:
    """Return the targets of resampled steps; of tags the nearest step's."""
    if target is None or target.dtype.kind == "f":
        return None if target is None else resample(target, from_hz, to_hz)
    ratio = ratio_of(from_hz, to_hz)
    steps = np.arange(math.ceil(len(target) * ratio)) / float(ratio)
    return target[np.minimum(np.floor(steps + 0.5).astype(np.int64), len(target) - 1)]


def ratio_of(from_hz: float, to_hz: float) -> Fraction:
    """Return `to_hz` / `from_hz` in small whole numbers, right to 10 ppm."""
    exact = Fraction(to_hz) / Fraction(from_hz)
    small = min(exact, 1 / exact)  # small denominators suit ratios below 1 only
    for limit in (10, 100, 1_000, 10_000, 100_000):
        found = small.limit_denominator(limit)
        if abs(found / small - 1) <= _CLOCK:
            break
    return found if exact < 1 else 1 / found

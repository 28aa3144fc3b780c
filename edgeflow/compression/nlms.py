"""Forecasts that learn on the device, as values come."""

import numpy as np
from numpy.typing import ArrayLike

from edgeflow.program.fixedpoint import INT16_MAX, INT32_MAX, saturate, symmetric_max
from edgeflow.program.nodes import Nlms
from edgeflow.program.nodes.adaptive_linear import weight_limit
from edgeflow.program.nodes.nlms import FEATURE_BITS, MASTER_FRACTION

#: Least and most bits that the rate is shifted by, and the bits that a norm is brought to.
SHIFTS, NORM_BITS = (14, 30), 29


def nlms(
    name: str, unit: ArrayLike, zero: ArrayLike, *, stride: int, lags: int, every: int, read: int,
    down: int, lag_shift: int, wait: int, step: float, ridge: float,
) -> Nlms:  # fmt: skip
    """Return the layer that corrects forecasts by what came.

    Parameters
    ----------
    name : str
    unit : array [horizons, series]
        A unit of each series in units of its forecasts.
    zero : array [horizons, series]
        What a forecast of no change is, in its units.
    stride, lags, every, read, down, lag_shift, wait : int
        Of `Nlms`.
    step : float
        The share of an error that an update takes away where features are large, 0..2 or so.
    ridge : float
        What is added to the squared norm of the features, as a share of the largest it can be.
    """
    units = np.asarray(unit, np.float64)
    horizons, series = units.shape
    features = read + lags * series + 1
    largest = symmetric_max(FEATURE_BITS)
    # a weight at its limit and a feature at its own move a forecast by its whole range
    weight = INT16_MAX / (largest * weight_limit(features, FEATURE_BITS))
    slope = step * 2.0 ** (MASTER_FRACTION - NORM_BITS) / weight
    least, most = SHIFTS
    shift = next((s for s in range(most, least, -1) if round(slope * 2**s) <= INT16_MAX), least)
    top = float(units.max())
    unit_shift = next((s for s in range(1, 14) if round(top * 2.0 ** (32 - s)) <= INT32_MAX), 14)
    multipliers = np.round(units * 2.0 ** (32 - unit_shift)).clip(0, INT32_MAX)
    return Nlms(
        name, multipliers.reshape(-1).astype(np.int32),
        saturate(np.round(np.asarray(zero)).astype(np.int64)).reshape(-1).astype(np.int16),
        series=series, horizons=horizons, stride=stride, lags=lags, every=every, read=read,
        unit_shift=unit_shift, down=down, lag_shift=lag_shift, wait=wait,
        multiplier=round(weight * 2**31),
        epsilon=int(np.clip(round(ridge * features * largest**2), 1 << 16, 1 << 28)),
        rate=min(round(slope * 2**shift), INT16_MAX), shift=shift,
    )  # fmt: skip

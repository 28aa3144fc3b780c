"""Metrics of values, over all that the arrays hold: truth and errors of equal shape, [n, ...]."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rmse(error: Floats) -> float:
    """Return the root of the mean squared error; 0 of no errors."""
    return float(np.sqrt(np.mean(np.square(error)))) if error.size else 0.0


def mae(error: Floats) -> float:
    """Return the mean absolute error; 0 of no errors."""
    return float(np.mean(np.abs(error))) if error.size else 0.0


def nrmse(error: Floats, spread: Floats) -> float:
    """Return the error as a share of the spread: the root of ``sum error^2 / sum spread^2``.

    1: no better than the mean, from which `spread` is the distance of each true value. 0 without
    errors; the root of the sum where nothing spreads.
    """
    total = float(np.square(spread).sum())
    return float(np.sqrt(np.square(error).sum() / (total or 1.0)))


def r2(error: Floats, spread: Floats) -> float:
    """Return the coefficient of determination, ``1 - nrmse^2``: 1 is perfect, 0 the mean."""
    return 1.0 - nrmse(error, spread) ** 2

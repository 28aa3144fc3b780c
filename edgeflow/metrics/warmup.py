"""Warm-up: how many samples a model needs after a reset before it decides well."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Share of the last value that counts as warmed up.
ENOUGH = 0.95


def accuracy_by_sample(outputs: ArrayLike, labels: NDArray[np.int64]) -> list[float]:
    """Return the accuracy if windows ended after 1, 2, ... samples since the reset.

    Parameters
    ----------
    outputs : array [n, time, classes]
        The decision is the largest.
    labels : int64 array [n]
        The true classes.

    Returns
    -------
    list of float
        [time], 0..1.
    """
    right = np.asarray(outputs).argmax(axis=2) == labels[:, None]
    return [float(share) for share in right.mean(axis=0)]


def samples_to_enough(values: ArrayLike, *, higher_is_better: bool = True) -> int:
    """Return the samples from which on a metric stays at 95 % of its last value or better: 1..time.

    Parameters
    ----------
    values : array [time]
        Not negative, as of :func:`accuracy_by_sample`.
    higher_is_better : bool
        If not, 1 / 0.95 of the last value is good enough.
    """
    found = np.asarray(values, dtype=np.float64)
    worse = found < ENOUGH * found[-1] if higher_is_better else ENOUGH * found > found[-1]
    late = np.flatnonzero(worse)
    return 1 if len(late) == 0 else int(late[-1]) + 2

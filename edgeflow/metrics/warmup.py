"""Warm-up: how many samples a model needs after a reset before it decides well."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Share of the last accuracy that counts as warmed up.
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


def samples_to_enough(accuracy: ArrayLike) -> int:
    """Return the samples from which on accuracy stays at 95 % of its last value or above: 1..time.

    Parameters
    ----------
    accuracy : array [time]
        As of :func:`accuracy_by_sample`.
    """
    values = np.asarray(accuracy, dtype=np.float64)
    below = np.flatnonzero(values < ENOUGH * values[-1])
    return 1 if len(below) == 0 else int(below[-1]) + 2

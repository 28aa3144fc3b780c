"""Warm-up: the samples that a model needs after a reset before it decides well."""

import numpy as np
from numpy.typing import ArrayLike

#: Share of the last value that counts as warmed up.
ENOUGH = 0.95


def samples_to_enough(values: ArrayLike, *, higher_is_better: bool = True) -> int:
    """Return the samples from which on a metric stays at 95 % of its last value or better: 1..time.

    Parameters
    ----------
    values : array [time]
        Not negative, as of `edgeflow.tasks.Task.by_sample`.
    higher_is_better : bool
        If not, 1 / 0.95 of the last value is good enough.
    """
    found = np.asarray(values, dtype=np.float64)
    worse = found < ENOUGH * found[-1] if higher_is_better else ENOUGH * found > found[-1]
    late = np.flatnonzero(worse)
    return 1 if len(late) == 0 else int(late[-1]) + 2

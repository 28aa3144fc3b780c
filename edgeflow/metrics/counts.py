"""Metrics of counted repetitions, set by set."""

import numpy as np
from numpy.typing import ArrayLike


def within(truth: ArrayLike, counted: ArrayLike, most: float = 1) -> float:
    """Return the share of counts [n] at most `most` off, 0..1, as D. Soro et al. report it.

    "Recognition and repetition counting for complex physical exercises", Sensors 19(3), 2019.
    """
    return float((np.abs(np.asarray(counted, float) - np.asarray(truth, float)) <= most).mean())

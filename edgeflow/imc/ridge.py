"""Ridge regression: the head of a reservoir."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: Strengths of the penalty that validation chooses from, in mean variances of a feature. Heads of
#: less than 1e-3 have large weights that cancel each other, and suit only the cells they are for.
STRENGTHS = tuple(10.0**power for power in range(-6, 1))


class Head(NamedTuple):
    """Outputs ``features @ weight.T + bias``.

    Attributes
    ----------
    weight : float64 array [outputs, features]
    bias : float64 array [outputs]
    """

    weight: Floats
    bias: Floats

    def outputs(self, features: NDArray[np.floating]) -> Floats:
        """Return the outputs [n, outputs] of features [n, features]."""
        return features @ self.weight.T + self.bias


class Ridge:
    r"""All heads of the same features and targets, by strength of the penalty.

    .. math::
        W = \arg\min_W \sum_i |y_i - W f_i - b|^2 + \lambda\, n\, \bar v\, |W|^2

    with the features' mean variance :math:`\bar v`; the bias b is not penalised.

    Parameters
    ----------
    features : array [n, features]
    targets : array [n, outputs]
    """

    def __init__(self, features: NDArray[np.floating], targets: NDArray[np.floating]) -> None:
        self._middle = features.mean(axis=0, dtype=np.float64)
        self._level = targets.mean(axis=0, dtype=np.float64)
        centred = features - self._middle
        self._values, self._axes = np.linalg.eigh(centred.T @ centred)
        self._products = self._axes.T @ (centred.T @ (targets - self._level))

    def head(self, strength: float) -> Head:
        """Return the head for a strength above 0, in mean variances of a feature."""
        penalty = strength * max(float(self._values.mean()), np.finfo(float).tiny)
        whole = np.maximum(self._values, 0) + penalty
        weight = (self._axes @ (self._products / whole[:, None])).T
        return Head(weight, self._level - weight @ self._middle)

"""Metrics of a classification, from a confusion matrix.

Counts [classes, classes]: rows are the true classes, columns the predicted ones. A decision is one
per window or, of a classifier without windows, one per step.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def confusion(
    truth: NDArray[np.integer[Any]], predicted: NDArray[np.integer[Any]], classes: int
) -> NDArray[np.int64]:
    """Count which class was taken for which.

    Parameters
    ----------
    truth, predicted : int array [n]
        Numbers of classes.

    Returns
    -------
    int64 array [classes, classes]
        Row: the true class; column: the predicted one.

    Raises
    ------
    ValueError
        If a number is not in 0..classes - 1.
    """
    for numbers in (truth, predicted):
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < classes:
            raise ValueError(f"a class is not in 0..{classes - 1}")
    pairs = truth.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def accuracy(matrix: ArrayLike) -> float:
    """Return the share of right decisions of a confusion matrix, 0..1; 0 of an empty one."""
    counts = np.asarray(matrix)
    return float(np.trace(counts) / max(counts.sum(), 1))


def recall(matrix: ArrayLike) -> NDArray[np.float64]:
    """Return the share of each class's windows that were recognized, 0..1 [classes].

    It is NaN of a class without windows, of which nothing can be said; scikit-learn's
    ``recall_score`` puts 0 there and warns.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    windows = counts.sum(axis=1)
    return np.divide(np.diag(counts), windows, out=np.full(len(counts), np.nan), where=windows > 0)


def macro_f1(matrix: ArrayLike) -> float:
    """Return the mean over classes of F1, 0..1: each class counts the same, however rare.

    F1 of a class is ``2 hits / (windows + predictions)``, the harmonic mean of recall and
    precision. A class that has no windows and is never predicted is left out of the mean; one
    that has none and is predicted counts as 0. So does scikit-learn's
    ``f1_score(average="macro")``, and so do the scores of training, which are these. 0 of an empty
    matrix.
    """
    counts = np.asarray(matrix)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    present = total > 0
    if not present.any():
        return 0.0
    return float((2 * np.diag(counts)[present] / total[present]).mean())


def mcc(matrix: ArrayLike) -> float:
    """Return Matthews' correlation coefficient of several classes, Gorodkin's R_K, -1..1.

    1: all decisions are right; 0: no better than chance, also where all windows are of one class
    or taken for one, as in scikit-learn's ``matthews_corrcoef``. The least value is -1 of two
    classes and nearer to 0 of more.
    """
    counts = np.asarray(matrix, dtype=np.float64)
    windows, predictions, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    spread = (total**2 - windows @ windows, total**2 - predictions @ predictions)
    if min(spread) <= 0:
        return 0.0
    value = (total * np.trace(counts) - windows @ predictions) / math.prod(map(math.sqrt, spread))
    return float(np.clip(value, -1, 1))  # rounding


def lowest_recall(shares: Mapping[str, float | None]) -> tuple[str, float] | None:
    """Return the class with the lowest recall, and its recall; None if no class has windows.

    Parameters
    ----------
    shares : mapping
        Recall by class, 0..1; None of a class without windows.
    """
    known = [(name, share) for name, share in shares.items() if share is not None]
    return min(known, key=lambda one: one[1], default=None)

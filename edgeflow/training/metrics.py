"""Figures of merit of a classifier, from its confusion matrix."""

import numpy as np


def confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """Return counts int64 [classes, classes]; rows are the truth, columns the guess."""
    return np.bincount(truth * classes + guess, minlength=classes * classes).reshape(
        classes, classes
    )


def accuracy(matrix: np.ndarray) -> float:
    """Return the share of right decisions, in [0, 1]; 0 for an empty matrix."""
    return float(np.trace(matrix) / max(matrix.sum(), 1))


def macro_f1(matrix: np.ndarray) -> float:
    """Return the mean over classes of F1, in [0, 1].

    Classes that are neither in the truth nor guessed do not count.
    """
    hits = np.diag(matrix)
    total = matrix.sum(axis=0) + matrix.sum(axis=1)
    present = total > 0
    return float((2 * hits[present] / total[present]).mean()) if present.any() else 0.0

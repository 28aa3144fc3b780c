"""Figures of merit of decisions, from integers and labels alone: numpy is all that is needed."""

from edgeflow.metrics.classification import (
    Classification,
    SubjectScores,
    accuracy,
    classification,
    confusion,
    lowest_recall,
    macro_f1,
    mcc,
    recall,
)
from edgeflow.metrics.warmup import ENOUGH, accuracy_by_sample, samples_to_enough

__all__ = [
    "ENOUGH", "Classification", "SubjectScores", "accuracy", "accuracy_by_sample",
    "classification", "confusion", "lowest_recall", "macro_f1", "mcc", "recall",
    "samples_to_enough",
]  # fmt: skip

"""Figures of merit of decisions, computed from integers and labels with numpy alone."""

from edgeflow.metrics.classification import (
    accuracy,
    confusion,
    lowest_recall,
    macro_f1,
    mcc,
    recall,
)
from edgeflow.metrics.sides import one_side, side_by_side
from edgeflow.metrics.warmup import ENOUGH, samples_to_enough

__all__ = [
    "ENOUGH", "accuracy", "confusion", "lowest_recall", "macro_f1", "mcc",
    "one_side", "recall", "samples_to_enough", "side_by_side",
]  # fmt: skip

"""Tagging: the class of each step, such as of continuous activities without windows."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.tasks.classification import Classification
from edgeflow.tasks.task import Metric, Scores

#: Least intersection over union of segments, in percent.
OVERLAPS = (10, 25, 50)


@dataclass(frozen=True)
class Tagging(Classification):
    """One of several classes for each step. Targets are their numbers, int64 [n] of n steps.

    Besides those of a classification there are the scores of segments, runs of equal tags, where
    steps are scored one after the other: the recordings of a subject are as one.
    """

    name: ClassVar[str] = "tagging"
    more_metrics: ClassVar[tuple[Metric, ...]] = (
        *Classification.more_metrics,
        *(Metric(f"f1_{share}", f"segmental F1@{share}") for share in OVERLAPS),
    )

    @property
    def per_step(self) -> bool:
        return True

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        found = super().scores(truth, decided, subjects)
        whose = np.asarray(subjects).astype(str)
        for share in OVERLAPS:
            key, values = f"f1_{share}", []
            for name, scores in found["subjects"].items():
                mine = whose == name
                scores[key] = metrics.segmental_f1(truth[mine], decided[mine], share / 100)
                values.append(scores[key])
            found["overall"][key] = float(np.mean(values)) if values else 0.0
        return found

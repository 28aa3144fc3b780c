"""Tagging: the class of each step, such as of continuous activities without windows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.tasks.classification import Classification
from edgeflow.tasks.task import Metric, Scores, Table

#: Least intersection over union of segments, in percent.
OVERLAPS = (10, 25, 50)


@dataclass(frozen=True)
class Tagging(Classification):
    """One of several classes for each step. Targets are their numbers, int64 [n] of n steps.

    Besides those of a classification there are the scores of segments, runs of equal tags, where
    steps are scored one after the other: the recordings of a subject are as one. `scores` has
    errors after Ward by class, too, under "ward": numbers of "segments" and of those that are
    "correct", "deletions", "fragmented", "merged", "both", of "insertions", and "shares" of the
    class's steps and of all others (`edgeflow.metrics.WardSteps`).
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
        streams = [(truth[whose == name], decided[whose == name]) for name in found["subjects"]]
        found["overall"]["ward"] = {
            name: _errors(streams, label) for label, name in enumerate(self.classes)
        }
        return found

    def tables(self, run: Mapping[str, Any]) -> list[Table]:
        wards = run["metrics"]["overall"].get("ward")  # none in profiles of older versions
        if not wards:
            return super().tables(run)
        events = [
            [name, *(f"{one[kind]:,}" for kind in ("segments", *_KINDS))]
            for name, one in wards.items()
        ]
        shares = [[name, *map(_percent, one["shares"].values())] for name, one in wards.items()]
        titles = next(iter(wards.values()))["shares"]
        return [
            *super().tables(run),
            Table("Segments after Ward", ["class", "segments", *_KINDS], events),
            Table(
                "Wrong steps after Ward, % of the class's steps (first four) or of all others",
                ["class", *(title.replace("_", " ") for title in titles)],
                shares,
            ),
        ]


#: Of segments, as `edgeflow.metrics.Wards` has them.
_KINDS = ("correct", "deletions", "fragmented", "merged", "both", "insertions")


def _errors(streams: list[tuple[NDArray[Any], NDArray[Any]]], label: int) -> dict[str, Any]:
    """Return the errors after Ward of a class in what is true and decided of some subjects."""
    steps = metrics.WardSteps(*(0,) * len(metrics.WardSteps._fields))
    counts = dict.fromkeys(("segments", *_KINDS), 0)
    for real, decided in streams:
        steps = steps.plus(metrics.ward_steps(real == label, decided == label))
        runs = [metrics.events_of(one == label) for one in (real, decided)]
        events = metrics.ward(*runs)
        counts["segments"] += events.events
        for kind in _KINDS:
            counts[kind] += getattr(events, kind)
    return {**counts, "shares": steps.shares()}


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"

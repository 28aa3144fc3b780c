"""Events in a stream: which class begins when, of those that are not the background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.errors import DataError
from edgeflow.metrics import Matched
from edgeflow.tasks.classes import Classes
from edgeflow.tasks.classification import cross_entropy
from edgeflow.tasks.output import Scale
from edgeflow.tasks.task import Loss, Metric, Scores, Task

#: Seconds after an event in which a detection still hits it, and after a false alarm in which
#: there is no other: those of MLPerf Tiny's streaming wake words.
TOLERANCE_S = DEBOUNCE_S = 1.0


@dataclass(frozen=True)
class Events(Classes):
    """Events of some classes. Targets are int64 [time]: each step's class, 0 between events.

    One output per class. A step's decision is the class of its largest output, and a detection is
    where another class than the first begins to be decided: so the pulses of
    `edgeflow.program.nodes.Detect` are detections, and scores without such a layer, too.

    Parameters
    ----------
    classes : tuple of str
        The first is the background.
    rate_hz : float
        Samples per second, above 0.
    words : tuple of str
        Classes that are events; (): all but the first. A model tells the others from them, but in
        decisions and targets they are background.
    """

    rate_hz: float = 1.0
    words: tuple[str, ...] = ()

    name: ClassVar[str] = "events"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("f1", "F1 of events"),
        Metric("recall", "recall of events", "%"),
        Metric("precision", "precision of detections", "%"),
        Metric("false_alarms_per_hour", "false alarms an hour", higher_is_better=False, digits=2),
    )
    more_metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("latency_ms_p50", "latency, median", "ms", higher_is_better=False, digits=0),
        Metric(
            "latency_ms_p99", "latency, 99th percentile", "ms", higher_is_better=False, digits=0
        ),
        Metric("ward_f1", "F1 of events after Ward"),
    )
    losses: ClassVar[Mapping[str, Loss]] = {"cross-entropy": cross_entropy}

    @property
    def per_step(self) -> bool:
        return True

    @property
    def detected(self) -> NDArray[np.bool_]:
        """Which classes are events, [classes]."""
        return np.array(
            [bool(i) and one in (self.words or self.classes) for i, one in enumerate(self.classes)]
        )

    def of_words(self, words: Sequence[str]) -> "Events":
        """Return the task of some of the events; `words` are names.

        Raises
        ------
        DataError
            If a name is no event's, or stands twice.
        """
        events = self.classes[1:]
        for i, word in enumerate(words):
            if word not in events or word in words[:i]:
                problem = "stands twice" if word in events else "is no event's name"
                raise DataError(f"'{word}' {problem}: choose of {', '.join(events)}")
        return replace(self, words=tuple(words))

    def heard(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return numbers of classes with 0 in the place of those that are no events."""
        return np.where(self.detected[labels], labels, 0)

    def aligned(self, y: NDArray[Any], source: Task, data: str) -> NDArray[Any]:
        if isinstance(source, Events):
            source = replace(source, words=self.words)
        return self.heard(super().aligned(y, source, data))

    def decide(self, outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[Any]:
        return self.heard(super().decide(outputs, scale))

    def right(self, outputs: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.decide(outputs) == truth
        return found

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        found = self._matched(truth, decided)
        events, hits = len(found.hit), int(found.hit.sum())
        hours = len(truth) / self.rate_hz / 3600
        return {
            "f1": 2 * hits / max(events + found.detections, 1),
            "recall": hits / max(events, 1),
            "precision": hits / max(found.detections, 1),
            "false_alarms_per_hour": found.false_alarms / hours if hours else 0.0,
        }

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        found = super().scores(truth, decided, subjects)
        late = 1000 * self._matched(truth, decided).latency / self.rate_hz
        for share in (50, 99):
            value = float(np.percentile(late, share)) if late.size else None
            found["overall"][f"latency_ms_p{share}"] = value
        wards = metrics.ward(metrics.events_of(truth), metrics.events_of(decided))
        found["overall"]["ward_f1"] = wards.f1
        return found

    def _matched(self, truth: NDArray[Any], decided: NDArray[Any]) -> Matched:
        """Match the steps of recordings one after the other."""
        return metrics.match(
            metrics.events_of(truth),
            metrics.events_of(decided),
            tolerance=round(TOLERANCE_S * self.rate_hz),
            debounce=round(DEBOUNCE_S * self.rate_hz),
        )

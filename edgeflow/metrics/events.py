"""Metrics of detected events: which were found, when, and what was reported besides.

Detections are matched as MLCommons' streaming wake-word benchmark does: one of the event's class
from its start to a second after its end is a hit, the first of an event counts, and detections
that hit nothing are one false alarm within a second (mlcommons/tiny v1.3,
``benchmark/runner``). The two tolerances are arguments.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Event(NamedTuple):
    """Samples start..stop - 1 of a class, or a detection: stop is start + 1."""

    start: int
    stop: int
    label: int


class Matched(NamedTuple):
    """What became of events and detections.

    Attributes
    ----------
    hit : bool [events]
    latency : int64 [hits]
        Samples from an event's start to the first detection that hits it.
    false_alarms : int
        Detections that hit nothing, debounced.
    detections : int
        False alarms and hits: repeated detections of an event count once.
    """

    hit: NDArray[np.bool_]
    latency: NDArray[np.int64]
    false_alarms: int
    detections: int


def runs_of(labels: ArrayLike) -> list[Event]:
    """Return the runs of equal labels [time]."""
    found = np.asarray(labels)
    if found.size == 0:
        return []
    edges = [0, *(np.flatnonzero(np.diff(found)) + 1).tolist(), len(found)]
    return [Event(a, b, int(found[a])) for a, b in itertools.pairwise(edges)]


def events_of(labels: ArrayLike, background: int = 0) -> list[Event]:
    """Return the runs of equal labels [time] other than the background's."""
    return [run for run in runs_of(labels) if run.label != background]


def match(
    truth: Sequence[Event], detections: Sequence[Event], tolerance: int, debounce: int
) -> Matched:
    """Match detections with events.

    Parameters
    ----------
    truth, detections : sequence of Event
        In order of their starts; of a detection only the start counts.
    tolerance : int
        Samples after an event's end in which a detection still hits it.
    debounce : int
        Samples after a false alarm in which no other is counted.
    """
    hit = np.zeros(len(truth), dtype=bool)
    latency: list[int] = []
    alarms, quiet = 0, -1
    for one in detections:
        whose = [
            i
            for i, event in enumerate(truth)
            if event.label == one.label and event.start <= one.start < event.stop + tolerance
        ]
        if whose:
            new = [i for i in whose if not hit[i]]
            if new:
                hit[new[0]] = True
                latency.append(one.start - truth[new[0]].start)
        elif one.start >= quiet:
            alarms += 1
            quiet = one.start + debounce
    return Matched(hit, np.array(latency, np.int64), alarms, alarms + int(hit.sum()))

"""What goes wrong in events and in the steps of a class, by kind of error.

J. A. Ward, P. Lukowicz, H. W. Gellersen, "Performance metrics for activity recognition", ACM TIST
2(1), 2011: events in section 4.2, steps ("frames") in sections 4.1 and 4.3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.metrics.events import Event


class Wards(NamedTuple):
    """Events after Ward et al., as numbers of true and of reported events.

    Attributes
    ----------
    correct : int
        True events that one report overlaps, and no other event.
    deletions : int
        True events that no report overlaps.
    fragmented, merged, both : int
        True events with several reports, with a report that other events share, with both.
    insertions : int
        Reports that overlap no true event.
    reports : int
    """

    correct: int
    deletions: int
    fragmented: int
    merged: int
    both: int
    insertions: int
    reports: int

    @property
    def events(self) -> int:
        """Number of true events."""
        return self.correct + self.deletions + self.fragmented + self.merged + self.both

    @property
    def f1(self) -> float:
        """F1 of correct events among the true ones and the reports, 0..1."""
        return 2 * self.correct / max(self.events + self.reports, 1)


def ward(truth: Sequence[Event], reports: Sequence[Event]) -> Wards:
    """Count how events and reports of their class overlap.

    Parameters
    ----------
    truth, reports : sequence of Event
        In order; none overlaps another of its class.
    """
    labels = sorted({one.label for one in (*truth, *reports)})
    found = np.zeros(7, np.int64)
    for label in labels:
        edges = [
            np.array([(e.start, e.stop) for e in events if e.label == label]).reshape(-1, 2)
            for events in (truth, reports)
        ]
        found += _of_a_class(*edges)
    return Wards(*found.tolist())


def _of_a_class(truth: NDArray[np.int64], reports: NDArray[np.int64]) -> list[int]:
    """Return the numbers of `Wards` of starts and stops [events, 2] of one class."""
    first, last = _overlapped(truth, reports)
    whose_first, whose_last = _overlapped(reports, truth)
    shared = np.concatenate([[0], np.cumsum(whose_last - whose_first > 1)])
    seen, several = last > first, last - first > 1
    shares = shared[last] > shared[first]
    return [
        int(kind.sum())
        for kind in (
            seen & ~several & ~shares, ~seen, several & ~shares, shares & ~several,
            several & shares, whose_last == whose_first,
        )
    ] + [len(reports)]  # fmt: skip


def _overlapped(
    events: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first of the others that each event overlaps, and the one after the last."""
    first = np.searchsorted(others[:, 1], events[:, 0], side="right")
    last = np.searchsorted(others[:, 0], events[:, 1], side="left")
    return first, np.maximum(first, last)


class WardSteps(NamedTuple):
    """Steps of a class, and those of them that are wrong by kind.

    A stretch of missed steps is an underfill of the class's event if the class is found on one side
    of it, a fragmentation if on both, and a deletion on neither. So is a stretch of steps that are
    wrongly given the class: overfill, merge or insertion.

    Attributes
    ----------
    positive, negative : int
        Steps of the class, and all others.
    deletion, fragmentation, underfill_start, underfill_end : int
        Missed steps of the class.
    insertion, merge, overfill_start, overfill_end : int
        Steps that are wrongly given it.
    """

    positive: int
    negative: int
    deletion: int
    fragmentation: int
    underfill_start: int
    underfill_end: int
    insertion: int
    merge: int
    overfill_start: int
    overfill_end: int

    def plus(self, other: "WardSteps") -> "WardSteps":
        """Return the sums of both."""
        return WardSteps(*(a + b for a, b in zip(self, other, strict=True)))

    def shares(self) -> dict[str, float | None]:
        """Return each kind's share: of the class's steps, or of all others; None of none."""
        missed = {
            name: getattr(self, name) / self.positive if self.positive else None
            for name in ("deletion", "fragmentation", "underfill_start", "underfill_end")
        }
        wrong = {
            name: getattr(self, name) / self.negative if self.negative else None
            for name in ("insertion", "merge", "overfill_start", "overfill_end")
        }
        return missed | wrong


def ward_steps(truth: ArrayLike, decided: ArrayLike) -> WardSteps:
    """Count the steps of one class in a stream.

    Parameters
    ----------
    truth, decided : bool array [time]
        Whether each step has the class, and is given it.
    """
    real, found = (np.asarray(one).astype(bool) for one in (truth, decided))
    kinds = 2 * real + found  # 3: rightly found; 2: missed; 1: wrongly given
    edges = np.flatnonzero(np.diff(kinds, prepend=-1)) if len(kinds) else np.zeros(0, np.int64)
    runs, lengths = kinds[edges], np.diff(np.append(edges, len(kinds)))
    right = np.concatenate([[False], runs == 3, [False]])
    before, after = right[:-2], right[2:]

    def steps(kind: int) -> list[int]:
        of = runs == kind
        whose = (~before & ~after, before & after, ~before & after, before & ~after)
        return [int(lengths[of & one].sum()) for one in whose]

    return WardSteps(int(real.sum()), int((~real).sum()), *steps(2), *steps(1))

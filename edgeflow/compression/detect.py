"""Events: a layer that detects them, whose parameters validation subjects choose.

Smoothing, thresholds and m of n are those of the highest recall among the candidates whose false
alarms, on recordings of validation subjects, stay within what the user allows. First all classes
have one threshold, then each in turn the best one for itself: one that is often mistaken must not
raise those of the others.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.candidates import Streams, free_name, outputs_of
from edgeflow.errors import CompressError
from edgeflow.program import Program
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes import Detect
from edgeflow.tasks.events import DEBOUNCE_S, Events

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Thresholds that are tried: this many quantiles of the leads of classes that have events.
THRESHOLDS = 40
#: How often each class has its turn.
ROUNDS = 2
#: Exponential means, and m of n, that are tried.
SMOOTHING = (*((shift, 1, 1) for shift in range(7)), (0, 2, 3), (0, 4, 6), (0, 8, 12), (2, 4, 6))


@dataclass(frozen=True)
class DetectPoint:
    """A detector, and its effect on validation subjects.

    Parameters
    ----------
    high : tuple of int [classes]
        Of :class:`edgeflow.program.nodes.Detect`, the background's first, which is never above it.
    shift, needed, steps : int
    scores : dict
        Metrics of `edgeflow.tasks.events.Events`.
    """

    high: tuple[int, ...]
    shift: int
    needed: int
    steps: int
    scores: dict[str, float]


def with_detect(program: Program, dataset: "Dataset", max_false_alarms: float) -> Program:
    """Add the detector of the highest recall for at most so many false alarms an hour.

    Parameters
    ----------
    program : Program
        Without windows. Its classes are those of the data set's events, the first of them the
        background, which has no events.
    dataset : Dataset
        With events; validation subjects choose.
    max_false_alarms : float
        Per hour, not negative.

    Returns
    -------
    Program
        Its metadata holds under "detect" the bound and what was chosen.

    Raises
    ------
    CompressError
        If the data have no events, the program no such outputs, or no candidate finds an
        event within the bound.
    DataError
        If nobody is in the validation split.
    """
    task = dataset.task
    if not isinstance(task, Events):
        raise CompressError(f"data set '{dataset.name}' is for {task.name}: it has no events")
    if program.window or program.outputs != task.size or task.size < 2:
        raise CompressError(
            f"a detector reads a score for each of {task.size_text} at every sample: train on "
            f"'{dataset.name}' with --mode streaming"
        )
    if not 0 <= max_false_alarms < np.inf:
        raise CompressError(f"{max_false_alarms} false alarms an hour: give 0 or more")
    node, ran = _node(program, task), Streams.of(program, dataset, "val")
    # the highest threshold is above all scores
    best = _best(_points(node, task, ran), max_false_alarms)
    best = _by_class(node, task, ran, best, max_false_alarms)
    if best.scores["recall"] == 0:
        raise CompressError(
            f"no detector finds an event of validation subjects with at most {max_false_alarms:g} "
            "false alarms an hour"
        )
    node = _node(program, task, best)
    found = {
        "max_false_alarms": max_false_alarms, "refractory": node.refractory, "high": best.high,
        "shift": best.shift, "needed": best.needed, "steps": best.steps, "val": best.scores,
    }  # fmt: skip
    metadata: dict[str, Any] = {**program.metadata, "detect": found, "task": task.to_json()}
    return program.then(node, metadata=metadata)


def _node(program: Program, task: Events, point: DetectPoint | None = None) -> Detect:
    high = np.array([INT16_MAX] * task.size if point is None else point.high, np.int16)
    return Detect(
        free_name(program, "detect"),
        high,
        # until another class leads
        np.minimum(high, 0).astype(np.int16),
        task.size,
        relative=1,
        shift=0 if point is None else point.shift,
        needed=1 if point is None else point.needed,
        steps=1 if point is None else point.steps,
        refractory=min(round(DEBOUNCE_S * task.rate_hz), INT16_MAX),
    )


def _best(points: list[DetectPoint], max_false_alarms: float) -> DetectPoint:
    """Return the point of the highest recall within the bound."""
    kept = [p for p in points if p.scores["false_alarms_per_hour"] <= max_false_alarms]
    return max(
        kept,
        key=lambda p: (p.scores["recall"], p.scores["f1"], -p.shift, tuple(-h for h in p.high)),
    )


def _tried(
    node: Detect, task: Events, ran: Streams, high: NDArray[np.int64],
    shift: int, needed: int, steps: int,
) -> list[DetectPoint]:  # fmt: skip
    """Return the points of thresholds [candidates, classes]."""
    node = replace(node, shift=shift, needed=needed, steps=steps)
    # as a node has them whose thresholds are these
    fields = {"high": high, "low": np.minimum(high, 0)}
    decided = outputs_of(node, fields, ran.outputs).argmax(axis=2)
    return [
        DetectPoint(tuple(map(int, row)), shift, needed, steps, task.score(ran.truth, found))
        for row, found in zip(high, decided, strict=True)
    ]


def _by_class(
    node: Detect, task: Events, ran: Streams, best: DetectPoint, max_false_alarms: float
) -> DetectPoint:
    """Return the best point after each class has tried thresholds of its own, in turn."""
    x = np.concatenate(ran.outputs).astype(np.int64)
    for turn in range(ROUNDS * (task.size - 1)):
        k = 1 + turn % (task.size - 1)
        # negative where others are still ahead
        lead = x[:, k] - np.delete(x, k, axis=1).max(axis=1)
        levels = _levels(np.maximum(lead, -INT16_MAX))
        high = np.tile(np.array(best.high, np.int64), (len(levels) + 1, 1))
        high[1:, k] = levels
        points = _tried(node, task, ran, high, best.shift, best.needed, best.steps)
        best = _best(points, max_false_alarms)
    return best


def _levels(leads: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return thresholds that are tried: many more at the top, where few false alarms are."""
    shares = 1 - np.geomspace(1e-5, 1, THRESHOLDS)
    top = np.minimum(leads, INT16_MAX - 1)
    levels: NDArray[np.int64] = np.unique(np.quantile(top, shares, method="higher"))
    return levels


def _points(node: Detect, task: Events, ran: Streams) -> list[DetectPoint]:
    """Return all candidates with one threshold, with their scores."""
    ordered = np.sort(np.concatenate(ran.outputs).astype(np.int64), axis=1)
    highs = _levels(ordered[:, -1] - ordered[:, -2])
    high = np.full((len(highs), task.size), INT16_MAX)
    high[:, 1:] = highs[:, None]
    return [point for one in SMOOTHING for point in _tried(node, task, ran, high, *one)]

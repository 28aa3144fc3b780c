"""Events: a layer that detects them, whose parameters validation subjects choose.

Smoothing, thresholds and m of n are those of the highest recall among the candidates whose false
alarms, on recordings of validation subjects, stay within what the user allows. Subjects whom other
trainings left out may choose instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeflow.compression.candidates import Streams, free_name, outputs_of
from edgeflow.compression.folds import left_out
from edgeflow.compression.quantize import DEFAULT_WIDTHS
from edgeflow.data.dataset import sort_people
from edgeflow.errors import CompressError
from edgeflow.program import Program
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes import Detect
from edgeflow.quantization import Widths
from edgeflow.tasks.events import DEBOUNCE_S, Events

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Thresholds that are tried: this many quantiles of the leads of classes that have events.
THRESHOLDS = 40
#: Exponential means, and m of n, that are tried.
SMOOTHING = (*((shift, 1, 1) for shift in range(7)), (0, 2, 3), (0, 4, 6), (0, 8, 12), (2, 4, 6))


@dataclass(frozen=True)
class DetectPoint:
    """A detector, and its effect on those who choose it.

    Parameters
    ----------
    high, shift, needed, steps : int
        Of :class:`edgeflow.program.nodes.Detect`; of all classes that are events.
    scores : dict
        Metrics of `edgeflow.tasks.events.Events`.
    """

    high: int
    shift: int
    needed: int
    steps: int
    scores: dict[str, float]


def with_detect(
    program: Program,
    dataset: "Dataset",
    max_false_alarms: float,
    *,
    folds: Sequence[str] = (),
    widths: Widths = DEFAULT_WIDTHS,
) -> Program:
    """Add the detector of the highest recall for at most so many false alarms an hour.

    Parameters
    ----------
    program : Program
        Without windows. Its classes are those of the data set's events, the first of them the
        background, which has no events.
    dataset : Dataset
        With events; validation subjects choose.
    max_false_alarms : float
        Per hour of all who choose, not negative.
    folds : sequence of str
        Folders of other trainings, whose left-out subjects choose instead
        (:func:`edgeflow.compression.folds.left_out`).
    widths : Widths
        Of the integers of those trainings.

    Returns
    -------
    Program
        Its metadata holds under "detect" the bound and what was chosen.

    Raises
    ------
    CompressError
        If the data have no events, the program no such outputs, no candidate finds an event
        within the bound, or a folder is of no use.
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
    if folds:
        ran = left_out(program, folds, dataset, widths)
    else:
        ran = Streams.of(program, dataset, "val")
    points = _points(_node(program, task), task, ran)
    # the highest threshold is above all scores
    kept = [p for p in points if p.scores["false_alarms_per_hour"] <= max_false_alarms]
    best = max(kept, key=lambda p: (p.scores["recall"], p.scores["f1"], -p.shift, -p.high))
    if best.scores["recall"] == 0:
        raise CompressError(
            f"no detector finds an event of those who choose it with at most {max_false_alarms:g} "
            "false alarms an hour"
        )
    node = _node(program, task, best)
    found = {
        "max_false_alarms": max_false_alarms, "refractory": node.refractory, "high": best.high,
        "shift": best.shift, "needed": best.needed, "steps": best.steps, "val": best.scores,
        "chosen_by": sort_people(set(ran.subjects.tolist())),
    }  # fmt: skip
    metadata: dict[str, Any] = {**program.metadata, "detect": found, "task": task.to_json()}
    return program.then(node, metadata=metadata)


def _node(program: Program, task: Events, point: DetectPoint | None = None) -> Detect:
    high = np.full(task.size, INT16_MAX if point is None else point.high, np.int16)
    high[~task.detected] = INT16_MAX
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


def _points(node: Detect, task: Events, ran: Streams) -> list[DetectPoint]:
    """Return all candidates with their scores."""
    x = np.concatenate(ran.outputs).astype(np.int64)
    # most of the time the background leads, by more than a word ever does
    words = task.decide(x) > 0
    ordered = np.sort(x[words] if words.any() else x, axis=1)
    leads = np.minimum(ordered[:, -1] - ordered[:, -2], INT16_MAX - 1)
    # many more thresholds at the top, where few false alarms are; the last is above all scores
    shares = 1 - np.geomspace(1e-5, 1, THRESHOLDS)
    highs = np.append(np.unique(np.quantile(leads, shares, method="higher")), INT16_MAX)
    high = np.full((len(highs), task.size), INT16_MAX)
    high[:, task.detected] = highs[:, None]
    points = []
    for shift, needed, steps in SMOOTHING:
        tried = replace(node, shift=shift, needed=needed, steps=steps)
        decided = outputs_of(tried, {"high": high}, ran.outputs).argmax(axis=2)
        points += [
            DetectPoint(int(level), shift, needed, steps, task.score(ran.truth, found))
            for level, found in zip(highs, decided, strict=True)
        ]
    return points

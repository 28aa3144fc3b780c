"""What the decisions of a profile say: scores of device, reference and float model."""

from typing import Any

import numpy as np

from edgeflow.data import Dataset, Sequences
from edgeflow.data.dataset import sort_people
from edgeflow.profiling.counts import Counts
from edgeflow.profiling.result import summarize
from edgeflow.program import Program


def stored_score(program: Program, dataset: Dataset, split: str) -> tuple[float | None, int | None]:
    """Return the headline before compression and number of windows, if of the same subjects."""
    if not program.task.metrics:
        return None, None
    stored = program.metadata
    value = stored.get(f"{program.task.headline.name}_float")
    if not isinstance(value, int | float):
        return None, None
    if stored.get("data") != dataset.name or stored.get("split") != split:
        return None, None
    return float(value), stored.get("windows")


def scores(
    program: Program,
    device: np.ndarray,
    oracle: np.ndarray,
    truth: np.ndarray,
    person: np.ndarray,
    before: float | None,
) -> dict[str, Any]:
    """Return the fields of a `ProfileResult` that the task decides about."""
    task, scale, kinds = program.task, program.scaling, ("float", "oracle", "device")
    if not task.metrics:
        return {f"accuracy_{kind}": None for kind in kinds} | {"confusion": [], "metrics": None}
    decided = task.decisions(device, scale)
    found, name = task.scores(truth, decided, person), task.headline.name
    exact = task.score(truth, task.decisions(oracle, scale))[name]
    values = dict(zip(kinds, (before, exact, found["overall"][name]), strict=True))
    own = "task" in program.metadata  # the fields of profile.json are those of classification
    subjects = {subject: found["subjects"][subject] for subject in sort_people(set(person))}
    metrics: dict[str, Any] = {"overall": found["overall"], "subjects": subjects}
    if own:
        metrics |= {"task": task.to_json(), "headline": values}
    return {
        **{f"accuracy_{kind}": None if own else value for kind, value in values.items()},
        "confusion": task.counts(truth, decided).get("confusion", []),
        "metrics": metrics,
    }


def warmup(
    program: Program, device: np.ndarray, truth: np.ndarray, before: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the headline by samples since the reset, on the device and before compression."""
    task = program.task
    if not task.metrics:
        return None
    found, name = task.warmup(device, truth, program.scaling), task.headline.name
    return {**found, f"{name}_float": before.get(name, [])}


def cutoff(program: Program, ran: Sequences, counts: Counts | None) -> dict[str, Any] | None:
    """Return what an early exit saves; None without one."""
    if program.cutoff is None:
        return None
    x = ran.padded(range(len(ran.x)))
    read = program.cutoff.samples_read(program.without_cutoff().run(x))
    skipped = None
    if counts is not None and counts.skipped.any():
        skipped = float(counts.instructions[counts.skipped].mean())
    return {
        "samples_read": summarize(read),
        "steps_skipped": 1 - float(read.sum()) / (x.shape[0] * x.shape[1]),
        "instructions_per_skipped_step": skipped,
    }

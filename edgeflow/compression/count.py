"""Repetitions: a layer that counts them, whose band validation subjects choose."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeflow.compression.candidates import Streams, free_name, outputs_of
from edgeflow.errors import CompressError
from edgeflow.program import Program
from edgeflow.program.nodes import Count
from edgeflow.program.nodes.count import MOST
from edgeflow.tasks.counting import Counting

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Levels that are tried as ends of the band: quantiles of the output.
LEVELS = np.linspace(0.1, 0.9, 17)
#: Least times between two repetitions that are tried, as shares of the shortest mean repetition of
#: training and validation subjects: those who are faster must be counted, too.
APART = (0.0, 0.2, 0.4)


def with_count(program: Program, dataset: "Dataset", channel: int | None = None) -> Program:
    """Add the counter that is within one repetition on most recordings.

    Parameters
    ----------
    program : Program
        Without windows; one of its outputs rises once a repetition.
    dataset : Dataset
        With counts (`edgeflow.tasks.counting.Counting`); validation subjects choose, of equal
        candidates the one in their middle.
    channel : int, optional
        Of that output; None: all are tried.

    Returns
    -------
    Program
        Its metadata holds under "count" what was chosen, and its scores.

    Raises
    ------
    CompressError
        If the data have no counts, or the program windows or no such output.
    DataError
        If nobody is in the validation split.
    """
    task = dataset.task
    if not isinstance(task, Counting):
        raise CompressError(f"data set '{dataset.name}' is for {task.name}: it has no counts")
    if program.window or (channel is not None and not 0 <= channel < program.outputs):
        which = "an output" if channel is None else f"output {channel}"
        raise CompressError(
            f"a counter reads {which} at every sample: the program has "
            f"{program.outputs} outputs"
            + (", and windows: train with --mode streaming" if program.window else "")
        )
    ran = Streams.of(program, dataset, "val")
    if not np.isfinite(ran.truth).any():
        raise CompressError(f"data set '{dataset.name}': no count of a validation subject is known")
    name, shortest = free_name(program, "count"), _shortest(dataset)
    best = min(
        (
            _chosen(Count(name, program.outputs, one, 0, 0, 0), task, ran, shortest)
            for one in (range(program.outputs) if channel is None else [channel])
        ),
        key=lambda found: (-found[1]["within_one"], found[1]["count_mae"]),
    )
    node, scores = best
    found = {
        "channel": node.channel, "high": node.high, "low": node.low, "apart": node.apart,
        "val": scores,
    }  # fmt: skip
    metadata: dict[str, Any] = {**program.metadata, "count": found, "task": task.to_json()}
    return program.then(node, classes=(), output_scale=1.0, output=None, metadata=metadata)


def _shortest(dataset: "Dataset") -> float:
    """Return the samples of a repetition, on average of the set where they are fewest; 0: none."""
    means = [np.inf]
    for one in (*dataset.split("train"), *dataset.split("val")):
        count = one.by_step()[:, 0]
        known = np.flatnonzero(count > 0)  # not where it is NaN
        if len(known):
            means.append((known[-1] + 1) / float(count[known[-1]]))
    return min(means) if len(means) > 1 else 0.0


def _chosen(
    node: Count, task: Counting, ran: Streams, shortest: float
) -> tuple[Count, dict[str, float]]:
    """Return the counter of one output with the band and pause that fit best, and its scores."""
    levels = np.unique(np.quantile(np.concatenate(ran.outputs)[:, node.channel], LEVELS))
    levels = np.unique(np.round(levels).astype(np.int64))
    bands = [(high, low) for high in levels for low in levels if low <= high]
    apart = sorted({min(int(share * shortest), MOST) for share in APART})
    tried = np.array([(*band, steps) for band in bands for steps in apart], np.int64)
    fields = {name: tried[:, i : i + 1] for i, name in enumerate(("high", "low", "apart"))}
    scores = [
        task.score(ran.truth, task.decide(one)) for one in outputs_of(node, fields, ran.outputs)
    ]
    ranks = np.array([(-one["within_one"], one["count_mae"]) for one in scores])
    equal = np.flatnonzero((ranks == min(map(tuple, ranks))).all(axis=1))
    # the one in their middle, which others' movements leave by the farthest way
    middle = np.abs(tried[equal] - tried[equal].mean(axis=0)) / (np.ptp(tried, axis=0) + 1)
    best = int(equal[middle.sum(axis=1).argmin()])
    high, low, steps = (int(value) for value in tried[best])
    return replace(node, high=high, low=low, apart=steps), scores[best]

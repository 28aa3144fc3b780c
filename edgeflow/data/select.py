"""Samples of a data set that fit a program's channels, task and window."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.dataset import Dataset, Windows
from edgeflow.data.frames import for_channels
from edgeflow.data.matching import channels_remedy, check_match
from edgeflow.data.purpose import for_task
from edgeflow.data.sequences import Sequences, of_windows, sequences_of
from edgeflow.errors import DataError

if TYPE_CHECKING:
    from edgeflow.program import Program


def choose_windows(
    program: "Program", dataset: Dataset, split: str, steps: int | None = None
) -> Windows:
    """Return the windows to run, with targets as the program's task has them.

    Raises
    ------
    DataError
        If channels, rate, units or task are not the model's, or `steps` is not positive.
    """
    dataset = _as_read(program, dataset)
    _check(program, dataset, steps)
    windows = dataset.windows(split, length=program.window or None)
    targets = program.task.aligned(windows.y, dataset.task, dataset.name)
    keep = _evenly(len(targets), steps, windows.x.shape[1])
    by_step = windows.by_step
    if by_step is not None:
        by_step = program.task.aligned(by_step[keep], dataset.task, dataset.name)
    return Windows(windows.x[keep], targets[keep], windows.person[keep], by_step)


def choose_sequences(
    program: "Program", dataset: Dataset, split: str, steps: int | None = None
) -> Sequences:
    """Return what a program is run and scored on: windows, or whole recordings of a stream.

    Parameters
    ----------
    steps : int, optional
        At most this many, of sequences taken evenly, at least one; the last recording is cut short.

    Raises
    ------
    DataError
        As `choose_windows`.
    """
    if program.window and not program.hop:
        return of_windows(choose_windows(program, dataset, split, steps), program.window)
    dataset = _as_read(program, dataset)
    _check(program, dataset, steps)
    warmup = program.metadata.get("warmup_samples")
    found = sequences_of(dataset, split, window=program.window, hop=program.hop, warmup=warmup)
    task, source = program.task, dataset.task
    by_step = found.by_step and [task.aligned(y, source, dataset.name) for y in found.by_step]
    found = replace(found, y=task.aligned(found.y, source, dataset.name), by_step=by_step)
    if steps is None or found.steps <= steps:
        return found
    keep = _evenly(len(found.x), steps, found.steps // len(found.x))
    parts: list[NDArray[Any]] = []
    for i in keep:
        if steps > 0:
            parts.append(found.x[i][:steps])
            steps -= len(parts[-1])
    keep = keep[: len(parts)]
    by_step = found.by_step and [found.by_step[i] for i in keep]
    return replace(found, x=parts, y=found.y[keep], person=found.person[keep], by_step=by_step)


def _evenly(n: int, steps: int | None, each: int) -> NDArray[np.int64]:
    """Return which of n sequences of `each` samples make at most `steps`, at least one."""
    if steps is None:
        return np.arange(n)
    count = min(n, max(1, steps // each))
    return np.linspace(0, n - 1, count).round().astype(np.int64)


def _as_read(program: "Program", dataset: Dataset) -> Dataset:
    """Return a data set in the steps of a program, for its task, as far as it can be."""
    found = for_channels(dataset, program.input.channels, program.window)
    return for_task(found, program.task)


def _check(program: "Program", dataset: Dataset, steps: int | None) -> None:
    if steps is not None and steps < 1:
        raise DataError(f"{steps} steps: run at least one")
    channels = list(program.input.channels)
    if list(dataset.channels) != channels:
        raise DataError(
            f"data set '{dataset.name}' has the channels {', '.join(dataset.channels)}; "
            f"the model was trained on {', '.join(channels)}: "
            f"{channels_remedy(dataset.channels, channels)}"
        )
    match_notes(program, dataset)


def match_notes(program: "Program", dataset: Dataset) -> list[str]:
    """Return notes on window, rate and units of data and program (`check_match`)."""
    units = program.metadata.get("units", ())
    dataset = for_channels(dataset, program.input.channels, program.window)
    return check_match(dataset, window=program.window, rate_hz=program.rate_hz, units=units)

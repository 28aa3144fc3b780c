"""Windows and targets in arrays as a data set."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgeflow.data.dataset import SPLITS, Dataset, Recording
from edgeflow.errors import DataError
from edgeflow.samples import as_float32
from edgeflow.tasks import Task, task_of

#: The subject, where none is named.
NOBODY = "unknown"


def from_arrays(
    x: ArrayLike,
    y: ArrayLike | Sequence[str],
    *,
    classes: Sequence[str] = (),
    channels: Sequence[str],
    target: Task | None = None,
    person: ArrayLike | Sequence[str] | None = None,
    split: str = "test",
    window: int = 0,
    rate_hz: float = 0.0,
    name: str = "arrays",
) -> Dataset:
    """Return a data set whose recordings are the windows.

    Parameters
    ----------
    x : array [n, time, channels]
        Raw samples.
    y : array [n]
        Labels: names of classes, or their numbers; or what `target` is about.
    target : Task, optional
        Task of y, if it is not one of `classes`.
    person : array [n], optional
        The subject of each window; without it all are of one.
    split : str
        The split that these subjects are in.
    window : int
        Samples per decision; 0: those of a window in x.

    Raises
    ------
    DataError
        If x or y has another shape, is not finite, or y has other labels.
    """
    expected = f"[n, {window or 'time'}, {len(channels)}] ({', '.join(channels)})"
    samples = as_float32(x, f"x: samples {expected}", DataError)
    shape = list(samples.shape)
    fits = samples.ndim == 3 and samples.shape[2] == len(channels) and samples.size
    if not fits or (window and shape[1] != window):
        raise DataError(f"x must be {expected}, not {shape}")
    if not np.isfinite(samples).all():
        raise DataError("x holds NaN or infinite values")
    labels = (target or task_of(classes)).targets(y)
    if len(labels) != len(samples):
        raise DataError(
            f"y must have one label for each of {len(samples)} windows, not {len(labels)}"
        )
    who = [NOBODY] * len(labels) if person is None else [str(p) for p in np.asarray(person)]
    if len(who) != len(labels):
        raise DataError(f"{len(who)} subjects for {len(labels)} windows in x")
    if split not in SPLITS:
        raise DataError(f"there is no split '{split}': use one of {', '.join(SPLITS)}")
    people = {part: sorted(set(who)) if part == split else [] for part in SPLITS}
    return Dataset(
        name=name,
        classes=list(classes),
        channels=list(channels),
        units=[""] * len(channels),
        rate_hz=rate_hz,
        recordings=list(map(Recording, samples, labels, who)),
        people=people,
        window=shape[1],
        target=target,
    )

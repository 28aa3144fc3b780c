"""Recordings of subjects, and windows cut from them: a data set once it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import DataError
from edgeflow.names import same_name
from edgeflow.tasks import Task, task_of

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """One uninterrupted recording of one activity.

    Attributes
    ----------
    x : float32 [time, channels]
        Samples in the data set's units.
    label : int, float or float array [values]
        The target: an index into ``Dataset.classes``, or what ``Dataset.target`` is about.
    person : str
        The subject who was recorded.
    target : float32 [time, values], int64 [time] or None
        Targets of each sample, for a task that has them (`Task.per_step`); None: `label` is that of
        all samples.
    """

    x: np.ndarray
    label: Any
    person: str
    target: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Recording({list(self.x.shape)}, class {self.label}, person {self.person!r})"

    def by_step(self) -> NDArray[Any]:
        """Return the targets of all samples, [time] or [time, values]."""
        if self.target is not None:
            return self.target
        return np.repeat(as_targets([self.label]), len(self.x), axis=0)


@dataclass(frozen=True, eq=False, repr=False)
class Windows:
    """Windows of equal length.

    Attributes
    ----------
    x : float32 [n, time, channels]
    y : int64 [n], or float32 [n] or [n, values]
        The recordings' targets; of a task with one per step the last step's.
    person : str [n]
    by_step : array [n, time] or [n, time, values], or None
        Targets of all steps, of a task that has them.
    """

    x: np.ndarray
    y: np.ndarray
    person: np.ndarray
    by_step: np.ndarray | None = None

    def __repr__(self) -> str:
        n, time, channels = self.x.shape
        return f"Windows({n} of {time} samples x {channels} channels)"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Recordings, and the subjects of each split.

    Attributes
    ----------
    name : str
    classes, channels, units : list of str
        `units` has one entry per channel.
    rate_hz : float
        Samples per second.
    recordings : list of Recording
    people : dict
        ``"train"``, ``"val"`` and ``"test"`` to disjoint lists of subjects.
    window : int
        Default length of a window, in samples.
    mirror : float
        Share of the training windows that training turns into those of the other wrist, if its
        options name no other share. 0 where the sensors were not worn on a wrist, or validation
        subjects gain nothing.
    target : Task or None
        Task of the labels; None: classification into `classes`.
    counts : list of float
        Int16 counts of the sensor of one unit of each channel; []: not known.
    notes : tuple of str
        What its reader guessed, left out or suspects, a line each, for the user.
    """

    name: str
    classes: list[str]
    channels: list[str]
    units: list[str]
    rate_hz: float
    recordings: list[Recording]
    people: dict[str, list[str]]
    window: int
    mirror: float = 0.0
    target: Task | None = None
    notes: tuple[str, ...] = ()
    counts: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for what, names in (("classes", self.classes), ("channels", self.channels)):
            if (twice := same_name(names)) is not None:
                raise DataError(
                    f"data set '{self.name}': two {what} have the name '{twice}' (blanks at its "
                    "ends do not count): rename one"
                )
        for one in self.recordings:
            if one.target is not None and len(one.target) != len(one.x):
                raise DataError(
                    f"data set '{self.name}': a recording of {one.person} has {len(one.x)} samples "
                    f"and targets of {len(one.target)}: give one for each sample"
                )

    @property
    def task(self) -> Task:
        """The task that the recordings are labelled for."""
        return task_of(self.classes) if self.target is None else self.target

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name}: {len(self.recordings)} recordings of "
            f"{len(everybody(self.recordings))} subjects; {self.task.size_text}; "
            f"{len(self.channels)} channels at {self.rate_hz:g} Hz; windows of {self.window})"
        )

    def split(self, name: str) -> list[Recording]:
        """Return the recordings of a split's subjects, in the data set's order.

        Raises
        ------
        DataError
            If there is no such split, or nobody in it.
        """
        if name not in SPLITS:
            raise DataError(f"there is no split '{name}': use one of {', '.join(SPLITS)}")
        people = set(self.people[name])
        chosen = [r for r in self.recordings if r.person in people]
        if not chosen:
            raise DataError(
                f"data set '{self.name}' has no subjects in its '{name}' split; there are "
                f"{', '.join(everybody(self.recordings))}: divide them with --people FILE "
                '(JSON {"train": [...], "val": [...], "test": [...]})'
            )
        return chosen

    def windows(
        self, split: str, *, length: int | None = None, stride: int | None = None, phase: int = 0
    ) -> Windows:
        """Cut the recordings of a split into windows; none crosses a recording.

        Parameters
        ----------
        split : str
            ``"train"``, ``"val"`` or ``"test"``.
        length : int, optional
            Samples per window; ``self.window`` if not given.
        stride : int, optional
            Samples from one start to the next; `length` (no overlap) if not given.
        phase : int
            First sample of the first window of each recording.

        Raises
        ------
        DataError
            If the split is unknown or empty, a length is not positive, or every recording is
            shorter than a window.
        """
        length = self.window if length is None else length
        stride = length if stride is None else stride
        if length < 1 or stride < 1 or phase < 0:
            raise DataError(
                f"window length {length}, stride {stride}, phase {phase}: lengths are at least 1"
            )
        parts, labels, people, targets = [], [], [], []
        recordings = self.split(split)
        for recording in recordings:
            if len(recording.x) < length + phase:
                continue
            view = np.lib.stride_tricks.sliding_window_view(recording.x[phase:], length, axis=0)
            part = view[::stride].transpose(0, 2, 1)
            parts.append(part)
            if self.task.per_step:
                view = np.lib.stride_tricks.sliding_window_view(
                    recording.by_step()[phase:], length, axis=0
                )
                targets.append(np.moveaxis(view[::stride], -1, 1))
            labels += [recording.label] * len(part)
            people += [recording.person] * len(part)
        if not parts:
            longest = max(len(r.x) for r in recordings)
            raise DataError(
                f"no recording of the '{split}' split of '{self.name}' has {length + phase} "
                f"samples (the longest has {longest}): use a shorter window"
            )
        x = np.ascontiguousarray(np.concatenate(parts), dtype=np.float32)
        if self.task.per_step:
            by_step = np.ascontiguousarray(np.concatenate(targets))
            return Windows(x, by_step[:, -1], np.array(people), by_step)
        return Windows(x, as_targets(labels), np.array(people))


def as_targets(labels: Sequence[Any]) -> NDArray[Any]:
    """Return the targets of windows or recordings as `Windows.y` has them."""
    found = np.array(labels)
    return found.astype(np.float32 if found.dtype.kind == "f" else np.int64)


def everybody(recordings: list[Recording]) -> list[str]:
    """Return the subjects of `recordings`, sorted; whole numbers by value."""
    return sort_people({r.person for r in recordings})


def sort_people(people: set[str] | list[str]) -> list[str]:
    """Sort names of subjects; whole numbers come first, by value."""
    whole = {p for p in people if p.isdecimal() and len(p) < 100}
    return sorted(people, key=lambda p: (0, int(p), p) if p in whole else (1, 0, p))

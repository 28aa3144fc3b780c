"""What a model is run and scored on: windows, or whole recordings if it decides at every sample.

Training, compression and profiles score by the same sequences, so that their figures agree.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.dataset import Dataset, Windows, as_targets
from edgeflow.errors import DataError
from edgeflow.overlap import Overlap

#: Samples of recordings that run side by side; their activations have to fit into memory.
STREAM_SAMPLES = 2**18
#: Sequences that a program runs side by side: any number gives the same bits.
SIDE_BY_SIDE = 1024
#: Length of a stretch of a stream, in windows of the data set.
STRETCH = 4

#: Outputs [n, time, size] of x [n, time, channels], each from a reset.
Model = Callable[[NDArray[Any]], NDArray[Any]]
#: Called with the sequences that are done, and all.
OnSequences = Callable[[int, int], None]


@dataclass(frozen=True, eq=False, repr=False)
class Sequences:
    """Sequences of samples, each read from a reset, and their targets.

    A model with windows decides once per sequence, at its last sample. One without decides at every
    sample of whole recordings, of which the first `warmup` do not count. Where windows overlap,
    sequences are whole recordings too, with a reset at the start of each window, and a decision
    every hop from the sample after the first `warmup` on.

    Attributes
    ----------
    x : list of array [time, channels]
        Raw samples (float32), or a program's integers (int16).
    y : int64 [n], or float32 [n] or [n, values]
        Targets; of a task with one per step the last step's.
    person : str [n]
    window : int
        Samples of a window; of recordings those that the data set's windows have.
    stream : bool
        Whether they are whole recordings.
    warmup : int
        0 of windows.
    by_step : list of array [time] or [time, values], or None
        Targets of all steps, of a task that has them.
    overlap : Overlap or None
        Of windows that overlap.
    """

    x: list[NDArray[Any]]
    y: NDArray[Any]
    person: NDArray[Any]
    window: int
    stream: bool = False
    warmup: int = 0
    by_step: list[NDArray[Any]] | None = None
    overlap: Overlap | None = None

    def __repr__(self) -> str:
        what = "recordings" if self.stream else f"windows of {self.window} samples"
        return f"Sequences({len(self.x)} {what})"

    @property
    def steps(self) -> int:
        """Number of samples."""
        return sum(len(x) for x in self.x)

    @property
    def recordings(self) -> int | None:
        """Number of whole recordings; None of windows."""
        return len(self.x) if self.stream else None

    def first(self, n: int) -> "Sequences":
        """Return the first n sequences."""
        return self.part(slice(n))

    def part(self, chosen: slice) -> "Sequences":
        """Return some of the sequences."""
        by_step = None if self.by_step is None else self.by_step[chosen]
        return replace(
            self, x=self.x[chosen], y=self.y[chosen], person=self.person[chosen], by_step=by_step
        )

    @property
    def truth(self) -> NDArray[Any]:
        """Targets of each decision that counts."""
        if self.stream and self.by_step is not None:
            return np.concatenate(
                [of[: len(x)][self.decisions] for of, x in zip(self.by_step, self.x, strict=True)]
            )
        return self.of_decisions(self.y)

    @property
    def decisions(self) -> slice:
        """Samples of a recording that have a decision which counts."""
        return slice(self.warmup, None, None if self.overlap is None else self.overlap.hop)

    def of_decisions(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the sequences [n, ...] for each decision that counts."""
        if not self.stream:
            return values
        return np.repeat(values, [len(x[self.decisions]) for x in self.x], axis=0)

    def counted(self, outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Return the outputs of each decision that counts, as windows [n, time, size].

        They are those of `run`. Of recordings a decision has the outputs of its own sample only:
        time is 1.
        """
        if not self.stream:
            return np.stack(outputs)
        return np.concatenate([one[self.decisions] for one in outputs])[:, None]

    def starts(self, outputs: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return outputs [n, time, size] and targets [n] of the samples after each reset.

        Of recordings these are as many samples as a window has, of those that are as long. Targets
        of each step are [n, time].
        """
        time = min(self.window, max(len(one) for one in outputs))
        chosen = [i for i, one in enumerate(outputs) if len(one) >= time]
        of_steps = [self.by_step[i][:time] for i in chosen] if self.by_step is not None else None
        truth = self.y[chosen] if of_steps is None else np.stack(of_steps)
        return np.stack([outputs[i][:time] for i in chosen]), truth

    def run(
        self, model: Model, size: int, progress: OnSequences = lambda done, total: None
    ) -> list[NDArray[Any]]:
        """Return the outputs [time, size] of each sequence; a model gets `size` at a time.

        Recordings run beside others of similar length, filled up with zeros at the end, which a
        causal model's outputs do not depend on. Where windows overlap, outputs are those of the
        older of two.
        """
        if self.overlap is not None:
            model = partial(self.overlap.run, model)
        found: dict[int, NDArray[Any]] = {}
        progress(0, len(self.x))
        for group in self._groups(size):
            x = self.padded(group)
            for i, outputs in zip(group, model(x), strict=True):
                found[i] = outputs[: len(self.x[i])]
            progress(len(found), len(self.x))
        return [found[i] for i in range(len(self.x))]

    def padded(self, group: Sequence[int]) -> NDArray[Any]:
        """Return the sequences of these numbers side by side, with zeros at the end."""
        parts = [self.x[i] for i in group]
        whole = np.zeros((len(parts), max(map(len, parts)), parts[0].shape[1]), parts[0].dtype)
        for row, part in zip(whole, parts, strict=True):
            row[: len(part)] = part
        return whole

    def from_resets(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return what is read from each reset, [n, time, channels] with zeros at the end.

        And the number of samples of each, int64 [n].
        """
        whole = self.padded(range(len(self.x)))
        lengths = np.array([len(x) for x in self.x])
        if self.overlap is None:
            return whole, lengths
        parts, _ = self.overlap.windows(whole)
        starts = np.arange(len(parts) // len(whole)) * self.overlap.stagger
        read = np.clip(lengths[:, None] - starts, 0, self.window).reshape(-1)
        return parts[read > 0][:, : read.max()], read[read > 0]

    def _groups(self, size: int) -> Iterator[list[int]]:
        order = list(range(len(self.x)))
        if self.stream:
            order.sort(key=lambda i: len(self.x[i]), reverse=True)
        while order:
            longest = len(self.x[order[0]])
            count = min(size, max(STREAM_SAMPLES // longest, 1)) if self.stream else size
            yield order[:count]
            order = order[count:]


def sequences_of(
    dataset: Dataset, split: str, *, window: int, hop: int = 0, warmup: int | None = None
) -> Sequences:
    """Return what a model is scored on.

    Parameters
    ----------
    split : str
        ``"train"``, ``"val"`` or ``"test"``.
    window : int
        Samples per decision; 0: whole recordings, and a decision at every sample.
    hop : int
        Samples from one decision to the next, of windows that overlap; 0: they do not.
    warmup : int, optional
        First samples of a recording that do not count; None: half of the data set's window. Of
        windows that overlap, those before the first decision.

    Raises
    ------
    DataError
        If the split is unknown or empty, or its recordings are shorter than a window or than
        `warmup`.
    """
    if window and not hop:
        return of_windows(dataset.windows(split, length=window), window)
    overlap = Overlap(window, hop) if hop else None
    if overlap is not None:
        warmup = overlap.first - 1
    warmup = dataset.window // 2 if warmup is None else warmup
    recordings = [one for one in dataset.split(split) if len(one.x)]
    longest = max((len(one.x) for one in recordings), default=0)
    if longest <= warmup:
        raise DataError(
            f"no recording of the '{split}' split of '{dataset.name}' is longer than the first "
            f"{warmup} samples, which do not count (the longest has {longest}): record longer ones"
        )
    by_step = [one.by_step() for one in recordings] if dataset.task.per_step else None
    return Sequences(
        [one.x for one in recordings],
        as_targets([one.label for one in recordings])
        if by_step is None
        else np.stack([one[-1] for one in by_step]),
        np.array([one.person for one in recordings]),
        window or dataset.window,
        stream=True,
        warmup=warmup,
        by_step=by_step,
        overlap=overlap,
    )


def of_windows(windows: Windows, length: int) -> Sequences:
    """Return windows as sequences."""
    by_step = None if windows.by_step is None else list(windows.by_step)
    return Sequences(list(windows.x), windows.y, windows.person, length, by_step=by_step)


def training_stretches(dataset: Dataset, window: int) -> NDArray[np.float32]:
    """Return raw samples [n, time, channels] of training subjects to calibrate on.

    Each is read from a reset: a window or, of a stream (`window` 0), a stretch of a recording of
    `STRETCH` windows of the data set, in which states come closer to where they stay than in one.
    Where recordings are shorter it has the median's length.
    """
    if window:
        return dataset.windows("train", length=window).x
    median = int(np.median([len(one.x) for one in dataset.split("train")]))
    return dataset.windows("train", length=max(min(STRETCH * dataset.window, median), 1)).x

"""Batches of training: windows, or recordings side by side as streams."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.data.channels import axis_triples
from edgeflow.data.dataset import Dataset, Recording, Windows, as_targets
from edgeflow.overlap import Overlap

#: Returns changed samples x [n, time, channels] and their targets: of whole windows or recordings.
Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def unchanged(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Change nothing."""
    return x, y


@dataclass(frozen=True)
class Batch:
    """One optimiser step's data.

    Attributes
    ----------
    x : Tensor float32 [n, time, channels]
    y : Tensor int64 [n], or float32 [n] or [n, values]
        Targets, as `change` made them; of a task with one per step [n, time] or [n, time, values].
    weight : Tensor float32 [n, time]
        What each step counts in loss and metrics.
    keep : bool
        The state goes on from the batch before.
    person : Tensor int64 [n], optional
        Whose windows they are, as numbers.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    keep: bool
    person: Tensor | None = None


@torch.no_grad()
def normalise_front(front: nn.ModuleList, dataset: Dataset, *, centre: bool) -> None:
    """Set deviation and, to `centre`, mean of the last front end, by training subjects' samples.

    A layer that reads zeros before the first sample must not be given centred values: their zero
    is no integer's.
    """
    found = []
    for samples in (recording.x for recording in dataset.split("train")):
        x = torch.from_numpy(samples.astype(np.float32))[None]
        for layer in front:
            x, _ = layer(x)
        found.append(x[0])
    y = torch.cat(found).double()
    mean, std = y.mean(dim=0), y.std(dim=0, correction=0)
    # rounding leaves a little variance in a constant value
    std[std < 1e-6 * mean.abs().clamp(min=1e-6)] = 1.0
    last: Any = front[-1]
    if centre:
        last.mean.copy_(mean)
    last.std.copy_(std)


def normalisation(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation [channels] over the training subjects' samples.

    An axis of a sensor takes at least a tenth of the sensor's root-mean-square length: one
    that hardly moved in training would else dwarf all others once it does. A channel that
    never changed takes 1.
    """
    total = np.zeros(len(dataset.channels))
    squares = np.zeros(len(dataset.channels))
    count = 0
    for recording in dataset.split("train"):
        x = recording.x.astype(np.float64)
        total += x.sum(axis=0)
        squares += (x * x).sum(axis=0)
        count += len(x)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
    for i in axis_triples(dataset.channels):
        std[i : i + 3] = np.maximum(std[i : i + 3], 0.1 * np.sqrt(squares[i : i + 3].sum() / count))
    # rounding leaves a little variance in a constant channel
    std[std < 1e-6 * np.maximum(np.abs(mean), 1e-6)] = 1.0
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)


def targets(dataset: Dataset) -> NDArray[Any]:
    """Return all targets of the training subjects, [n, ...]: of steps or of recordings."""
    recordings = dataset.split("train")
    if dataset.task.per_step:
        return np.concatenate([one.by_step() for one in recordings])
    return as_targets([one.label for one in recordings])


def tail_of(length: int, hop: int, share: float) -> int:
    """Return how many of the last steps of a window are trained.

    A share of it, and, where windows overlap, all that decisions may be made after.
    """
    counted = Overlap(length, hop).counted if hop else 1
    return max(int(length * share), counted)


def tail_weight(n: int, length: int, tail: int) -> Tensor:
    """Return weights [n, length] that count the last `tail` steps."""
    weight = torch.zeros(n, length)
    weight[:, length - tail :] = 1.0
    return weight


def _of_windows(windows: Windows, chosen: NDArray[np.int64], tail: int, change: Change) -> Batch:
    targets = windows.y if windows.by_step is None else windows.by_step
    x, y = change(torch.from_numpy(windows.x[chosen]), torch.from_numpy(targets[chosen]))
    person = torch.from_numpy(np.unique(windows.person[chosen], return_inverse=True)[1])
    return Batch(x, y, tail_weight(len(x), x.shape[1], tail), keep=False, person=person)


def train_windows(
    dataset: Dataset, length: int, batch: int, tail: int, *, change: Change = unchanged,
    by_person: bool = False,
) -> Iterator[Batch]:  # fmt: skip
    """Yield shuffled windows of the training subjects that overlap by half, changed by `change`.

    All windows shift by the same random number of samples, so that every epoch cuts the
    recordings elsewhere. With `by_person` each half of a batch is of one person.
    """
    stride = max(length // 2, 1)
    shortest = min(len(r.x) for r in dataset.split("train"))
    room = max(min(stride, shortest - length + 1), 1)
    windows = dataset.windows(
        "train", length=length, stride=stride, phase=int(np.random.randint(room))
    )
    order = np.random.permutation(len(windows.y))
    if by_person:
        order = persons_together(order, windows, max(batch // 2, 1))
    for start in range(0, len(order), batch):
        yield _of_windows(windows, order[start : start + batch], tail, change)


def persons_together(order: NDArray[np.int64], windows: Windows, size: int) -> NDArray[np.int64]:
    """Return shuffled windows in runs of `size` of a person, with about as many of each class."""
    runs = []
    for person in np.unique(windows.person):
        mine = order[windows.person[order] == person]
        # the how manyth of its class each window is
        turn = np.zeros(len(mine), np.int64)
        for label in np.unique(windows.y[mine]):
            same = windows.y[mine] == label
            turn[same] = np.arange(same.sum())
        mine = mine[np.argsort(turn, kind="stable")]
        runs += [mine[start : start + size] for start in range(0, len(mine), size)]
    return np.concatenate([runs[i] for i in np.random.permutation(len(runs))])


def of_epoch(
    dataset: Dataset, length: int, batch: int, *, tail: int, warmup: int | None, change: Change,
    by_person: bool = False,
) -> Iterator[Batch]:  # fmt: skip
    """Yield the batches of an epoch: windows or, with a `warmup`, whole recordings as streams.

    Parameters
    ----------
    tail : int
        Last steps of a window that count.
    warmup : int, optional
        First steps of a recording that do not count; None: windows.
    by_person : bool
        Of windows: each half of a batch is of one person.
    """
    if warmup is None:
        return train_windows(dataset, length, batch, tail, change=change, by_person=by_person)
    return streams(
        dataset.split("train"), length, batch, warmup, shuffle=True,
        per_step=dataset.task.per_step, change=change,
    )  # fmt: skip


def streams(
    recordings: list[Recording], length: int, batch: int, warmup: int, *, shuffle: bool,
    per_step: bool = False, change: Change = unchanged,
) -> Iterator[Batch]:  # fmt: skip
    """Yield recordings in groups of `batch`, cut into successive windows of `length`.

    A group's recordings are of similar length; shorter ones are filled up with zeros that do
    not count. The first `warmup` steps of a recording do not count either. With `per_step` each
    step has a target of its own. `change` sees whole recordings: a sensor does not turn between
    two pieces.
    """
    start = [int(np.random.randint(length)) if shuffle else 0 for _ in recordings]
    start = [s if len(r.x) - s > warmup else 0 for r, s in zip(recordings, start, strict=True)]
    parts = [r.x[s:] for r, s in zip(recordings, start, strict=True)]
    by_length = np.argsort([len(x) for x in parts], kind="stable")
    groups = [by_length[i : i + batch] for i in range(0, len(by_length), batch)]
    if shuffle:
        groups = [groups[i] for i in np.random.permutation(len(groups))]
    for group in groups:
        longest = max(len(parts[i]) for i in group)
        x = torch.zeros(len(group), longest, recordings[0].x.shape[1])
        weight = torch.zeros(len(group), longest)
        for row, i in enumerate(group):
            x[row, : len(parts[i])] = torch.from_numpy(parts[i])
            weight[row, warmup : len(parts[i])] = 1.0
        if per_step:
            found = [torch.from_numpy(recordings[i].by_step()[start[i] :]) for i in group]
            y = nn.utils.rnn.pad_sequence(found, batch_first=True)
        else:
            y = torch.from_numpy(as_targets([recordings[i].label for i in group]))
        x, y = change(x, y)
        for begin in range(0, longest, length):
            piece = slice(begin, begin + length)
            of_piece = y[:, piece] if per_step else y
            yield Batch(x[:, piece], of_piece, weight[:, piece], keep=begin > 0)

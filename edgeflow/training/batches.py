"""Batches of training: windows, or recordings side by side as streams."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.data.channels import axis_triples
from edgeflow.data.dataset import Dataset, Recording, Windows, as_targets


@dataclass(frozen=True)
class Batch:
    """One optimiser step's data.

    Attributes
    ----------
    x : Tensor float32 [n, time, channels]
    y : Tensor int64 [n], or float32 [n] or [n, values]
        Targets.
    weight : Tensor float32 [n, time]
        What each step counts in loss and metrics.
    keep : bool
        The state goes on from the batch before.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    keep: bool


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
    if centre:
        front[-1].mean.copy_(mean)
    front[-1].std.copy_(std)


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


def tail_weight(n: int, length: int, tail: int) -> Tensor:
    """Return weights [n, length] that count the last `tail` steps."""
    weight = torch.zeros(n, length)
    weight[:, length - tail :] = 1.0
    return weight


def _of_windows(windows: Windows, chosen: NDArray[np.int64], tail: int) -> Batch:
    x, y = torch.from_numpy(windows.x[chosen]), torch.from_numpy(windows.y[chosen])
    return Batch(x, y, tail_weight(len(x), x.shape[1], tail), keep=False)


def train_windows(dataset: Dataset, length: int, batch: int, tail: int) -> Iterator[Batch]:
    """Yield shuffled windows of the training subjects that overlap by half.

    All windows shift by the same random number of samples, so that every epoch cuts the
    recordings elsewhere.
    """
    stride = max(length // 2, 1)
    shortest = min(len(r.x) for r in dataset.split("train"))
    room = max(min(stride, shortest - length + 1), 1)
    windows = dataset.windows(
        "train", length=length, stride=stride, phase=int(np.random.randint(room))
    )
    order = np.random.permutation(len(windows.y))
    for start in range(0, len(order), batch):
        yield _of_windows(windows, order[start : start + batch], tail)


def streams(
    recordings: list[Recording], length: int, batch: int, warmup: int, *, shuffle: bool
) -> Iterator[Batch]:
    """Yield recordings in groups of `batch`, cut into successive windows of `length`.

    A group's recordings are of similar length; shorter ones are filled up with zeros that do
    not count. The first `warmup` steps of a recording do not count either.
    """
    start = [int(np.random.randint(length)) if shuffle else 0 for _ in recordings]
    parts = [
        r.x[s:] if len(r.x) - s > warmup else r.x for r, s in zip(recordings, start, strict=True)
    ]
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
        y = torch.from_numpy(as_targets([recordings[i].label for i in group]))
        for begin in range(0, longest, length):
            piece = slice(begin, begin + length)
            yield Batch(x[:, piece], y, weight[:, piece], keep=begin > 0)

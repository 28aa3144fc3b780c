"""Sets of repetitions: counts as targets, and the phase of each step, found from the counts.

Of a set only its number of repetitions is known. Its borders between repetitions are those that
make the repetitions most alike: by turns, a template is the mean of the repetitions, all brought to
one length, and dynamic programming finds the borders whose repetitions are nearest to it. It begins
with what comes nearest of even repetitions, the first and the last. The number is the known one,
unless another fits better: people miscount.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.channels import axis_triples
from edgeflow.data.dataset import Dataset, Recording
from edgeflow.errors import DataError
from edgeflow.tasks.counting import Counting
from edgeflow.tasks.phase import Phase, circle

#: Frames that a repetition has on average, and points of the template.
FRAMES, POINTS = 15, 12
#: Lengths of a repetition that are possible, as shares of the mean, and the weight of the squared
#: logarithm of a length beside the mean squared distance to the template.
SHORTEST, LONGEST, TEMPO = 0.6, 1.6, 0.3
#: Lengths of the first and the last repetition that the search begins with, as shares of the mean,
#: and times that template and borders are then found by turns, at most.
STARTS, TURNS = (0.75, 1.0, 1.3), 6
#: How far another number of repetitions may be, and by how much of a distance it must be better.
OTHERS, BETTER = 2, 0.03

Floats = NDArray[np.float64]


def can_be_counted(dataset: Dataset) -> bool:
    """Tell whether a data set has counts, or labels that are whole numbers."""
    if isinstance(dataset.task, Counting):
        return True
    names = dataset.classes
    return dataset.target is None and bool(names) and all(name.isdecimal() for name in names)


def counted(dataset: Dataset) -> Dataset:
    """Return a data set whose labels are numbers of repetitions as one of counts.

    Parameters
    ----------
    dataset : Dataset
        Its classes are whole numbers.

    Raises
    ------
    DataError
        If they are not, or a recording has more repetitions than samples.
    """
    if isinstance(dataset.task, Counting):
        return dataset
    if not can_be_counted(dataset):
        kind = f"'{dataset.name}' is for {dataset.task.name}"
        if dataset.classes:
            kind += f", of the classes {', '.join(dataset.classes[:3])}"
        raise DataError(f"counts are labels that are whole numbers: {kind}")
    recordings = [with_count(one, int(dataset.classes[one.label])) for one in dataset.recordings]
    return replace(dataset, recordings=recordings, classes=[], target=Counting())


def with_count(one: Recording, count: int) -> Recording:
    """Return a recording of which only is known how many repetitions there are at its end.

    Raises
    ------
    DataError
        If there are more than samples.
    """
    if count > len(one.x):
        raise DataError(f"a recording of {one.person} has {len(one.x)} samples: not {count} counts")
    target = np.full((len(one.x), 1), np.nan, np.float32)
    target[-1:] = count
    return replace(one, label=count, target=target)


def phases(dataset: Dataset) -> Dataset:
    """Return a data set whose targets are the phases of each step.

    Parameters
    ----------
    dataset : Dataset
        Of counts; recordings last from the beginning of the first repetition to the end of the
        last.

    Raises
    ------
    DataError
        If it has no counts, or no recording has 2 repetitions of 4 samples or more.
    """
    dataset = counted(dataset)
    triples = axis_triples(dataset.channels)
    recordings = []
    for one in dataset.recordings:
        count = int(np.nan_to_num(one.by_step()[-1, 0]))
        if count >= 2 and len(one.x) >= 4 * count:
            through = repetitions(one.x, count, triples)
            recordings.append(replace(one, label=0, target=circle(through)))
    if not recordings:
        raise DataError(
            f"data set '{dataset.name}': no recording has 2 repetitions or more, each of 4 samples"
        )
    return replace(dataset, recordings=recordings, target=Phase())


def repetitions(x: NDArray[np.float32], count: int, triples: Sequence[int] = ()) -> Floats:
    """Return how many repetitions are over at each sample, [time], from 0 on.

    Parameters
    ----------
    x : float32 [time, channels]
        4 samples a repetition or more.
    count : int
        2 or more.
    triples : sequence of int
        First channels of sensors with three axes, which keep their proportions.
    """
    frames = _frames(x, count, triples)
    best, found = np.inf, np.array([0, len(frames) - 1])
    for number in range(max(2, count - OTHERS), count + OTHERS + 1):
        distance, borders = _borders(frames, number)
        distance += BETTER * abs(number - count)
        if distance < best:
            best, found = distance, borders
    at = found * (len(x) - 1) / (len(frames) - 1)
    return np.interp(np.arange(len(x)), at, np.arange(len(at), dtype=float))


def _frames(x: NDArray[np.float32], count: int, triples: Sequence[int]) -> Floats:
    """Return smoothed channels of like size at evenly spaced times, [frames, channels]."""
    width = max(1, len(x) // (count * FRAMES) * 2)
    sums = np.cumsum(np.pad(x.astype(np.float64), ((width, width), (0, 0)), "edge"), axis=0)
    smooth = (sums[2 * width :] - sums[: -2 * width]) / (2 * width)
    at = np.linspace(0, len(smooth) - 1, count * FRAMES + 1)
    grid = np.arange(len(smooth))
    frames = np.stack([np.interp(at, grid, column) for column in smooth.T], axis=1)
    frames -= frames.mean(axis=0)
    size = frames.std(axis=0)
    for i in triples:
        size[i : i + 3] = frames[:, i : i + 3].std()
    scaled: Floats = frames / np.where(size > 0, size, 1)
    return scaled


def _borders(frames: Floats, count: int) -> tuple[float, NDArray[np.int64]]:
    """Return the mean distance of a repetition to the template, and the borders [count + 1]."""
    last = len(frames) - 1
    mean = last / count
    lengths = np.arange(max(2, int(SHORTEST * mean)), int(LONGEST * mean) + 2)
    start = np.arange(last + 1)[:, None]
    stretches = _stretches(frames, start[..., None], lengths[None, :, None])
    power = np.square(stretches).mean(axis=2)
    unlike = TEMPO * np.square(np.log(lengths / mean))

    def fitted(template: Floats) -> tuple[float, NDArray[np.int64]]:
        cost = power - 2 * (stretches @ template) / template.size + np.square(template).mean()
        cost = np.where(start + lengths > last, np.inf, cost * lengths / mean + unlike)
        return _cheapest(cost, lengths, count)

    def template_of(borders: NDArray[np.int64]) -> Floats:
        nearest = np.abs(lengths - np.diff(borders)[:, None]).argmin(axis=1)
        mean_: Floats = stretches[borders[:-1], nearest].mean(axis=0)
        return mean_

    even = np.round(np.linspace(0, last, count + 1)).astype(np.int64)
    begun = [template_of(even)]
    for share in STARTS:
        i = int(np.abs(lengths - share * mean).argmin())
        begun += [stretches[0, i], stretches[last - lengths[i], i]]
    distance, borders = min((fitted(one) for one in begun), key=lambda found: found[0])
    for _ in range(TURNS):
        found = fitted(template_of(borders))
        if found[0] >= distance:
            break
        distance, borders = found
    return distance / count, borders


def _stretches(frames: Floats, start: NDArray[np.int64], length: NDArray[np.int64]) -> Floats:
    """Return what follows each start, brought to `POINTS` points: [starts, lengths, all]."""
    at = np.minimum(start + length * np.linspace(0, 1, POINTS), len(frames) - 1)
    below = np.minimum(at.astype(np.int64), len(frames) - 2)
    share = (at - below)[..., None]
    found = frames[below] * (1 - share) + frames[below + 1] * share
    return found.reshape(*found.shape[:2], -1)


def _cheapest(
    cost: Floats, lengths: NDArray[np.int64], count: int
) -> tuple[float, NDArray[np.int64]]:
    """Return the least sum of the costs [start, length] of `count` stretches, and their borders.

    They cover all frames, one behind the other.
    """
    size = len(cost)
    total = np.full(size, np.inf)
    total[0] = 0
    taken = np.zeros((count, size), np.int64)
    for k in range(count):
        sums = np.full((len(lengths), size), np.inf)
        for i, length in enumerate(lengths):
            sums[i, length:] = total[: size - length] + cost[: size - length, i]
        choice = sums.argmin(axis=0)
        total, taken[k] = sums[choice, np.arange(size)], lengths[choice]
    borders = [size - 1]
    for k in reversed(range(count)):
        borders.append(borders[-1] - int(taken[k, borders[-1]]))
    return float(total[-1]), np.array(borders[::-1])

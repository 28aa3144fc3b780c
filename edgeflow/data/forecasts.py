"""Data sets of forecasts: each step's targets are what comes later in its own recording."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.dataset import Dataset, Recording
from edgeflow.errors import DataError
from edgeflow.tasks import Forecast, Regression

#: Samples that the linear baseline reads.
LAGS = 20
#: Ridges that it may take, in shares of the number of steps; validation subjects choose.
RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

Floats = NDArray[np.float64]


def forecasts(dataset: Dataset, horizons: Sequence[float]) -> Dataset:
    """Return a data set whose task is to forecast.

    What is forecast are the targets of each step, if the data set has such values, else its
    channels. The last samples of each recording, whose future is not known, are left out, and
    recordings that are not longer.

    Parameters
    ----------
    horizons : sequence of float
        Seconds from now, each one sample or more.

    Raises
    ------
    DataError
        If a horizon is shorter than a sample, or no recording is longer than the longest.
    """
    steps = tuple(sorted({round(one * dataset.rate_hz) for one in horizons}))
    if not steps or steps[0] < 1:
        raise DataError(
            f"--horizon {','.join(f'{one:g}' for one in horizons)}: give seconds from now, each a "
            f"sample of {dataset.rate_hz:g} Hz or more"
        )
    names, units, along = tuple(dataset.channels), tuple(dataset.units), True
    values = dataset.target if isinstance(dataset.target, Regression) else None
    if values is not None and values.per_step:
        names, units, along = values.names, values.units, values.along
    task = Forecast(names, units, steps, dataset.rate_hz, along)
    kept = [one for one in dataset.recordings if len(one.x) > steps[-1]]
    if not kept:
        raise DataError(
            f"data set '{dataset.name}': no recording is longer than the horizon of "
            f"{steps[-1]} samples: forecast less far"
        )
    series = [one.by_step() if values is not None and values.per_step else one.x for one in kept]
    wide = [one.astype(np.float64) for one in series]
    weights = _fitted(dataset, kept, wide, steps)
    recordings = [
        _with_targets(one, own, steps, weights) for one, own in zip(kept, wide, strict=True)
    ]
    return replace(dataset, recordings=recordings, target=task, classes=[])


def _with_targets(
    one: Recording, series: Floats, steps: Sequence[int], weights: Floats
) -> Recording:
    """Return a recording whose targets are as `Forecast` has them."""
    n = len(series) - steps[-1]
    changes = _changes(series, steps)
    level = (series - series.mean(axis=0))[:n]
    linear = lagged(series)[:n] @ weights
    target = np.concatenate([changes, level, linear], axis=1).astype(np.float32)
    return replace(one, x=one.x[:n], target=target, label=0)


def _changes(series: Floats, steps: Sequence[int]) -> Floats:
    n = len(series) - steps[-1]
    return np.concatenate([series[h : h + n] - series[:n] for h in steps], axis=1)


def lagged(series: Floats) -> Floats:
    """Return what the linear baseline reads at each step, [time, lags * series + 1].

    How much the last samples differ from the present one, those before the first being like it;
    and 1.
    """
    padded = np.concatenate([np.repeat(series[:1], LAGS, axis=0), series])
    n = len(series)
    past = [padded[LAGS - k : LAGS - k + n] - series for k in range(1, LAGS + 1)]
    return np.concatenate([*past, np.ones((n, 1))], axis=1)


def _fitted(
    dataset: Dataset, kept: Sequence[Recording], series: Sequence[Floats], steps: Sequence[int]
) -> Floats:
    """Return the weights of the linear baseline, fitted on the training subjects.

    Ridge regression on inputs that are scaled alike, so that the ridge, of those in `RIDGES` the
    best on validation subjects, means the same for all.
    """
    sums: dict[str, list[Floats]] = {}
    for split in ("train", "val"):
        found = [
            (lagged(own)[: len(own) - steps[-1]], _changes(own, steps))
            for one, own in zip(kept, series, strict=True)
            if one.person in dataset.people[split]
        ]
        if found:
            sums[split] = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    if "train" not in sums:
        return np.zeros((LAGS * series[0].shape[1] + 1, len(steps) * series[0].shape[1]))
    x, y = sums["train"]
    size = np.sqrt(np.square(x).mean(axis=0))
    size[size == 0] = 1.0
    gram, product = (x / size).T @ (x / size), (x / size).T @ y
    tried = []
    for ridge in RIDGES:
        solved = np.linalg.solve(gram + ridge * len(x) * np.eye(len(gram)), product)
        weights = solved / size[:, None]
        against = sums.get("val", sums["train"])
        tried.append((float(np.square(against[0] @ weights - against[1]).sum()), weights))
    best: Floats = min(tried, key=lambda one: one[0])[1]
    return best

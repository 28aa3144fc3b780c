"""Sound in hops: one step of a model reads the next samples of a channel, side by side."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgeflow.data.dataset import Dataset, Recording
from edgeflow.errors import DataError


def hop_channels(channel: str, hop: int) -> list[str]:
    """Return the names of the samples of a hop: ``audio_0``, ``audio_1``, ..."""
    return [f"{channel}_{i}" for i in range(hop)]


def is_in_hops(channels: Sequence[str]) -> bool:
    """Tell whether channels are the samples of a hop."""
    return list(channels) == hop_channels(channels[0].rpartition("_")[0], len(channels))


def in_hops(dataset: Dataset, hop: int) -> Dataset:
    """Return a data set of one channel whose steps are `hop` of its samples.

    Rate and window are those of the steps. Targets of steps are those of their last samples, and
    what is left at the end of a recording is left out.

    Raises
    ------
    DataError
        If it has several channels, or all recordings are shorter than a hop.
    """
    if len(dataset.channels) != 1:
        raise DataError(
            f"data set '{dataset.name}' has the channels {', '.join(dataset.channels)}: sound is "
            "one: choose it with --channels"
        )
    if all(len(one.x) < hop for one in dataset.recordings):
        raise DataError(f"data set '{dataset.name}': no recording has {hop} samples, a hop")
    rate_hz, target = dataset.rate_hz / hop, dataset.target
    if hasattr(target, "rate_hz"):
        target = replace(target, rate_hz=rate_hz)  # type: ignore[type-var]
    return replace(
        dataset,
        channels=hop_channels(dataset.channels[0], hop),
        units=dataset.units * hop,
        counts=dataset.counts * hop,
        rate_hz=rate_hz,
        recordings=[_in_hops(one, hop) for one in dataset.recordings],
        window=max(dataset.window // hop, 1),
        target=target,
    )


def _in_hops(one: Recording, hop: int) -> Recording:
    steps = len(one.x) // hop
    x = np.ascontiguousarray(one.x[: steps * hop]).reshape(steps, hop)
    target = None if one.target is None else one.target[: steps * hop][hop - 1 :: hop]
    return replace(one, x=x, target=target)


def for_channels(dataset: Dataset, channels: Sequence[str], window: int = 0) -> Dataset:
    """Return a data set as a model reads it: in hops, if its channels are samples of them.

    Then with windows of `window` steps; 0: as long as they were.
    """
    wanted = hop_channels(dataset.channels[0], len(channels))
    if len(dataset.channels) > 1 or list(channels) != wanted:
        return dataset
    found = in_hops(dataset, len(channels))
    return replace(found, window=window or found.window)

"""Data sets by name. A new one is one file in ``edgeflow/data/sets`` with a ``SOURCES`` list."""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.data import sets
from edgeflow.data.dataset import Dataset, everybody
from edgeflow.data.more import with_more
from edgeflow.data.people import apply_people, check_people, fixed_split, read_people
from edgeflow.data.purpose import COUNTED, for_purpose
from edgeflow.data.reading import given, make_reading
from edgeflow.data.resample import resampled
from edgeflow.data.source import Source, cache_folder
from edgeflow.discovery import modules_of
from edgeflow.errors import DataError


def sources() -> dict[str, Source]:
    """Return all known data sets by name."""
    found: dict[str, Source] = {}
    for module in modules_of(sets.__path__, sets.__name__):
        for source in module.SOURCES:
            found[source.name] = source
    return found


def find_source(name: str) -> Source:
    """Return a data set by name.

    Raises
    ------
    DataError
        If there is none of this name.
    """
    known = sources()
    if name not in known:
        raise DataError(
            f"there is no data set '{name}': use one of {', '.join(known)}, or the path of a "
            ".csv or .npz file, or of a folder of such files"
        )
    return known[name]


def load_dataset(
    name_or_path: str | Path,
    *,
    root: str | Path | None = None,
    people: str | Path | Mapping[str, Any] | None = None,
    rate_hz: float | None = None,
    window: int | None = None,
    resample_hz: float | None = None,
    columns: Mapping[str, str] | None = None,
    channels: Sequence[str] | None = None,
    pattern: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    time_unit: str | None = None,
    partial: bool = False,
    task: str | None = None,
    horizon: Sequence[float] = (),
    more: str | Path | None = None,
) -> Dataset:
    """Load a data set by name, or recordings of your own from a file or folder.

    What is guessed, left out or suspected is in the result's `notes`.

    Parameters
    ----------
    name_or_path : str or Path
        A name of ``edgeflow data list``, a file (``.csv``, ``.tsv``, ``.txt``, these with ``.gz``,
        ``.parquet``, ``.npz``), or a folder of such tables or of WAV files.
    root : str or Path, optional
        Folder of a local copy of the named data set.
    people : str, Path or mapping, optional
        Split to use instead of the published one: ``{"train": [...], "val": [...], "test":
        [...]}`` or the JSON file that holds it.
    rate_hz : float, optional
        Samples per second, where the file neither says it nor has a column of times.
    window : int, optional
        Default window length in samples, instead of the data set's; after resampling.
    resample_hz : float, optional
        Resample the recordings to this rate, by a polyphase filter that keeps aliases out.
    columns : mapping, optional
        Columns that have other names: ``{"person": "subject", "label": "activity"}``; also
        "recording" and "time".
    channels : sequence of str, optional
        Columns that are channels, in this order. Default: every column that is nothing else, but
        indices and clocks; of a named data set all channels.
    pattern : str, optional
        What the paths in a folder say: ``"{person}/{label}_{recording}.csv"``; ``*`` stands for
        anything.
    separator : str, optional
        Between the cells of a text file: ``","``, ``";"``, ``"|"``, ``"tab"`` or ``"space"``.
        Default: the one that fits header and rows.
    decimal : str, optional
        ``"."`` or ``","``. Default: the one that the numbers have.
    time_unit : str, optional
        Of the column of times: ``"s"``, ``"ms"``, ``"us"``, ``"ns"`` or ``"d"`` (days).
        Default: told from its name or its steps.
    partial : bool
        Of a file or folder that is still being recorded: any number of subjects and labels, and
        recordings of any length. Its splits are empty, unless it says them.
    task : str, optional
        What the data are for, if not what they are labelled for: ``"forecast"`` of their channels,
        or of the targets of their steps; ``"tagging"``, their class at each step.
    horizon : sequence of float
        How far to forecast, in seconds.
    more : str or Path, optional
        Another data set, like a folder of synthetic recordings, whose subjects all train; with the
        same channels, units and rate, and no other classes.

    Raises
    ------
    DataError
        If the data are not there, cannot be read, or cannot be split by subject.

    Examples
    --------
    >>> import edgeflow as ef
    >>> ef.load_dataset("mine.csv", window=25).window
    25
    """
    if not isinstance(name_or_path, str | Path) or "\0" in str(name_or_path):
        raise DataError(f"a data set is a name or a path, not {type(name_or_path).__name__}")
    if more is not None:
        own = load_dataset(
            name_or_path, root=root, people=people, rate_hz=rate_hz, window=window,
            resample_hz=resample_hz, columns=columns, channels=channels, pattern=pattern,
            separator=separator, decimal=decimal, time_unit=time_unit, partial=partial,
        )  # fmt: skip
        # how it is split plays no part
        other = load_dataset(more, resample_hz=resample_hz, partial=True)
        return for_purpose(with_more(own, other), task, horizon)
    if not isinstance(root, str | Path | None):
        raise DataError(f"root is {root!r}: give a path")
    split = None
    if isinstance(people, Mapping):
        split = check_people(people, "people")
    elif isinstance(people, str | Path):
        split = read_people(people)
    elif people is not None:
        raise DataError(f"people is {people!r}: give a mapping, or the path of a JSON file")
    window = None if window is None else _window(window)
    rate_hz = None if rate_hz is None else _rate("rate_hz", rate_hz)
    resample_hz = None if resample_hz is None else _rate("resample_hz", resample_hz)
    reading = make_reading(columns, channels, pattern, separator, decimal, time_unit)

    path = Path(name_or_path).expanduser()
    there = path if root is None else Path(root).expanduser() / path
    if str(name_or_path) not in sources() and (_is_path(path) or there.exists()):
        from edgeflow.data.own import load_own

        own = load_own(
            there, people=split, rate_hz=rate_hz, window=window, resample_hz=resample_hz,
            reading=reading, partial=partial, one_label=task in COUNTED,
        )  # fmt: skip
        return for_purpose(own, task, horizon)

    source = find_source(str(name_or_path))
    if options := [name for name in given(reading) if name != "--channels"]:
        raise DataError(f"'{source.name}' is read as it was published: leave out {options[0]}")
    if rate_hz is not None and rate_hz != source.rate_hz:
        raise DataError(
            f"'{source.name}' was recorded at {source.rate_hz:g} Hz, not {rate_hz:g}: leave out "
            "the rate"
        )
    where = source.locate(root)
    if where is None:
        if not source.small:
            raise DataError(
                f"data set '{source.name}' is not on this machine: run 'edgeflow data get "
                f"{source.name}', or pass --root DIR with a local copy"
            )
        where = source.get()
    elif root is None and source.small and where.is_relative_to(cache_folder()):
        where = source.get()  # which mends it if it is damaged
    recordings = source.read(where)
    everyone = everybody(recordings)
    if split is None:
        split = fixed_split(source.name, everyone, source.val, source.test, where)
    else:
        split = apply_people(split, everyone, where)
    dataset = Dataset(
        name=source.name,
        classes=list(source.classes),
        channels=list(source.channels),
        units=list(source.units),
        rate_hz=source.rate_hz,
        recordings=recordings,
        people=split,
        window=source.window,
        mirror=source.mirror,
        target=source.target,
    )
    if reading.channels:
        dataset = _only(dataset, reading.channels)
    if resample_hz is not None:
        dataset = resampled(dataset, resample_hz)
    dataset = dataset if window is None else replace(dataset, window=window)
    return for_purpose(dataset, task, horizon)


def _only(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return a data set of some channels, in the order of `names`."""
    for name in names:
        if name not in dataset.channels:
            raise DataError(
                f"'{dataset.name}' has no channel '{name}': there are {', '.join(dataset.channels)}"
            )
    chosen = [dataset.channels.index(name) for name in names]
    return replace(
        dataset,
        channels=list(names),
        units=[dataset.units[i] for i in chosen],
        counts=[dataset.counts[i] for i in chosen] if dataset.counts else [],
        recordings=[
            replace(one, x=np.ascontiguousarray(one.x[:, chosen])) for one in dataset.recordings
        ],
    )


def _window(value: int) -> int:
    try:
        window = operator.index(value) if not isinstance(value, bool) else None
    except TypeError:
        window = None
    if window is None:
        raise DataError(f"window is {value!r}: give a whole number of samples")
    if window < 1:
        raise DataError(f"window of {window} samples: it must be at least 1")
    return window


def _rate(what: str, value: float) -> float:
    try:
        rate = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate <= 1e9:
        raise DataError(f"{what} is {value!r}: it must be a positive number of Hz")
    return rate


def _is_path(path: Path) -> bool:
    """Tell whether a path, not the name of a data set, is meant."""
    return bool(path.suffix) or path.exists() or len(path.parts) > 1

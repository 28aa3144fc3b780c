"""Data sets by name. A new one is one file in ``edgeflow/data/sets`` with a ``SOURCES`` list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeflow.data import sets
from edgeflow.data.dataset import Dataset, everybody
from edgeflow.data.people import apply_people, check_people, fixed_split, read_people
from edgeflow.data.source import Source
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
            ".csv or .npz file"
        )
    return known[name]


def load_dataset(
    name_or_path: str | Path,
    *,
    root: str | Path | None = None,
    people: str | Path | Mapping[str, Any] | None = None,
    rate_hz: float | None = None,
    window: int | None = None,
) -> Dataset:
    """Load a data set by name, or recordings of your own from a ``.csv`` or ``.npz`` file.

    Parameters
    ----------
    name_or_path : str or Path
        A name of ``edgeflow data list``, or a path that ends in ``.csv`` or ``.npz``.
    root : str or Path, optional
        Folder of a local copy of the named data set.
    people : str, Path or mapping, optional
        Split to use instead of the published one: ``{"train": [...], "val": [...], "test":
        [...]}`` or the JSON file that holds it.
    rate_hz : float, optional
        Samples a second of a CSV or .npz file that does not say it.
    window : int, optional
        Default window length in samples, instead of the data set's.

    Raises
    ------
    DataError
        If the data are not there, cannot be read, or cannot be split by subject.
    """
    if not isinstance(name_or_path, str | Path) or "\0" in str(name_or_path):
        raise DataError(f"a data set is a name or a path, not {type(name_or_path).__name__}")
    split = None
    if isinstance(people, Mapping):
        split = check_people(people, "people")
    elif people is not None:
        split = read_people(people)
    if window is not None and window < 1:
        raise DataError(f"window of {window} samples: it must be at least 1")

    path = Path(name_or_path).expanduser()
    if path.suffix.lower() in (".csv", ".npz"):
        from edgeflow.data.own import load_own

        if root is not None and not path.is_absolute():
            path = Path(root).expanduser() / path
        return load_own(path, people=split, rate_hz=rate_hz, window=window)

    source = find_source(str(name_or_path))
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
    recordings = source.read(where)
    there = everybody(recordings)
    if split is None:
        split = fixed_split(source.name, there, source.val, source.test, where)
    else:
        split = apply_people(split, there, where)
    return Dataset(
        name=source.name,
        classes=list(source.classes),
        channels=list(source.channels),
        units=list(source.units),
        rate_hz=source.rate_hz,
        recordings=recordings,
        people=split,
        window=source.window if window is None else window,
        mirror=source.mirror,
        target=source.target,
    )

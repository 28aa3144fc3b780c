"""Find data sets by name. A new one is one file in ``edgeflow/data/sets`` with a ``SOURCES`` list.

Where a set is looked for: the `root` given, else the folder in the environment variable
``EDGEFLOW_DATA``, an installed Python package that carries it, and the user's cache. Under
`root` and ``EDGEFLOW_DATA`` both the folder itself and a subfolder with the set's name will do.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from edgeflow.data import sets
from edgeflow.data.dataset import Dataset, Recording, everybody
from edgeflow.data.people import apply_people, check_people, fixed_split, read_people
from edgeflow.errors import DataError
from edgeflow.tasks import Task


@dataclass(frozen=True)
class Source:
    """A public data set: what it is, whose it is, and how to find and read it.

    Attributes
    ----------
    name, summary, licence, citation, homepage : str
        As shown by ``edgeflow data info``.
    folder : str
        Name of its folder in the cache, under ``EDGEFLOW_DATA`` and under a root.
    classes, channels, units : tuple of str
    rate_hz : float
    window : int
        Default length of a window, in samples.
    val, test : tuple of str
        The people held out; all others train.
    find : callable
        Takes a folder or file; returns the path to give to `read`, or None.
    read : callable
        Takes that path; returns a list of Recording.
    fetch : callable
        Takes the set's folder in the cache; downloads into it. Raises DataError.
    installed : callable, optional
        Returns a path to give to `find`, inside an installed package.
    mirror, target
        As in ``Dataset``.
    small : bool
        ``load_dataset`` may download it without being asked to.
    """

    name: str
    summary: str
    licence: str
    citation: str
    homepage: str
    folder: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    window: int
    val: tuple[str, ...]
    test: tuple[str, ...]
    find: Callable[[Path], Path | None]
    read: Callable[[Path], list[Recording]]
    fetch: Callable[[Path], None]
    installed: Callable[[], Path | None] = lambda: None
    mirror: float = 0.0
    small: bool = False
    target: Task | None = None

    def locate(self, root: str | Path | None = None) -> Path | None:
        """Return where the data are on this machine, or None.

        Raises
        ------
        DataError
            If a root is given and the data are not there.
        """
        if root is not None:
            root = Path(root).expanduser()
            for place in (root / self.folder, root):
                if found := self.find(place):
                    return found
            what = "holds no files of" if root.exists() else "does not exist; it should hold"
            raise DataError(f"{root}: {what} '{self.name}': docs/data.md lists the accepted forms")
        places: list[Path] = []
        if environment := os.environ.get("EDGEFLOW_DATA"):
            places += [Path(environment) / self.folder, Path(environment)]
        if package := self.installed():
            places.append(package)
        places.append(cache_folder() / self.folder)
        return next((found for place in places if (found := self.find(place))), None)

    def get(self) -> Path:
        """Download into the user's cache if the data are nowhere yet; return where they are.

        Raises
        ------
        DataError
            If the download fails, or this set has to be fetched by hand.
        """
        if found := self.locate():
            return found
        folder = cache_folder() / self.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be made ({error.strerror}): set XDG_CACHE_HOME to a folder that "
                "you may write to"
            ) from None
        self.fetch(folder)
        found = self.find(folder)
        if not found:
            raise DataError(f"{folder}: the download of '{self.name}' is incomplete: try again")
        return found


def sources() -> dict[str, Source]:
    """Return all known data sets by name."""
    found: dict[str, Source] = {}
    for module in sorted(pkgutil.iter_modules(sets.__path__), key=lambda m: m.name):
        for source in importlib.import_module(f"{sets.__name__}.{module.name}").SOURCES:
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


def cache_folder() -> Path:
    """Return the user's folder for downloaded data."""
    return Path(platformdirs.user_cache_dir("edgeflow", appauthor=False)) / "data"


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
        If the data are not there, cannot be read, or cannot be split by person.
    """
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

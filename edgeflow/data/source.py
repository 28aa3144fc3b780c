"""Public data sets: what they are, and where they are on this machine.

Where a set is looked for: the `root` given, else the folder in the environment variable
``EDGEFLOW_DATA``, an installed Python package that carries it, and the user's cache. Under
`root` and ``EDGEFLOW_DATA`` both the folder itself and a subfolder with the set's name will do.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from edgeflow.data.dataset import Recording
from edgeflow.errors import DataError
from edgeflow.files import held
from edgeflow.files.leftovers import remove, sweep, unfinished
from edgeflow.tasks import Task

#: Seconds to wait for another process that fetches the same data: a slow download.
_WAIT = 3600.0
#: What mends a damaged file that was fetched by hand.
COPY_AGAIN = "copy it again from where it came"


def cache_folder() -> Path:
    """Return the user's folder for downloaded data."""
    return Path(platformdirs.user_cache_dir("edgeflow", appauthor=False)) / "data"


def by_hand(name: str, what: str) -> Callable[[Path], None]:
    """Return a `Source.fetch` that says how to get a set without published checksums.

    Parameters
    ----------
    what : str
        Like "take the folder 'data' of https://..."; the folder follows.
    """

    def fetch(folder: Path) -> None:
        raise DataError(
            f"'{name}' has no download with published checksums: {what} into {folder}, or pass "
            "--root DIR"
        )

    return fetch


def read_columns(
    path: Path, columns: Sequence[str], *, delimiter: str, optional: Sequence[str] = ()
) -> dict[str, NDArray[np.float64]]:
    """Return columns of numbers of a text file by name, of the optional ones those that are there.

    Raises
    ------
    DataError
        If a column is missing, or the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline().strip().split(delimiter)
            missing = [column for column in columns if column not in header]
            if missing:
                raise DataError(f"{path}: line 1: no column '{missing[0]}': {COPY_AGAIN}")
            found = [*columns, *(name for name in optional if name in header)]
            places = [header.index(name) for name in found]
            values = np.loadtxt(file, delimiter=delimiter, ndmin=2, usecols=places)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: {error}: {COPY_AGAIN}") from None
    return dict(zip(found, values.T, strict=True))


def remedy(path: Path, name: str) -> str:
    """Return what mends a damaged file of a data set: a download if it is in the cache."""
    if path.is_relative_to(cache_folder()):
        return f"run 'edgeflow data get {name}', which downloads it again"
    return COPY_AGAIN


def differs(path: Path, checksum: str) -> bool:
    """Tell whether a file is missing, unreadable, or of another SHA-256 (hexadecimal)."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != checksum
    except OSError:
        return True


@dataclass(frozen=True)
class Source:
    """A public data set: what it is, whose it is, and how to find and read it.

    Attributes
    ----------
    name, summary, licence, citation, homepage : str
        As shown by ``edgeflow data info``.
    folder : str
        Name of its folder in the cache, under ``EDGEFLOW_DATA`` and under a root.
    window : int
        Default length of a window, in samples.
    val, test : tuple of str
        The subjects held out; all others train.
    find : callable
        Takes a folder or file; returns the path to give to `read`, or None.
    read : callable
        Takes that path; returns a list of Recording.
    fetch : callable
        Takes the set's folder in the cache; downloads into it. Raises DataError.
    damaged : callable, optional
        Takes the path of `find`; returns files that are missing or differ from the published ones.
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
    damaged: Callable[[Path], list[Path]] = lambda place: []
    installed: Callable[[], Path | None] = lambda: None
    mirror: float = 0.0
    small: bool = False
    target: Task | None = None

    def locate(self, root: str | Path | None = None) -> Path | None:
        """Return the folder of the data on this machine, or None.

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

        Of data that are here the files are compared with the published ones. Damaged ones in the
        cache are downloaded again.

        Raises
        ------
        DataError
            If the download fails, this set has to be fetched by hand, or files elsewhere than in
            the cache are damaged.
        """
        found = self.locate()
        damaged = self.damaged(found) if found else []
        if found and not damaged:
            return found
        folder = cache_folder() / self.folder
        if found and not found.is_relative_to(folder):
            raise DataError(
                f"{damaged[0]}: not as it was published (SHA-256): copy it again from where it "
                "came, or move its folder away and run this again to download it"
            )
        new = folder.parent / unfinished(self.folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with held(folder.parent / f".{self.folder}.lock", folder, wait=_WAIT):
                found = self.find(folder)
                if found and not self.damaged(found):  # another process fetched it
                    return found
                sweep(folder.parent)
                new.mkdir()
                self.fetch(new)
                made = self.find(new)
                if not made or self.damaged(made):
                    raise DataError(f"{folder}: the download of '{self.name}' is incomplete: try "
                                    "again")  # fmt: skip
                remove(folder)  # damaged, or what an older version left half done
                new.rename(folder)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be written ({error.strerror or error}): free space, or set "
                "XDG_CACHE_HOME to a folder that you may write to"
            ) from None
        finally:
            remove(new)
        found = self.find(folder)
        assert found is not None
        return found

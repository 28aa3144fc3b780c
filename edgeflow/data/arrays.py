"""Reading .npz files without pickles, and a cache for what is slow to parse."""

import contextlib
import hashlib
import itertools
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgeflow.cache import keeping
from edgeflow.data.wording import listed, shown
from edgeflow.digest import is_whole
from edgeflow.errors import DataError

Arrays = dict[str, np.ndarray]
#: Bytes of an unpacked array, and how many times those in the file, from which on it is a trap:
#: recordings shrink to a third.
LARGE, TIMES = 1 << 28, 100
#: Entries of an array without bytes.
FEW = 1000


def read_npz(path: Path, required: Sequence[str] = ()) -> Arrays:
    """Return all arrays of an .npz file.

    Raises
    ------
    DataError
        If it cannot be read, holds pickled objects, or lacks a required array.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(2) != b"PK":
                raise DataError(f"{path}: not an .npz file: write it with numpy.savez")
        _check_sizes(path)
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in required if key not in file.files]
            if missing:
                raise DataError(
                    f"{path}: no array '{missing[0]}' (it has {listed(file.files) or 'none'})"
                )
            arrays = {key: file[key] for key in file.files}
        for key, array in arrays.items():
            if array.ndim and max(array.shape) > max(array.nbytes, FEW):
                raise DataError(f"{path}: '{key}' is {list(array.shape)} of no bytes: damaged")
        return arrays
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DataError:
        raise
    except Exception as error:  # a damaged archive raises what it likes, from zlib to tokenize
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: holds Python objects, which are never loaded: save plain arrays "
                "(strings as dtype str)"
            ) from None
        raise DataError(
            f"{path}: not a readable .npz file ({shown(error)}): write it with numpy.savez"
        ) from None


def _check_sizes(path: Path) -> None:
    """Refuse an archive that unpacks to very much more than it is."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size > max(LARGE, TIMES * member.compress_size):
                raise DataError(
                    f"{path}: '{member.filename}' unpacks from {member.compress_size} to "
                    f"{member.file_size} bytes: save it with numpy.savez, which does not compress"
                )


def cached(
    folder: Path, inputs: Sequence[Path], parse: Callable[[], Mapping[str, np.ndarray]]
) -> Arrays:
    """Return ``parse()``, kept in `folder` until a size or time stamp of the inputs changes."""
    key = hashlib.sha256()
    for path in inputs:
        status = path.stat()
        key.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    kept = folder / f"{inputs[0].name.split('.')[0]}-{key.hexdigest()[:16]}.npz"
    if is_whole(kept):
        # another version's copy is only a reason to parse again
        with contextlib.suppress(DataError):
            return read_npz(kept)
    arrays = dict(parse())
    # the cache is a convenience: a full or read-only disk must not stop the work
    with contextlib.suppress(OSError), keeping(kept) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return arrays


def number_of(path: Path) -> int:
    """Return the first number after an underscore in a file's name.

    Raises
    ------
    DataError
        If there is none.
    """
    match = re.search(r"_(\d+)", path.name)
    if not match:
        raise DataError(f"{path}: no subject's number in the name: expected e.g. subject_1600.npz")
    return int(match[1])


def find_folder(place: Path, folders: Sequence[str], pattern: str) -> Path | None:
    """Return the folder of packed subjects, else the first folder in `place` with such files."""
    packed = [(name, "subject_*.npz") for name in ("npz", "")]
    raw = [(name, pattern) for name in folders]
    return next((place / name for name, p in packed + raw if any((place / name).glob(p))), None)


def packed_people(place: Path, keys: Sequence[str]) -> list[tuple[str, Arrays]]:
    """Return the arrays of each ``subject_<number>.npz`` in a folder, with the number as text."""
    packed = {number_of(path): path for path in place.glob("subject_*.npz")}
    return [(str(number), read_npz(path, keys)) for number, path in sorted(packed.items())]


def runs(*keys: np.ndarray) -> list[slice]:
    """Return the slices over which all `keys` [n] stay the same."""
    n = len(keys[0])
    if n == 0:
        return []
    change = np.zeros(n - 1, dtype=bool)
    for key in keys:
        change |= key[1:] != key[:-1]
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), n]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]

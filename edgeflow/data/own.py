"""Recordings of your own, from a ``.csv`` or ``.npz`` file; docs/data.md describes both."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeflow.data.arrays import Arrays, read_npz
from edgeflow.data.dataset import SPLITS, Dataset, Recording, everybody
from edgeflow.data.people import Split, apply_people, check_people, default_split
from edgeflow.errors import DataError

_KEYS = ("person", "recording", "label")


def load_own(
    path: Path,
    *,
    people: Split | None = None,
    rate_hz: float | None = None,
    window: int | None = None,
) -> Dataset:
    """Load a ``.csv`` or ``.npz`` file of recordings.

    Parameters
    ----------
    people : dict, optional
        Split by subject, instead of the file's or the default one (60/20/20 in sorted order).
    rate_hz : float, optional
        Samples per second, if the file does not say it.
    window : int, optional
        Default window length in samples, instead of the file's or two seconds.

    Raises
    ------
    DataError
        Naming the file, the line or recording, and what to do.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    found = _read_csv(path) if path.suffix.lower() == ".csv" else _read_npz(path)
    rate = _rate(path, found, rate_hz)
    if window is None:
        window = found.window or max(1, round(2 * rate))
    _check(path, found, window)
    there = everybody(found.recordings)
    split = people or found.people
    return Dataset(
        name=path.stem,
        classes=found.classes,
        channels=found.channels,
        units=found.units,
        rate_hz=rate,
        recordings=found.recordings,
        people=apply_people(split, there, path) if split else default_split(there, path),
        window=window,
    )


class _Found:
    """Content of a file; `where` names each recording in messages."""

    def __init__(self) -> None:
        self.recordings: list[Recording] = []
        self.where: list[str] = []
        self.classes: list[str] = []
        self.channels: list[str] = []
        self.units: list[str] = []
        self.rate_hz: float | None = None
        self.window: int | None = None
        self.people: Split | None = None


def _rate(path: Path, found: _Found, given: float | None) -> float:
    if given is not None and found.rate_hz is not None and given != found.rate_hz:
        raise DataError(
            f"{path}: says rate_hz {found.rate_hz:g}, --rate says {given:g}: leave out --rate"
        )
    rate = found.rate_hz if given is None else given
    if rate is None:
        how = "a comment line '# rate_hz: 50'" if path.suffix.lower() == ".csv" else "'rate_hz'"
        raise DataError(f"{path}: no sampling rate: add {how} to the file, or pass --rate")
    if not (math.isfinite(rate) and rate > 0):
        raise DataError(f"{path}: rate_hz is {rate}: it must be a positive number of Hz")
    return float(rate)


def _check(path: Path, found: _Found, window: int) -> None:
    if not found.recordings:
        raise DataError(f"{path}: holds no recordings")
    if len(found.classes) < 2:
        raise DataError(f"{path}: only one label ({found.classes[0]}): at least 2 are needed")
    if window < 1:
        raise DataError(f"{path}: window is {window} samples: it must be at least 1")
    for recording, where in zip(found.recordings, found.where, strict=True):
        if not np.isfinite(recording.x).all():
            row, channel = np.argwhere(~np.isfinite(recording.x))[0]
            raise DataError(
                f"{path}: {where}, sample {row + 1}: {found.channels[channel]} is not finite (or "
                "beyond float32): leave the sample out and begin a new recording after it"
            )
        if len(recording.x) < window:
            raise DataError(
                f"{path}: {where} has {len(recording.x)} samples, fewer than a window of {window}: "
                "leave it out, or choose a shorter --window"
            )


def _read_npz(path: Path) -> _Found:
    arrays = read_npz(path, ("x", "y", "person"))
    found = _Found()
    x = arrays["x"]
    if x.dtype.kind not in "fiu":
        raise DataError(f"{path}: 'x' is of type {x.dtype}: it must hold numbers")
    if "length" in arrays:
        length = arrays["length"]
        if x.ndim != 2 or length.ndim != 1 or length.dtype.kind not in "iu":
            raise DataError(
                f"{path}: with 'length' (whole numbers [n]), 'x' is [samples, channels]; it is "
                f"{list(x.shape)}"
            )
        if (length < 1).any() or length.sum() != len(x):
            raise DataError(
                f"{path}: 'length' must be positive and add up to the {len(x)} samples of 'x'; it "
                f"adds up to {length.sum()}"
            )
        parts = np.split(x, np.cumsum(length)[:-1])
    else:
        if x.ndim != 3:
            raise DataError(
                f"{path}: 'x' is {list(x.shape)}: it must be [n, time, channels], or [samples, "
                "channels] with 'length'"
            )
        parts = list(x)
    for key in ("y", "person"):
        if arrays[key].shape != (len(parts),):
            raise DataError(
                f"{path}: '{key}' is {list(arrays[key].shape)}: it must have one entry for each "
                f"of the {len(parts)} recordings"
            )
    count = x.shape[-1]
    found.channels = _names(path, arrays, "channels", [f"ch{i}" for i in range(count)])
    found.units = _names(path, arrays, "units", [""] * count)
    found.classes, labels = _labels(path, arrays)
    for i, (part, label, person) in enumerate(zip(parts, labels, arrays["person"], strict=True)):
        found.where.append(f"recording {i}")
        found.recordings.append(Recording(_float32(part), label, str(person)))
    if "rate_hz" in arrays:
        found.rate_hz = _number(path, arrays, "rate_hz")
    if "window" in arrays:
        found.window = int(_number(path, arrays, "window"))
    elif x.ndim == 3:
        found.window = x.shape[1]
    given = {split: arrays[f"people_{split}"] for split in SPLITS if f"people_{split}" in arrays}
    if given:
        names = {split: np.atleast_1d(value).tolist() for split, value in given.items()}
        found.people = check_people(names, f"{path} (people_train, people_val, people_test)")
    return found


def _float32(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # becomes inf, which is then reported with its place
        return np.ascontiguousarray(x, dtype=np.float32)


def _number(path: Path, arrays: Arrays, key: str) -> float:
    value = arrays[key]
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise DataError(f"{path}: '{key}' must be one number")
    return float(value.reshape(-1)[0])


def _names(path: Path, arrays: Arrays, key: str, default: list[str]) -> list[str]:
    names = [str(name) for name in np.atleast_1d(arrays.get(key, default))]
    if len(names) != len(default):
        raise DataError(f"{path}: '{key}' has {len(names)} names, 'x' has {len(default)} channels")
    return names


def _labels(path: Path, arrays: Arrays) -> tuple[list[str], list[int]]:
    """Return the classes and the index of each recording's."""
    y = arrays["y"]
    if y.dtype.kind not in "iuU":
        raise DataError(f"{path}: 'y' is of type {y.dtype}: it must hold whole numbers or names")
    if "classes" not in arrays:
        values = np.unique(y)
        return [str(v) for v in values], np.searchsorted(values, y).tolist()
    classes = [str(name) for name in np.atleast_1d(arrays["classes"])]
    if y.dtype.kind == "U":
        for i, name in enumerate(y):
            if name not in classes:
                raise DataError(
                    f"{path}: recording {i}: label '{name}' is not in 'classes' "
                    f"({', '.join(classes)})"
                )
        return classes, [classes.index(name) for name in y]
    wrong = np.flatnonzero((y < 0) | (y >= len(classes)))
    if len(wrong):
        raise DataError(
            f"{path}: recording {wrong[0]}: label {y[wrong[0]]} is no index into the "
            f"{len(classes)} 'classes'"
        )
    return classes, y.astype(int).tolist()


def _read_csv(path: Path) -> _Found:
    found = _Found()
    header: list[str] | None = None
    columns: dict[str, int] = {}
    declared: list[str] | None = None
    labels: list[str] = []
    names: list[str] = []
    last: tuple[str, ...] | None = None
    blocks: list[list[list[float]]] = []
    for number, row in _rows(path):
        if row[0].lstrip().startswith("#"):
            key, _, value = ",".join(row).lstrip("# ").partition(":")
            if key.strip() == "rate_hz":
                found.rate_hz = _cell(path, number, "rate_hz", value)
            elif key.strip() == "window":
                found.window = int(_cell(path, number, "window", value))
            elif key.strip() == "classes":
                declared = [name.strip() for name in value.split(",")]
            continue
        if header is None:
            header = [name.strip() for name in row]
            missing = [key for key in _KEYS if key not in header]
            if missing or len(set(header)) < len(header) or len(header) < 4:
                raise DataError(
                    f"{path}: line {number}: the header must name the columns person, recording, "
                    f"label and one a channel, each once; it is '{','.join(header)[:80]}'"
                )
            columns = {name: i for i, name in enumerate(header)}
            found.channels = [name for name in header if name not in _KEYS]
            found.units = [""] * len(found.channels)
            continue
        if len(row) != len(header):
            raise DataError(
                f"{path}: line {number}: {len(row)} cells, the header has {len(header)}"
            )
        key_cells = tuple(row[columns[key]].strip() for key in _KEYS)
        if "" in key_cells:
            raise DataError(f"{path}: line {number}: {_KEYS[key_cells.index('')]} is empty")
        person, recording, label = key_cells
        if declared is not None and label not in declared:
            raise DataError(
                f"{path}: line {number}: label '{label}' is not in '# classes: "
                f"{', '.join(declared)}'"
            )
        if key_cells != last:
            last = key_cells
            blocks.append([])
            labels.append(label)
            names.append(person)
            found.where.append(f"recording '{recording}' of {person} (from line {number})")
        blocks[-1].append([_cell(path, number, c, row[columns[c]]) for c in found.channels])
    if header is None:
        raise DataError(f"{path}: empty: its first line must name the columns")
    found.classes = declared or sorted(set(labels))
    for block, label, person in zip(blocks, labels, names, strict=True):
        x = _float32(np.array(block))
        found.recordings.append(Recording(x, found.classes.index(label), person))
    return found


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if row:
                    yield reader.line_num, row
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text: export it again as CSV") from None
    except csv.Error as error:
        raise DataError(f"{path}: {error}: export it again as CSV") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _cell(path: Path, number: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{path}: line {number}: {column} is '{text.strip()[:40]}', not a finite number: "
            "correct or leave out the line"
        )
    return value

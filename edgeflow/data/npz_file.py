"""Recordings of your own in an ``.npz`` file; docs/data.md has its arrays."""

from pathlib import Path

import numpy as np

from edgeflow.data.arrays import Arrays, read_npz
from edgeflow.data.channels import still_channels
from edgeflow.data.clock import grows
from edgeflow.data.dataset import SPLITS, Recording
from edgeflow.data.found import Found, ordered_classes, regression_of
from edgeflow.data.people import check_people
from edgeflow.data.wording import listed, shown
from edgeflow.errors import DataError
from edgeflow.tasks import Tagging

_NEEDED = ("x", "person")
_CHANNELS = 16  # more than that in the middle axis are likely samples


def read_npz_file(path: Path) -> Found:
    """Read arrays of recordings.

    Raises
    ------
    DataError
        Naming the array or recording, and what to do.
    """
    arrays = {key: _texts(path, key, a) for key, a in read_npz(path, _NEEDED).items()}
    if not {"y", "target", "tags"} & arrays.keys():
        raise DataError(f"{path}: no array 'y' (it has {listed(list(arrays))})")
    found = Found()
    x = arrays["x"]
    if x.dtype.kind not in "fiu":
        raise DataError(f"{path}: 'x' is of type {x.dtype}: it must hold numbers")
    if "length" in arrays and arrays["length"].dtype.kind not in "iu":
        raise DataError(
            f"{path}: 'length' is of type {arrays['length'].dtype}: it must hold whole numbers"
        )
    _check_axes(path, arrays)
    if "length" in arrays:
        length = arrays["length"]
        if x.ndim != 2 or length.ndim != 1:
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
    by_step = _by_step(path, arrays, found)
    for key in ("y", "person") if by_step is None else ("person",):
        if arrays[key].shape != (len(parts),):
            raise DataError(
                f"{path}: '{key}' is {list(arrays[key].shape)}: it must have one entry for each "
                f"of the {len(parts)} recordings"
            )
    count = x.shape[-1]
    found.channels = _names(path, arrays, "channels", [f"ch{i}" for i in range(count)])
    found.units = _names(path, arrays, "units", [""] * count)
    found.counts = _counts(path, arrays, count)
    if by_step is None:
        found.classes, labels = _labels(path, arrays)
    else:
        labels = [0] * len(parts)
    found.declared = "classes" in arrays
    found.notes += _doubtful(parts, found.channels)
    people = _people(path, arrays["person"])
    targets = [None] * len(parts) if by_step is None else by_step
    for i, (part, label, person) in enumerate(zip(parts, labels, people, strict=True)):
        found.where.append(f"recording {i}")
        found.recordings.append(Recording(_float32(part), label, person, targets[i]))
    if "rate_hz" in arrays:
        found.rate_hz = _number(path, arrays, "rate_hz")
    if "window" in arrays:
        window = _number(path, arrays, "window")
        if not window.is_integer():
            raise DataError(f"{path}: 'window' is {window:g}: it must be a whole number of samples")
        found.window = int(window)
    elif x.ndim == 3:
        found.window = x.shape[1]
    given = {split: arrays[f"people_{split}"] for split in SPLITS if f"people_{split}" in arrays}
    if given:
        names = {split: np.atleast_1d(value).tolist() for split, value in given.items()}
        found.people = check_people(names, f"{path} (people_train, people_val, people_test)")
    return found


def _by_step(path: Path, arrays: Arrays, found: Found) -> list[np.ndarray] | None:
    """Return the targets of each recording's steps, and note their task; None: there are none."""
    x, key = arrays["x"], "target" if "target" in arrays else "tags"
    if key not in arrays:
        return None
    y = arrays[key]
    kinds, last = ("f", 1) if key == "target" else ("iu", 0)
    shape = "[n, time, values]" if last else "[n, time]"
    if (
        y.dtype.kind not in kinds
        or y.ndim != x.ndim - 1 + last
        or y.shape[: x.ndim - 1] != (x.shape[:-1])
    ):
        raise DataError(
            f"{path}: '{key}' is {y.dtype} {list(y.shape)}: it must be "
            f"{'float' if last else 'int'} {shape}, or without n, as 'x' is"
        )
    if not np.isfinite(y).all():
        raise DataError(f"{path}: '{key}' holds a value that is not finite: leave those steps out")
    if key == "target":
        count = y.shape[-1]
        names = _names(path, arrays, "target_names", [f"target{i}" for i in range(count)])
        units = _names(path, arrays, "target_units", [""] * count)
        found.target = regression_of(list(zip(names, units, strict=True)))
        y = y.astype(np.float32)
    else:
        classes = [str(name) for name in np.atleast_1d(arrays.get("classes", np.array([], str)))]
        if len(set(classes)) < max(len(classes), 2) or not 0 <= y.min() <= y.max() < len(classes):
            raise DataError(
                f"{path}: 'tags' are indices into 'classes', 2 names or more, each there once: "
                f"there are {listed(classes)}, and tags from {y.min()} to {y.max()}"
            )
        found.classes, found.target, y = classes, Tagging(tuple(classes)), y.astype(np.int64)
    return np.split(y, np.cumsum(arrays["length"])[:-1]) if "length" in arrays else list(y)


def _counts(path: Path, arrays: Arrays, count: int) -> list[float]:
    """Return the counts of the sensor of one unit of each channel; []: there are none."""
    if "counts_per_unit" not in arrays:
        return []
    counts = arrays["counts_per_unit"]
    if (
        counts.dtype.kind not in "fiu"
        or counts.shape != (count,)
        or not (np.isfinite(counts) & (counts > 0)).all()
    ):
        raise DataError(
            f"{path}: 'counts_per_unit' is {counts.dtype} {list(counts.shape)}: it must be a "
            f"positive number for each of {count} channels"
        )
    return [float(one) for one in counts]


def _check_axes(path: Path, arrays: Arrays) -> None:
    """Refuse channels before samples, unless names of channels say otherwise."""
    x = arrays["x"]
    if x.ndim == 2 and "length" in arrays and arrays["length"].sum() == x.shape[1] != x.shape[0]:
        raise DataError(f"{path}: 'x' is [channels, samples]: save x.T, [samples, channels]")
    if x.ndim != 3:
        return
    n, middle, last = x.shape
    names = np.atleast_1d(arrays["channels"]).size if "channels" in arrays else None
    likely = last >= 2 * middle and middle <= _CHANNELS and names is None
    if names == middle != last or likely:
        remedy = "" if names else f", or name the {last} channels in 'channels'"
        raise DataError(
            f"{path}: 'x' is {[n, middle, last]}, which looks like [n, channels, time]: save "
            f"x.transpose(0, 2, 1){remedy}"
        )


def _doubtful(parts: list[np.ndarray], channels: list[str]) -> list[str]:
    """Return notes about channels that look like clocks, indices or names."""
    moves, falls = np.zeros((2, len(channels)), np.bool_)
    for part in parts:  # one after the other: hours of sound fit into memory once
        steps = np.diff(part.astype(np.float64), axis=0)
        moves |= (steps != 0).any(axis=0)
        falls |= (steps < 0).any(axis=0)
    suspect = ~(moves & falls)
    channels = [name for name, one in zip(channels, suspect, strict=True) if one]
    if not channels:
        return []
    starts = np.zeros(sum(map(len, parts)), np.bool_)
    starts[np.cumsum([0, *map(len, parts)])[:-1]] = True
    x = np.concatenate([part[:, suspect] for part in parts]).astype(np.float64)
    still = still_channels(channels, x, starts)
    notes = [still] if still else []
    names = [name for i, name in enumerate(channels) if grows(x[:, i], starts)]
    if names:
        notes.append(
            f"an index or clock by its samples, yet read as a channel: {listed(names)}: it grows "
            "steadily in every recording"
        )
    return notes


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
        what = "'target' has {} values" if key.startswith("target") else "'x' has {} channels"
        raise DataError(f"{path}: '{key}' has {len(names)} names, {what.format(len(default))}")
    return names


def _texts(path: Path, key: str, array: np.ndarray) -> np.ndarray:
    """Return names that are bytes as text."""
    if array.dtype.kind != "S":
        return array
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path}: '{key}' holds bytes that are no UTF-8: save it as str") from None


def _people(path: Path, person: np.ndarray) -> list[str]:
    if person.dtype.kind == "f" and np.isfinite(person).all() and (person == np.rint(person)).all():
        person = person.astype(np.int64)
    if person.dtype.kind not in "iuU" or "" in person.astype(str):
        raise DataError(
            f"{path}: 'person' is of type {person.dtype}, or a name is empty: it must hold whole "
            "numbers or names"
        )
    return [str(one) for one in person]


def _labels(path: Path, arrays: Arrays) -> tuple[list[str], list[int]]:
    """Return the classes and the index of each recording's."""
    y = arrays["y"]
    if y.dtype.kind not in "iuU":
        raise DataError(f"{path}: 'y' is of type {y.dtype}: it must hold whole numbers or names")
    if "classes" not in arrays:
        return ordered_classes(str(path), [str(v) for v in y.reshape(-1)])
    classes = [str(name) for name in np.atleast_1d(arrays["classes"])]
    if len(set(classes)) < len(classes):
        raise DataError(f"{path}: 'classes' ({listed(classes)}) has a name more than once")
    if y.dtype.kind == "U":
        for i, name in enumerate(y):
            if name not in classes:
                raise DataError(
                    f"{path}: recording {i}: label '{shown(name)}' is not in 'classes' "
                    f"({listed(classes)})"
                )
        return classes, [classes.index(name) for name in y]
    wrong = np.flatnonzero((y < 0) | (y >= len(classes)))
    if len(wrong):
        raise DataError(
            f"{path}: recording {wrong[0]}: label {y[wrong[0]]} is no index into the "
            f"{len(classes)} 'classes'"
        )
    return classes, y.astype(int).tolist()

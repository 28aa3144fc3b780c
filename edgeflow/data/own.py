"""Recordings of your own, from a file or a folder of files; docs/data.md describes them."""

import math
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from edgeflow.data.dataset import SPLITS, Dataset, Recording, everybody
from edgeflow.data.folder import TABLES, find_parts, is_table
from edgeflow.data.found import Found, alike
from edgeflow.data.npz_file import read_npz_file
from edgeflow.data.people import Split, apply_people, default_split
from edgeflow.data.reading import Reading, given
from edgeflow.data.resample import resampled
from edgeflow.data.tables import Part, read_parts
from edgeflow.data.wav_file import is_sound, read_sound
from edgeflow.data.wording import listed, shown
from edgeflow.errors import DataError

#: Ends of the names of files that are read.
FORMS = (*TABLES, ".npz")


def load_own(
    path: Path,
    *,
    people: Split | None = None,
    rate_hz: float | None = None,
    window: int | None = None,
    resample_hz: float | None = None,
    reading: Reading | None = None,
    partial: bool = False,
    one_label: bool = False,
) -> Dataset:
    """Load a file or folder of recordings.

    Parameters
    ----------
    people : dict, optional
        Split by subject, instead of the file's or the default one (60/20/20 in sorted order).
    rate_hz : float, optional
        Samples per second, if the file does not say it.
    window : int, optional
        Default window length in samples, instead of the file's or two seconds.
    resample_hz : float, optional
        Rate that the recordings are resampled to.
    reading : Reading, optional
        What columns are, and how the file is written.
    partial : bool
        Take any number of subjects and labels, and recordings of any length; the splits are empty.
    one_label : bool
        All recordings may have the same label.

    Raises
    ------
    DataError
        Naming the file, the line or recording, and what to do.
    """
    found = _read(path, reading or Reading(), rate_hz)
    rate = _rate(path, found, rate_hz)
    if not found.recordings:
        raise DataError(f"{path}: holds no recordings: add some")
    if len(found.classes) == 1 and not (partial or one_label):
        what = "label" if found.target is None else "tag"
        number = found.target is None and found.classes[0].isdecimal()
        raise DataError(
            f"{path}: only one {what} ({shown(found.classes[0])}): at least 2 are needed"
            + ", or --task counting, if it is a number of repetitions" * number
        )
    _check_finite(path, found)
    there = everybody(found.recordings)
    split = people or found.people
    dataset = Dataset(
        name=path.name.partition(".")[0] or path.name,
        classes=found.classes,
        channels=found.channels,
        units=found.units,
        rate_hz=rate,
        recordings=found.recordings,
        people=apply_people(split, there, path) if split else {},
        window=found.window or max(1, round(2 * rate)),
        target=found.target,
        counts=found.counts,
        notes=tuple(found.notes),
    )
    if resample_hz is not None:
        dataset = resampled(dataset, resample_hz)
    if window is not None:
        if found.window is not None and window != dataset.window:
            note = f"the file has windows of {dataset.window} samples: {window} are taken"
            dataset = replace(dataset, notes=(*dataset.notes, note))
        dataset = replace(dataset, window=window)
    if partial:
        none = {split: list[str]() for split in SPLITS}
        return replace(dataset, people=dataset.people or none)
    dataset = _without_short(path, dataset, found.where)
    if not split:
        dataset = replace(dataset, people=default_split(everybody(dataset.recordings), path))
    return replace(dataset, notes=(*dataset.notes, *_about_names(dataset, found.declared)))


def _read(path: Path, reading: Reading, rate_hz: float | None) -> Found:
    if path.is_dir() and is_sound(path, reading):
        return read_sound(path, reading)
    if path.is_dir():
        parts, notes = find_parts(path, reading)
        found = read_parts(path, parts, reading, rate_hz)
        found.notes[:0] = notes
        return found
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder: check the path")
    if reading.pattern is not None:
        raise DataError(f"{path}: --pattern is of the paths in a folder, and this is one file")
    if path.suffix.lower() == ".npz":
        if wrong := given(reading):
            raise DataError(f"{path}: {wrong[0]} is for tables, such as CSV: leave it out")
        return read_npz_file(path)
    if not is_table(path):
        raise DataError(
            f"{path}: no form that is read ({', '.join(FORMS)}): export it as CSV, or save arrays "
            "with numpy.savez"
        )
    return read_parts(path, [Part(path, path.name, {})], reading, rate_hz)


def _rate(path: Path, found: Found, told: float | None) -> float:
    if told is not None and found.rate_hz is not None and told != found.rate_hz:
        raise DataError(
            f"{path}: says rate_hz {found.rate_hz:g}, --rate says {told:g}: leave out --rate"
        )
    rate = found.rate_hz if told is None else told
    if rate is None:
        rate = found.measured_hz
    if rate is None:
        npz = path.suffix.lower() == ".npz"
        how = "'rate_hz'" if npz else "a comment line '# rate_hz: 50', or a column of times,"
        raise DataError(f"{path}: no sampling rate: add {how} to the file, or pass --rate")
    if not (math.isfinite(rate) and 0 < rate <= 1e9):
        raise DataError(f"{path}: rate_hz is {rate:g}: it must be a positive number of Hz")
    return float(rate)


def _check_finite(path: Path, found: Found) -> None:
    for recording, where in zip(found.recordings, found.where, strict=True):
        if not np.isfinite(recording.x).all():
            row, channel = np.argwhere(~np.isfinite(recording.x))[0]
            raise DataError(
                f"{path}: {where}, sample {row + 1}: {shown(found.channels[channel])} is not "
                "finite (or beyond float32): leave the sample out and begin a new recording after "
                "it"
            )
        if recording.target is not None and not np.isfinite(recording.target).all():
            row = np.argwhere(~np.isfinite(recording.target))[0][0]
            raise DataError(
                f"{path}: {where}, sample {row + 1}: a target is not finite: leave the sample out "
                "and begin a new recording after it"
            )


def _without_short(path: Path, dataset: Dataset, where: list[str]) -> Dataset:
    """Leave out recordings that are shorter than a window; a note counts them."""
    window = dataset.window
    if window < 1:
        raise DataError(f"{path}: window is {window} samples: it must be at least 1")
    short = [i for i, one in enumerate(dataset.recordings) if len(one.x) < window]
    if not short:
        return dataset
    lengths = [len(one.x) for one in dataset.recordings]
    if len(short) == len(lengths):
        longest = int(np.argmax(lengths))
        raise DataError(
            f"{path}: all {len(lengths)} recordings are too short: the longest, {where[longest]} "
            f"has {lengths[longest]} samples, fewer than a window of {window}: choose a shorter "
            "--window"
        )
    kept: list[Recording] = [r for r in dataset.recordings if len(r.x) >= window]
    lost = sum(lengths[i] for i in short)
    note = (
        f"left out, as shorter than a window of {window} samples: {len(short)} of {len(lengths)} "
        f"recordings ({lost} samples), first {where[short[0]]}"
    )
    gone = {one.person for one in dataset.recordings} - {one.person for one in kept}
    if gone:
        note += f"; nothing is left of {listed(sorted(gone), 6)}"
    return replace(dataset, recordings=kept, notes=(*dataset.notes, note))


def _about_names(dataset: Dataset, declared: bool) -> list[str]:
    """Return notes about classes, their order and those that a split lacks, and about subjects."""
    notes = []
    if not declared and dataset.classes:
        notes.append(f"classes, in the order of their labels: {listed(dataset.classes, 20)}")
    for what, names in (("classes", dataset.classes), ("subjects", everybody(dataset.recordings))):
        if note := alike(what, names):
            notes.append(note)
    for split in ("train", "val") if dataset.classes else ():
        people = set(dataset.people[split])
        mine = [one for one in dataset.recordings if one.person in people]
        tags = ([one.label] if one.target is None else np.unique(one.target) for one in mine)
        there = set(chain.from_iterable(tags))
        lacks = [name for i, name in enumerate(dataset.classes) if i not in there]
        if there and lacks:
            notes.append(f"no recordings of {listed(lacks)} in the split '{split}'")
    return notes

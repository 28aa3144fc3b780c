"""Recordings out of tables: one file, or the files of a folder."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.channels import choose_channels
from edgeflow.data.clock import read_clock
from edgeflow.data.columns import WEAK, Roles, find_roles, target_of
from edgeflow.data.dataset import Recording
from edgeflow.data.dialect import is_number
from edgeflow.data.found import Found, ordered_classes, regression_of
from edgeflow.data.parquet import ParquetTable
from edgeflow.data.parsed_cache import kept_table
from edgeflow.data.reading import Reading
from edgeflow.data.table import Table
from edgeflow.data.text_table import TextTable
from edgeflow.data.wording import listed, shown
from edgeflow.errors import DataError
from edgeflow.tasks import Tagging

#: Bytes of a file from which its parsed copy is kept.
KEPT_FROM = 1_000_000
#: The highest rate that is one, in Hz.
_FASTEST = 1e9
#: What tools write for a name that is missing, in small letters.
_MISSING = {"", "nan", "na", "n/a", "<na>", "nat"}
#: The longest name of a person, label or recording.
_LONGEST = 1000


@dataclass(frozen=True)
class Part:
    """A file, its name in messages, and what its path says by role."""

    path: Path
    name: str
    says: Mapping[str, str]


def open_table(path: Path, reading: Reading) -> TextTable | ParquetTable:
    """Open one file, by its kind."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return ParquetTable(path)
    return TextTable(path, reading)


def read_parts(
    whole: Path, parts: Sequence[Part], reading: Reading, rate_hz: float | None
) -> Found:
    """Read files of one layout.

    Parameters
    ----------
    whole : Path
        File or folder, for messages.
    rate_hz : float, optional
        Stated by the user.

    Raises
    ------
    DataError
        Naming the file, the line, and what to do.
    """
    found = Found()
    roles: Roles | None = None
    tables: list[Table] = []
    for part in parts:
        opened = open_table(part.path, reading)
        own = find_roles(opened.where, opened.names, reading, part.says)
        if roles is None:
            roles = own
            found.notes += own.notes
        if set(own.numbers) != set(roles.numbers) or own.text != roles.text:
            raise DataError(_differ(part, parts[0], own, roles))
        read = partial(opened.read, roles)
        big = isinstance(opened, TextTable) and opened.file.size >= KEPT_FROM
        tables.append(kept_table(f"{opened.key} {roles}", read) if big else read())
    assert roles is not None
    settings = _settings(parts, tables)
    found.rate_hz = _setting_number(settings, "rate_hz")
    window = _setting_number(settings, "window")
    if window is not None and window != int(window):
        raise DataError(f"{settings['window'][0]}: window is {window:g}: it must be whole")
    found.window = None if window is None else int(window)
    found.notes += dict.fromkeys(note for table in tables for note in table.notes)
    _assemble(whole, parts, tables, roles, reading, settings, found, rate_hz)
    return found


def _assemble(
    whole: Path,
    parts: Sequence[Part],
    tables: Sequence[Table],
    roles: Roles,
    reading: Reading,
    settings: Mapping[str, tuple[str, str]],
    found: Found,
    rate_hz: float | None,
) -> None:
    """Make recordings of the rows of all tables."""
    file = np.repeat(np.arange(len(tables)), [len(t.lines) for t in tables])
    lines = np.concatenate([t.lines for t in tables])
    numbers = np.concatenate([t.numbers for t in tables])

    def where(row: int) -> str:
        return f"{parts[file[row]].path}: line {lines[row]}"

    people, person = _codes("person", roles.person, parts, tables, where)
    labels, label = _codes("label", roles.label, parts, tables, where)
    tags, tag = _codes("tag", roles.tag, parts, tables, where)
    runs, recording = _codes("recording", roles.recording, parts, tables, where)
    del tables
    key = np.stack([file, person, recording, label], axis=1)
    starts = np.ones(len(file), np.bool_)
    starts[1:] = (key[1:] != key[:-1]).any(axis=1)
    numbered = roles.recording is not None or "recording" in parts[0].says
    found.notes += _scattered(where, key, starts, numbered)
    if not numbered:
        unit = "file, person and label" if len(parts) > 1 else "person and label"
        found.notes.append(f"no column of recordings: a run of lines of one {unit} is one")
    channels = list(roles.channels)
    place = {name: i for i, name in enumerate(roles.numbers)}
    clock = roles.time
    if clock is not None and not roles.told and clock.lower() in WEAK:
        back = np.diff(numbers[:, place[clock]])[~starts[1:]] <= 0
        if len(back) and back.mean() > 0.2:
            channels.append(clock)
            clock = None
    keep = np.ones(len(file), np.bool_)
    if clock is not None:
        stated = found.rate_hz if rate_hz is None else rate_hz
        said = read_clock(
            shown(clock), numbers[:, place[clock]], starts,
            unit=reading.time_unit or roles.unit, stated=stated, numbered=numbered, where=where,
        )  # fmt: skip
        if said is None:
            found.notes.append(f"'{shown(clock)}' counts samples: left out")
        else:
            keep, starts, found.measured_hz = said.keep, said.starts, said.rate_hz
            found.notes += said.notes
    if not reading.channels:
        channels, notes = choose_channels(channels, numbers, place, starts)
        found.notes += notes
    if clock is None and roles.time in channels and roles.time not in roles.channels:
        found.notes.append(f"'{shown(roles.time)}' does not grow: taken for a channel")
    classes: list[str] = []
    of = [0] * len(labels)  # beside targets and tags, labels only divide recordings
    y: NDArray[Any] | None = None
    if roles.targets:
        found.target = regression_of([target_of(name) for name in roles.targets])
        y = numbers[:, [place[name] for name in roles.targets]].astype(np.float32)
    elif roles.tag is not None:
        classes, codes = _classes(whole, settings, "tag", tags, tag, where)
        found.target, y = Tagging(tuple(classes)), np.array(codes, np.int64)[tag]
    else:
        classes, of = _classes(whole, settings, "label", labels, label, where)
    found.classes, found.declared = classes, "classes" in settings
    found.channels, found.units = channels, [""] * len(channels)
    x = numbers[:, [place[name] for name in channels]].astype(np.float32)
    del numbers
    edges = [*np.flatnonzero(starts).tolist(), len(file)]
    for a, b in itertools.pairwise(edges):
        who, what = people[person[a]], runs[recording[a]]
        name = f"recording '{shown(what)}'" if numbered else "the recording"
        found.where.append(f"{name} of {shown(who)} (from line {lines[a]})")
        samples = np.ascontiguousarray(x[a:b][keep[a:b]])
        target = None if y is None else np.ascontiguousarray(y[a:b][keep[a:b]])
        found.recordings.append(Recording(samples, of[label[a]], who, target))


def _codes(
    role: str, column: str | None, parts: Sequence[Part], tables: Sequence[Table], where: Any
) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of a role and the code of each row's."""
    known: dict[str, int] = {}
    codes = []
    for part, table in zip(parts, tables, strict=True):
        if column is None:
            name = part.says.get(role, "")
            codes.append(np.full(len(table.lines), known.setdefault(name, len(known))))
        else:
            names, own = table.names[column]
            codes.append(np.array([known.setdefault(n, len(known)) for n in names])[own])
    every = np.concatenate(codes).astype(np.int64)
    for empty in (name for name in known if name.lower() in _MISSING):
        if column is not None:
            row = int(np.flatnonzero(every == known[empty])[0])
            said = f"'{empty}'" if empty else "empty"
            raise DataError(
                f"{where(row)}: {role} is {said}: fill it in, or leave out the line and begin a "
                "new recording after it"
            )
    for name in known:
        if len(name) > _LONGEST:
            row = int(np.flatnonzero(every == known[name])[0])
            raise DataError(
                f"{where(row)}: {role} is a text of {len(name):,} characters ('{shown(name)}'): "
                "name the right column with --columns, or correct the line"
            )
    if role == "person":
        for name in known:
            if name.startswith("#") and (plain := name.lstrip("# ")) in known:
                row = int(np.flatnonzero(every == known[name])[0])
                raise DataError(
                    f"{where(row)}: a comment, or a sample of '{shown(name)}' beside "
                    f"'{shown(plain)}'? Leave the line out, or write another name"
                )
    return list(known), every


def _scattered(
    where: Any, key: NDArray[np.int64], starts: NDArray[np.bool_], numbered: bool
) -> list[str]:
    """Look for recordings whose rows are not together."""
    count = int(starts.sum())
    of = key[:, :3] if numbered else key
    begins = np.ones(len(key), np.bool_)
    begins[1:] = (of[1:] != of[:-1]).any(axis=1)
    distinct = len(np.unique(of[begins], axis=0))
    runs = int(begins.sum())
    if runs > distinct and len(key) < 3 * runs:
        row = int(np.flatnonzero(begins)[1])
        what = "person, recording" if numbered else "person, label"
        raise DataError(
            f"{where(row)}: the lines of {distinct} recordings alternate ({runs} runs of "
            f"{len(key) / runs:.1f} lines on average): sort them by {what} and time"
        )
    if numbered and runs > distinct:
        return [
            f"the lines of {distinct} recordings are in {runs} runs with others between: each run "
            "is a recording"
        ]
    if numbered and count > runs:
        return [f"the label changes within recordings: {count} recordings of one label each"]
    return []


def _settings(parts: Sequence[Part], tables: Sequence[Table]) -> dict[str, tuple[str, str]]:
    """Return what comment lines say, with its place; all files say the same."""
    found: dict[str, tuple[str, str]] = {}
    for part, table in zip(parts, tables, strict=True):
        for key, (line, text) in table.settings.items():
            place = f"{part.path}: line {line}"
            if key in found and found[key][1] != text:
                raise DataError(
                    f"{place}: {key} is {shown(text)}, in {found[key][0]} it is "
                    f"{shown(found[key][1])}: a data set has one"
                )
            found.setdefault(key, (place, text))
    return found


def _setting_number(settings: Mapping[str, tuple[str, str]], key: str) -> float | None:
    if key not in settings:
        return None
    place, text = settings[key]
    value = float(text) if is_number(text) else math.nan
    if not math.isfinite(value) or value > _FASTEST:
        raise DataError(f"{place}: {key} is '{shown(text)}': write a number, such as '# {key}: 50'")
    return value


def _classes(
    whole: Path,
    settings: Mapping[str, tuple[str, str]],
    what: str,
    labels: Sequence[str],
    label: NDArray[np.int64],
    where: Any,
) -> tuple[list[str], list[int]]:
    """Return the classes, as the file states them or in order, and that of each label."""
    if "classes" not in settings:
        return ordered_classes(str(whole), labels)
    place, text = settings["classes"]
    classes = [name.strip() for name in text.split(",")]
    if len(set(classes)) < len(classes) or "" in classes:
        raise DataError(f"{place}: '# classes: {shown(text)}': name each class once")
    for code, name in enumerate(labels):
        if name not in classes:
            row = int(np.flatnonzero(label == code)[0])
            raise DataError(
                f"{where(row)}: {what} '{shown(name)}' is not in '# classes: {listed(classes)}'"
            )
    return classes, [classes.index(name) for name in labels]


def _differ(part: Part, first: Part, own: Roles, roles: Roles) -> str:
    mine, theirs = {*own.channels, *own.text, own.time}, {*roles.channels, *roles.text, roles.time}
    lacks = [
        name for name in (*roles.text, roles.time, *roles.channels) if name and name not in mine
    ]
    more = [name for name in (*own.text, own.time, *own.channels) if name and name not in theirs]
    what = [f"lacks {listed(lacks)}"] * bool(lacks) + [f"has also {listed(more)}"] * bool(more)
    return (
        f"{part.path}: other columns than {first.name}: it {' and '.join(what)}: name those that "
        "all files have with --channels, or leave the file out"
    )

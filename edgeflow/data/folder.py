"""Folders of files: which are read, and what their paths say."""

import re
from collections.abc import Sequence
from pathlib import Path

from edgeflow.data.columns import aliases, find_roles
from edgeflow.data.dialect import is_number
from edgeflow.data.reading import ROLES, Reading
from edgeflow.data.tables import Part, open_table
from edgeflow.data.wording import listed, shown
from edgeflow.errors import DataError

#: Ends of the names of files that are tables.
TABLES = (
    ".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".pq",
)  # fmt: skip
_MOST = 100_000  # files
_ABOUT = re.compile(r"(?i)(readme|licen[cs]e|notes?|changelog|info|description)\b.*")
_SENSOR = re.compile(r"acc(el\w*)?|gyro?\w*|mag(net\w*)?|gravity|orientation|barometer|ppg|ecg|emg")
_FIELDS = tuple(role for role in ROLES if role not in ("tag", "time"))


def is_table(path: Path) -> bool:
    """Tell whether a file is a table by its name."""
    return path.name.lower().endswith(TABLES)


def files_of(folder: Path, ends: tuple[str, ...] = TABLES) -> list[Path]:
    """Return the files of a folder whose names end so, in natural order.

    Raises
    ------
    DataError
        If there are too many.
    """
    files = []
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        hidden = any(part.startswith((".", "__")) for part in relative.parts)
        if path.name.lower().endswith(ends) and not hidden and path.is_file():
            files.append(path)
        if len(files) > _MOST:
            raise DataError(f"{folder}: more than {_MOST:,} files: give a folder with fewer")
    return sorted(files, key=lambda path: _natural(path.relative_to(folder).as_posix()))


def find_parts(folder: Path, reading: Reading) -> tuple[list[Part], list[str]]:
    """Return the files of a folder to read, in natural order, and notes.

    Raises
    ------
    DataError
        If there is none, or a path does not say what the columns lack.
    """
    files = files_of(folder)
    names = [path.relative_to(folder).as_posix() for path in files]
    if not files:
        raise DataError(
            f"{folder}: a folder without files to read ({', '.join((*TABLES, '.wav'))}): give the "
            "folder of the recordings, or a name of 'edgeflow data list'"
        )
    if reading.pattern is None:
        about = [name for name in names if _ABOUT.fullmatch(name.rpartition("/")[2])]
        if len(about) < len(names):
            pairs = [(p, n) for p, n in zip(files, names, strict=True) if n not in about]
            files, names = [p for p, _ in pairs], [n for _, n in pairs]
        parts = [Part(path, name, {}) for path, name in zip(files, names, strict=True)]
        _check_sensors(folder, parts)
        _check_first(folder, parts[0], names, reading)
        return parts, [f"not read: {listed(about, 6)}"] if about else []
    parts, notes = matching(folder, files, reading.pattern)
    _check_sensors(folder, parts)
    return parts, notes


def matching(folder: Path, files: Sequence[Path], pattern: str) -> tuple[list[Part], list[str]]:
    """Return the files of a folder that are like a pattern, and a note of the others.

    Raises
    ------
    DataError
        If none is, or the pattern is wrong.
    """
    shape = _regex(pattern)
    names = [path.relative_to(folder).as_posix() for path in files]
    matches = [shape.fullmatch(name) for name in names]
    parts = [
        Part(path, name, match.groupdict())
        for path, name, match in zip(files, names, matches, strict=True)
        if match
    ]
    if not parts:
        raise DataError(
            f"{folder}: none of {len(names)} files is like --pattern '{shown(pattern)}'; "
            f"they are called {listed(names, 4)}"
        )
    rest = [name for name, match in zip(names, matches, strict=True) if not match]
    return parts, [f"not read, unlike --pattern: {listed(rest, 6)}"] if rest else []


def _check_sensors(folder: Path, parts: Sequence[Part]) -> None:
    """Refuse files of different sensors, each of which would be a recording of its own."""
    found: list[tuple[str, set[str]]] = []
    for part in parts:
        words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part.name.rpartition("/")[2])
        kinds = {word.lower()[:3] for word in words if _SENSOR.fullmatch(word.lower())}
        if kinds:
            found.append((part.name.rpartition("/")[2], kinds))
    other = [name for name, kinds in found if kinds.isdisjoint(found[0][1])]
    if other:
        raise DataError(
            f"{folder}: {shown(found[0][0])} and {shown(other[0])} look like files of two sensors, "
            "and each file is a recording: read those of one, as by --pattern "
            f"'{{person}}/{{label}}/{shown(found[0][0])}', or write all sensors into one file, "
            "with a column for each of their channels"
        )


def _regex(pattern: str) -> re.Pattern[str]:
    """Return a pattern's regular expression.

    Raises
    ------
    DataError
        If a part is unknown or there twice, or two parts touch.
    """
    text = ""
    fields: list[str] = []
    pieces = re.split(r"(\{[^{}]*\}|\*+)", pattern.removeprefix("./"))
    for before, piece in zip([" ", *pieces], pieces, strict=False):
        if not piece.startswith(("{", "*")):
            text += re.escape(piece)
            continue
        name = piece.strip("{}")
        if piece.startswith("{") and (name not in _FIELDS or name in fields):
            wrong = "there twice" if name in fields else f"none of {', '.join(_FIELDS)}"
            raise DataError(f"--pattern {shown(pattern)}: {{{shown(name)}}} is {wrong}")
        if not before and fields:
            raise DataError(
                f"--pattern {shown(pattern)}: what ends the part before '{piece}'? Write a "
                "character between them"
            )
        if piece.startswith("{"):
            fields.append(name)
            text += f"(?P<{name}>[^/]+?)"
        else:
            text += ".*" if piece == "**" else "[^/]*"
    if not fields:
        raise DataError(
            f"--pattern {shown(pattern)}: it names no part: write {{person}}, {{label}} or "
            "{recording} where the paths have them"
        )
    return re.compile(text)


def _check_first(folder: Path, part: Part, names: Sequence[str], reading: Reading) -> None:
    """Refuse files without columns for person and label, with an example of a pattern."""
    opened = open_table(part.path, reading)
    try:
        find_roles(opened.where, opened.names, reading)
    except DataError as error:
        named = {name.lower() for name in opened.names}
        lacks = [r for r in ("person", "label") if r not in named and r not in reading.columns]
        if all(aliases(role, opened.names) for role in lacks) or sum(map(is_number, named)) > 1:
            raise
        raise DataError(
            f"{error}: --pattern '{_example(part.name, lacks)}' reads '{shown(part.name)}' so "
            f"({len(names)} files: {listed(names, 3)})"
        ) from None


def _example(name: str, lacks: Sequence[str]) -> str:
    """Return a pattern that may fit a path: folders first, then the words of the name."""
    *folders, last = name.split("/")
    stem, dot, end = last.partition(".")
    roles = [*lacks, *(["recording"] if "label" in lacks else [])]
    shape = []
    for _ in folders:
        shape.append(f"{{{roles.pop(0)}}}" if len(roles) > 1 else "*")
    words = re.split(r"([-_ ]+)", stem)
    for i in range(0, len(words), 2):
        words[i] = f"{{{roles.pop(0)}}}" if roles else "*"
    return "/".join([*shape, "".join(words) + dot + end])


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order names with numbers by their values."""
    pieces = re.split(r"(\d{1,15})", name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in pieces]

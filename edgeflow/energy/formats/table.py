"""Tables with named columns and units in the header: Monsoon, Keysight, Saleae, sigrok, Otii.

A column is what its unit says: ``Current (mA)``, ``Main(mA)``, ``Voltage [V]``, ``power_uw``. One
without a unit and with two values is a digital line.
"""

import csv
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.recording import Recording
from edgeflow.energy.rows import Grid, read_rows, steady
from edgeflow.errors import EnergyError

NAME = "table"
ABOUT = "a table with units in its header: Monsoon, Keysight, Saleae, sigrok (.csv)"

#: Lines before the header: a title, settings of the instrument.
_PREAMBLE = 60
_SI = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "k": 1e3, "M": 1e6}
_ROLES = {"s": "time", "A": "current", "V": "voltage", "W": "power"}
_WORDS = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"), "msec": "ms", "usec": "us",
    **dict.fromkeys(("amp", "amps"), "A"), **dict.fromkeys(("volt", "volts"), "V"),
    **dict.fromkeys(("watt", "watts"), "W"),
}  # fmt: skip
_UNIT = re.compile(r"^(.*?)\s*[(\[]\s*([^()\[\]]{1,8})\s*[)\]]\s*$|^(.+)_([munkM]?[sAVWavw])$")
_RATE = re.compile(r"sample\s*rate\s*[:=,]?\s*([\d.]+)\s*([kM]?)(?:Hz)?", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a table: what it is ("" a line without unit), and its unit's factor."""

    name: str
    role: str
    factor: float = 1.0


def matches(path: Path, head: bytes) -> bool:
    if b"\0" in head:
        return False
    return _header(head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()) is not None


def column_of(title: str, unit: str | None = None) -> Column:
    """Return what a column's title says; `unit` is of one whose title has none."""
    name = title.strip().strip('"')
    found = _UNIT.match(name)
    if unit is None and found is not None:
        name = (found[1] if found[2] else found[3]).strip() or name
        unit = found[2] or _upper(found[4])
    role, factor = _unit(unit) if unit is not None else ("", 1.0)
    return Column(name, role, factor)


def _upper(unit: str) -> str:
    """Return the unit at the end of ``current_ua``: uA."""
    return unit[:-1] + (unit[-1] if unit[-1] == "s" else unit[-1].upper())


def _unit(text: str) -> tuple[str, float]:
    text = _WORDS.get(text.strip().lower(), text.strip())
    if text[-1:] in _ROLES and text[:-1] in _SI:
        return _ROLES[text[-1]], _SI[text[:-1]]
    return "", 1.0


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _header(lines: list[str]) -> int | None:
    """Return the line that is the header: the first with a current or a power, or samples."""
    for number, line in enumerate(islice(lines, _PREAMBLE)):
        titles = next(csv.reader([line], delimiter=_delimiter(line)), [])
        roles = {column_of(title).role for title in titles}
        if len(titles) > 1 and roles & {"current", "power"}:
            return number
    return None


def read(path: Path, options: ReadOptions) -> Recording:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = list(islice(file, _PREAMBLE))
    number = _header(lines)
    wanted = {role: _asked(path, role, text) for role, text in options.columns.items()}
    if number is None and wanted:
        names = {name for name, _ in wanted.values()}
        number = next((i for i, line in enumerate(lines) if names & _titles(line)), None)
    if number is None:
        raise EnergyError(
            f"{path}: no header with a current or a power and its unit, such as Current (mA): name "
            "the column by --column current=NAME:mA"
        )
    delimiter = _delimiter(lines[number])
    titles = next(csv.reader([lines[number]], delimiter=delimiter))
    if number + 1 == len(lines):
        raise EnergyError(f"{path}: has fewer than two rows of numbers")
    if not titles[-1].strip():  # Monsoon ends its lines with a comma, of the header alone
        titles = titles[:-1] if lines[number + 1].count(delimiter) < len(titles) - 1 else titles
    columns = _columns(path, titles, wanted)
    skip = number + 1
    if skip < len(lines) and not _is_number(lines[skip].split(delimiter)[0]):
        skip += 1  # a line of units
    rows = read_rows(path, skip=skip, columns=len(titles), delimiter=delimiter)
    return _recording(path, columns, rows, options, "".join(lines[:number]))


def _titles(line: str) -> set[str]:
    cells = next(csv.reader([line], delimiter=_delimiter(line)), [])
    return {cell.strip() for cell in cells} | {column_of(cell).name for cell in cells}


def _asked(path: Path, role: str, text: str) -> tuple[str, str | None]:
    if role not in _ROLES.values():
        raise EnergyError(f"--column {role}: one of {', '.join(_ROLES.values())}")
    name, _, unit = text.partition(":")
    if unit and _unit(unit)[0] != role:
        raise EnergyError(f"--column {role}={text}: '{unit}' is no unit of a {role}")
    return name.strip(), unit or None


def _columns(
    path: Path, titles: list[str], wanted: dict[str, tuple[str, str | None]]
) -> list[Column]:
    columns = [column_of(title) for title in titles]
    for role, (name, unit) in wanted.items():
        at = [i for i, t in enumerate(titles) if name in (t.strip(), columns[i].name)]
        if not at:
            raise EnergyError(
                f"{path}: no column '{name}'; there are: {', '.join(t.strip() for t in titles)}"
            )
        found = column_of(titles[at[0]], unit)
        if found.role != role:
            raise EnergyError(
                f"{path}: column '{name}' has no unit of a {role}: add one, {name}:mA"
            )
        # the others of its kind are not meant
        columns = [Column(c.name, "-") if c.role == role else c for c in columns]
        columns[at[0]] = found
    for role in ("current", "power", "time"):
        names = [column.name for column in columns if column.role == role]
        if len(names) > 1 and role != "time":
            raise EnergyError(
                f"{path}: several columns of a {role} ({', '.join(names)}): choose one by "
                f"--column {role}=NAME"
            )
    return columns


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _recording(
    path: Path, columns: list[Column], rows: np.ndarray, options: ReadOptions, before: str
) -> Recording:
    def first(role: str) -> np.ndarray | None:
        for i, column in enumerate(columns):
            if column.role == role:
                return np.asarray(rows[:, i] * column.factor)
        return None

    grid = _grid(path, first("time"), len(rows), options, before)
    current, power, volts = (first(role) for role in ("current", "power", "voltage"))
    if power is None:
        assert current is not None
        power = current * (options.supply(path) if volts is None else volts)
    lines = {
        column.name: rows[:, i] > 0.5
        for i, column in enumerate(columns)
        if column.role == "" and np.isin(rows[:, i], (0.0, 1.0)).all()
    }
    return Recording(
        grid.rate_hz, grid.analog(power), None if current is None else grid.analog(current),
        {name: grid.digital(values) for name, values in lines.items()}, source=str(path),
        notes=grid.notes,
    )  # fmt: skip


def _grid(
    path: Path, seconds: np.ndarray | None, size: int, options: ReadOptions, before: str
) -> Grid:
    if seconds is not None:
        return steady(path, seconds)
    rate = options.rate_hz
    if rate is None and (told := _RATE.search(before)) is not None:
        rate = float(told[1]) * _SI[told[2]]
    if rate is None:
        raise EnergyError(f"{path}: no column of times: say how many samples a second by --rate")
    return Grid(rate, np.arange(size), size)

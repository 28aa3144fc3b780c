"""How a text file separates cells and writes decimals, found by what fits header and rows."""

import csv
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeflow.data.reading import SEPARATORS
from edgeflow.data.wording import shown
from edgeflow.errors import DataError

_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


@dataclass(frozen=True)
class Dialect:
    """Separator of the cells, and decimal sign."""

    separator: str
    decimal: str = "."

    def cells(self, lines: Iterable[str]) -> Iterable[list[str]]:
        """Return the cells of each row; a quoted cell may have several lines."""
        if self.separator == " ":
            spaced = (f"{line.strip()}\n".replace("\t", " ") for line in lines)
            return csv.reader(spaced, delimiter=" ", skipinitialspace=True)
        return csv.reader(lines, delimiter=self.separator)

    def row(self, line: str) -> list[str]:
        """Return the cells of one line; none if it is not legal."""
        try:
            return [cell.strip() for cell in next(iter(self.cells([line])), [])]
        except csv.Error:
            return []


def find_separator(
    path: Path, header: str, body: Sequence[str], known: Collection[str], number: int
) -> str:
    """Return the separator with which header and rows have the same number of cells.

    Parameters
    ----------
    header : str
        The line with the columns' names.
    body : sequence of str
        Some lines after it.
    known : collection of str
        Names that columns are likely to have, in small letters.
    number : int
        Line of the header, for messages.

    Raises
    ------
    DataError
        If several fit equally.
    """
    widths: dict[str, int] = {}
    fits: dict[str, float] = {}
    names: dict[str, int] = {}
    for separator in SEPARATORS:
        dialect = Dialect(separator)
        cells = _without_end(dialect.row(header))
        widths[separator] = len(cells)
        names[separator] = sum(cell.lower() in known for cell in cells)
        rows = [len(_without_end(dialect.row(line))) for line in body]
        fits[separator] = sum(r == len(cells) for r in rows) / max(1, len(rows))
    usable = [s for s in SEPARATORS if widths[s] > 1]
    if not usable:
        tried = ", ".join(SEPARATORS.values())
        raise DataError(
            f"{path}: line {number}: one cell, '{shown(header.strip())}', with each of the "
            f"separators {tried}: write the columns' names, such as person,recording,label,ax,ay"
        )
    best = max((names[s] > 0, fits[s] > 0.9, names[s]) for s in usable)
    chosen = [s for s in usable if (names[s] > 0, fits[s] > 0.9, names[s]) == best]
    if len(chosen) > 1 and " " in chosen:
        chosen.remove(" ")  # in text between other separators
    if len(chosen) > 1 and not best[1]:
        chosen = [max(chosen, key=lambda s: widths[s])]
    if len(chosen) > 1:
        both = " and ".join(SEPARATORS[s] for s in chosen)
        raise DataError(
            f"{path}: line {number}: the columns could be separated by {both}: say which with "
            f"--separator"
        )
    return chosen[0]


def find_decimal(path: Path, cells: Sequence[str]) -> str:
    """Return the decimal sign of cells that are numbers.

    Raises
    ------
    DataError
        If both signs are there, or commas that may separate thousands.
    """
    commas = [cell for cell in cells if _COMMA.fullmatch(cell) or _THOUSANDS.fullmatch(cell)]
    points = [cell for cell in cells if "." in cell and is_number(cell)]
    if not commas:
        return "."
    if points:
        raise DataError(
            f"{path}: numbers have decimals after '.' ({points[0]}) and after ',' ({commas[0]}): "
            "write them one way, or say which with --decimal"
        )
    if all(_THOUSANDS.fullmatch(cell) for cell in commas):
        raise DataError(
            f"{path}: '{shown(commas[0])}' may have a decimal comma, or one of thousands: say "
            "--decimal , or --decimal ."
        )
    return ","


def is_number(text: str) -> bool:
    """Tell whether a cell is a number as tables write it; nan and inf are."""
    if "_" in text or not text.isascii():
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_end(cells: list[str]) -> list[str]:
    """Leave out empty cells at the end, which a separator at the end of each line makes."""
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells

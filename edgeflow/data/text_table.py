"""Tables in text files: CSV and its relatives."""

import csv
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.columns import KNOWN, Roles, clock_unit
from edgeflow.data.dialect import Dialect, find_decimal, find_separator, is_number
from edgeflow.data.reading import SEPARATORS, Reading
from edgeflow.data.table import Table, seconds_of
from edgeflow.data.text_file import TextFile
from edgeflow.data.wording import shown
from edgeflow.errors import DataError

SETTINGS = ("rate_hz", "window", "classes")
_ROWS = 50_000  # parsed at a time
_LOOK = 200  # lines that separator and decimal sign are told from
_LARGEST = float(np.finfo(np.float32).max)
_SWAP = str.maketrans(",.", ".,")
_COMMENT = re.compile(r'\s*(#|"#\s*\w+\s*:)')
_Line = tuple[int, str]


class TextTable:
    """A text file whose header has been read.

    Attributes
    ----------
    path : Path
    names : list of str
        The columns' names.
    where : str
        File and line of the header, for messages.
    """

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path = path
        self.file = TextFile.open(path)
        self._lines = self.file.lines()
        self._settings: dict[str, tuple[int, str]] = {}
        self._commented: set[str] = set()
        self._comments = 0
        number, header, separator = self._header(reading.separator)
        self.where = f"{path}: line {number}"
        look = [line for _, line in self._body if not line.startswith("#")]
        if separator is None:
            known = [*KNOWN, *reading.columns.values(), *reading.channels]
            likely = {name.lower() for name in known}
            separator = find_separator(path, header, look[:50], likely, number)
        dialect = Dialect(separator)
        rows = [dialect.row(line) for line in look]
        self._first = rows[0] if rows else []
        self.names = dialect.row(header)
        while (
            self.names
            and not self.names[-1]
            and not any(any(r[len(self.names) - 1 :]) for r in rows)
        ):
            self.names.pop()  # separators at the end of each line
        decimal = reading.decimal
        if decimal is None:
            texts = {"person", "recording", "label", *reading.columns.values()}
            numbers = [i for i, name in enumerate(self.names) if name not in texts]
            decimal = find_decimal(path, [row[i] for row in rows for i in numbers if i < len(row)])
        self.dialect = Dialect(separator, decimal)

    def _header(self, separator: str | None) -> tuple[int, str, str | None]:
        """Read up to the header, and some lines more.

        Returns
        -------
        tuple
            Its line and text, and the separator if it is known.
        """
        comments: list[_Line] = []
        header: _Line | None = None
        for number, line in self._lines:
            if _COMMENT.match(line):
                comments.append((number, line))
            elif not comments and re.fullmatch(r'"?sep=.\s*"?\s*', line):
                said = line.partition("=")[2][0]  # as Excel writes it
                separator = separator or (said if said in SEPARATORS else None)
            else:
                header = number, line
                break
        if header is None:
            raise DataError(f"{self.path}: empty: its first line must name the columns")
        self._body = list(itertools.islice(self._lines, _LOOK))
        number, text = self._header_in_comment(header, comments)
        if not "".join(text.split()).isprintable():
            raise DataError(f"{self.path}: not UTF-8 text, nor UTF-16: export it again as CSV")
        for at, line in comments:
            self._set(at, line)
        return number, text, separator

    @property
    def key(self) -> str:
        """What a parsed copy depends on, besides the columns that are read."""
        return (
            f"{self.path.name} {self.file.digest} {self.dialect} {self.file.encoding} {self.names}"
        )

    def read(self, roles: Roles) -> Table:
        """Parse the rows.

        Raises
        ------
        DataError
            Naming the line.
        """
        place = {name: i for i, name in enumerate(self.names)}
        numbers = [place[name] for name in roles.numbers]
        self._dates = {
            place[name]
            for name in roles.numbers
            if (name == roles.time or clock_unit(name) is not None) and self._is_date(place[name])
        }
        found: list[tuple[NDArray[np.int64], dict[str, NDArray[np.int32]], NDArray[np.float64]]]
        found = []
        codes: dict[str, dict[str, int]] = {name: {} for name in roles.text}
        for lines in self._blocks(roles):
            parsed = self._fast(lines, roles, numbers) or self._slow(lines, roles, numbers)
            at, names, values = parsed
            coded = {}
            for name, column in names.items():
                known = codes[name]
                stripped = [cell.strip() for cell in column]
                numbered = [known.setdefault(cell, len(known)) for cell in stripped]
                coded[name] = np.array(numbered, np.int32)
            found.append((at, coded, values))
        if not found:
            raise DataError(f"{self.path}: holds no recordings: add the samples below the header")
        notes = [*self.file.notes]
        if self._commented:
            notes.append(
                f"{self.path.name}: rows that begin with '#' are samples, not comments, as they "
                f"have all cells: of {', '.join(shown(n) for n in sorted(self._commented)[:6])}"
            )
        if self._comments:
            what = "line" if self._comments == 1 else "lines"
            notes.append(
                f"{self.path.name}: {self._comments} {what} below the header left out as comments: "
                "'#' at the begin, and fewer cells than the header"
            )
        return Table(
            np.concatenate([at for at, _, _ in found]),
            {
                name: (list(codes[name]), np.concatenate([coded[name] for _, coded, _ in found]))
                for name in roles.text
            },
            np.concatenate([values for _, _, values in found]),
            dict(self._settings),
            tuple(notes),
        )

    def _header_in_comment(self, header: _Line, comments: list[_Line]) -> _Line:
        """Return the last comment, if it names the columns of a table that goes on with samples.

        So numpy.savetxt writes a header.
        """
        for separator in SEPARATORS:
            dialect = Dialect(separator)
            cells = dialect.row(header[1])
            if len(cells) > 1 and comments and any(map(is_number, cells)):
                number, line = comments[-1]
                names = dialect.row(line.lstrip().removeprefix("#"))
                if len(names) == len(cells) and not any(map(is_number, names)):
                    comments.pop()
                    self._body.insert(0, header)
                    return number, line.lstrip().removeprefix("#")
        return header

    def _set(self, number: int, line: str) -> None:
        key, colon, value = line.lstrip(' "#').partition(":")
        value = value.rstrip('",;|\t\r\n ')  # a spreadsheet writes quotes and empty cells, too
        if colon and (key := key.strip().lower()) in SETTINGS:
            self._settings[key] = number, value.strip()

    def _blocks(self, roles: Roles) -> Iterator[list[_Line]]:
        """Yield lines that hold whole rows; comments among them are read."""
        lines = itertools.chain(self._body, self._lines)
        kept: list[_Line] = []
        quoted = 0
        for number, line in lines:
            if line.startswith("#") and not self._is_sample(number, line, roles):
                continue
            kept.append((number, line))
            quoted ^= line.count('"') & 1  # an open quotation mark: the row goes on
            if len(kept) >= _ROWS and not quoted:
                yield kept
                kept = []
        if kept:
            yield kept

    def _is_sample(self, number: int, line: str, roles: Roles) -> bool:
        """Tell whether a line that begins with '#' is one of the table's rows."""
        cells = self.dialect.row(line)
        if len(cells) == len(self.names):
            name = cells[0]
            if self.names[0] in roles.text:
                self._commented.add(name)
            return True
        if re.match(r"#\s*\w+\s*:", line) or re.match(r"#\s|#+\s*$", line):
            self._set(number, line)
            self._comments += 1
            return False
        raise DataError(
            f"{self.path}: line {number}: begins with '#' and has {len(cells)} cells, the header "
            f"{len(self.names)}: correct the row, or write a comment as '# ...'"
        )

    def _is_date(self, column: int) -> bool:
        cell = self._first[column] if column < len(self._first) else ""
        return not self._number(cell)[1]

    def _fast(
        self, lines: Sequence[_Line], roles: Roles, numbers: Sequence[int]
    ) -> tuple[NDArray[np.int64], dict[str, list[str]], NDArray[np.float64]] | None:
        """Parse with numpy what has nothing unusual; None if it has."""
        separator = self.dialect.separator
        swapped = self.dialect.decimal == ","
        if self._dates or (swapped and separator == ","):
            return None
        if separator == " " and any('"' in line for _, line in lines):
            return None
        kinds = ["f8" if i in set(numbers) else "O" for i in range(len(self.names))]
        kind = np.dtype([(f"c{i}", kind) for i, kind in enumerate(kinds)])
        try:
            rows = np.loadtxt(
                [line.translate(_SWAP) if swapped else line for _, line in lines], kind,
                comments=None, quotechar='"', ndmin=1,
                delimiter=None if separator == " " else separator,
            )  # fmt: skip
        except (ValueError, RecursionError, OverflowError):
            return None
        if len(rows) != len(lines):
            return None
        values = np.stack([rows[f"c{i}"] for i in numbers], axis=1)
        if not (np.abs(values) <= _LARGEST).all():
            return None
        place = {name: i for i, name in enumerate(self.names)}
        names = {name: rows[f"c{place[name]}"].tolist() for name in roles.text}
        if swapped:
            names = {name: [t.translate(_SWAP) for t in texts] for name, texts in names.items()}
        return np.array([number for number, _ in lines], np.int64), names, values

    def _slow(
        self, lines: Sequence[_Line], roles: Roles, numbers: Sequence[int]
    ) -> tuple[NDArray[np.int64], dict[str, list[str]], NDArray[np.float64]]:
        """Parse cell by cell; what is wrong is an error with its line."""
        place = {name: i for i, name in enumerate(self.names)}
        at: list[int] = []
        names: dict[str, list[str]] = {name: [] for name in roles.text}
        values: list[list[float]] = []
        for number, row in self._rows(lines):
            at.append(number)
            for name, column in names.items():
                column.append(row[place[name]])
            values.append([self._cell(number, column, row[column]) for column in numbers])
        table = np.array(values, np.float64).reshape(-1, len(numbers))
        return np.array(at, np.int64), names, table

    def _rows(self, lines: Sequence[_Line]) -> Iterator[tuple[int, list[str]]]:
        reader = iter(self.dialect.cells(line for _, line in lines))
        width = len(self.names)
        for taken in itertools.count():
            before = getattr(reader, "line_num", taken)
            number = lines[min(before, len(lines) - 1)][0]
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(
                    f"{self.path}: line {number}: {error}: export it again as CSV"
                ) from None
            while len(row) > width and not row[-1].strip():
                row.pop()
            if not any(cell.strip() for cell in row):
                continue  # a spreadsheet's empty rows
            if len(row) != width:
                raise DataError(
                    f"{self.path}: line {number}: {len(row)} cells, the header has {width}"
                    f"{self._hint(lines, before, row)}"
                )
            yield number, row

    def _hint(self, lines: Sequence[_Line], index: int, row: list[str]) -> str:
        line, separator = lines[min(index, len(lines) - 1)][1], self.dialect.separator
        for other, word in SEPARATORS.items():
            if other != separator and len(Dialect(other).row(line)) == len(self.names):
                return f" (its separator is a {word}, the header's a {SEPARATORS[separator]})"
        if any("\n" in cell for cell in row):
            return ": a quotation mark is not closed"
        if len(row) == len(self.names) + 1:
            return ": name every column in the header, or leave out the cell"
        if separator == "," and len(row) > len(self.names):
            return ": if its decimals are commas, export it with semicolons between the cells"
        return ": correct or leave out the line"

    def _number(self, text: str) -> tuple[float, bool]:
        if self.dialect.decimal == ",":
            text = text.replace(".", "_").replace(",", ".")
        return (float(text), True) if is_number(text) else (math.nan, False)

    def _cell(self, number: int, column: int, text: str) -> float:
        if column in self._dates:
            try:
                return seconds_of(text)
            except (ValueError, OverflowError):
                raise DataError(
                    f"{self.path}: line {number}: {shown(self.names[column])} is "
                    f"'{shown(text.strip())}', neither a number nor a date and time in ISO 8601 "
                    "(2026-05-01T12:00:00.040): correct it, or name the channels with --channels"
                ) from None
        value = self._number(text)[0]
        if math.isfinite(value) and abs(value) <= _LARGEST:
            return value
        name, cell = shown(self.names[column]), text.strip()
        hint = "correct or leave out the line"
        if math.isfinite(value):
            raise DataError(
                f"{self.path}: line {number}: {name} is '{shown(cell)}', beyond float32: {hint}"
            )
        other = "," if self.dialect.decimal == "." else "."
        if re.fullmatch(rf"[+-]?\d*{re.escape(other)}\d+", cell):
            hint += f", or say --decimal {other}"
        elif re.fullmatch(r"[+-]?\d{1,3}([,.' ]\d{3})+([,.]\d*)?", cell):
            hint = "export it without separators of thousands"
        elif cell.startswith("\N{MINUS SIGN}"):
            hint = "its minus is not '-': export it with that"
        elif cell.lower() in ("true", "false"):
            hint = "write 1 and 0, or name the channels with --channels"
        elif not any(map(is_number, self._first)) and any(self._first):
            hint = "if it is a second line of the header, such as units, leave it out"
        elif _is_date(cell):
            hint = f"if it is the time, say --columns time={name}"
        elif re.fullmatch(r"\(?[+-]?[\d.,]+\)?\s*\D{,10}", cell):
            hint = "write the number alone, with '-' if it is negative and without a unit"
        elif cell and column < len(self._first) and not self._number(self._first[column])[1]:
            hint = "if it is no channel, name those that are with --channels"
        elif cell.lower() in ("", "nan", "inf", "-inf", "na", "null"):
            hint = "leave out the line and begin a new recording after it, or fill it in"
        raise DataError(
            f"{self.path}: line {number}: {name} is '{shown(cell)}', not a finite number: {hint}"
        )


def _is_date(text: str) -> bool:
    try:
        return bool(seconds_of(text)) and not text.isalnum()
    except (ValueError, OverflowError):
        return False

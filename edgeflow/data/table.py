"""Columns of one file, whatever its form: names as codes, everything else as float64."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

#: Kept copies of tables begin with it; another one makes them void.
FORM = 2


@dataclass(frozen=True, eq=False)
class Table:
    """What a file holds, once it is parsed.

    Attributes
    ----------
    lines : int64 [rows]
        Where each row is in the file.
    names : dict
        Of each column of names: its different names in order of appearance, and their codes,
        int32 [rows].
    numbers : float64 [rows, columns]
    settings : dict
        What comment lines say: "rate_hz", "window", "classes", with their line and text.
    notes : tuple of str
    """

    lines: NDArray[np.int64]
    names: dict[str, tuple[list[str], NDArray[np.int32]]]
    numbers: NDArray[np.float64]
    settings: dict[str, tuple[int, str]]
    notes: tuple[str, ...] = ()


def seconds_of(text: str) -> float:
    """Return the seconds since 1970 of a date and time in ISO 8601, those of the day of a time.

    Without a zone they are in UTC.

    Raises
    ------
    ValueError
        If it is none.
    """
    plain = text.strip()
    if ":" in plain and "-" not in plain[:5]:
        plain = f"1970-01-01T{plain}"
    when = datetime.fromisoformat(plain)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

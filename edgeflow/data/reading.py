"""How data are found and read: keywords of `load_dataset`, options beside ``--data``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from edgeflow.errors import DataError
from edgeflow.schema import DATA, Option

ROLES = ("person", "recording", "label", "tag", "time")
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "d": 86400.0}
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


def as_mapping(parts: Sequence[str]) -> dict[str, str]:
    """Return ``{"person": "subject", ...}`` of texts such as ``person=subject,label=activity``."""
    found: dict[str, str] = {}
    for part in (one for text in parts for one in text.split(",")):
        role, equals, column = part.partition("=")
        if not equals:
            raise DataError(
                f"--columns {part}: write what a column is and its name: --columns "
                "person=subject,label=activity"
            )
        found[role.strip()] = column.strip()
    return found


def as_names(parts: Sequence[str]) -> tuple[str, ...]:
    """Return the names in texts such as ``ax,ay,az``."""
    return tuple(name.strip() for text in parts for name in text.split(","))


def as_seconds(parts: Sequence[str]) -> tuple[float, ...]:
    """Return the numbers in texts such as ``0.5,1.0``."""
    texts = [one for text in parts for one in text.split(",")]
    try:
        found = tuple(map(float, texts))
    except ValueError:
        found = ()
    if not found or not all(0 < one < 1e9 for one in found):
        raise DataError(f"--horizon {','.join(parts)}: give seconds from now, like 0.5,1.0")
    return found


@dataclass(frozen=True)
class Origin:
    """Where data are, and what stands for what they do not say.

    Attributes
    ----------
    root : Path, optional
        Folder with a local copy of the data set.
    people : Path, optional
        Split: JSON {"train": [...], "val": [...], "test": [...]}.
    rate_hz : float, optional
        Samples per second of your own file.
    resample_hz : float, optional
        Resample to this rate in Hz, anti-aliased.
    task : str, optional
        What the data are for, if not what they are labelled for: forecast, tagging, events.
    horizon : tuple of float
        Of forecasts: how far, in seconds, like 0.5,1.0.
    more : str, optional
        Another data set, like a folder of synthetic recordings, whose subjects all train.
    """

    panel = DATA
    root: Annotated[Path | None, Option("--root")] = None
    people: Annotated[Path | None, Option("--people")] = None
    rate_hz: Annotated[float | None, Option("--rate")] = None
    resample_hz: Annotated[float | None, Option("--resample")] = None
    task: Annotated[str | None, Option("--task")] = None
    horizon: Annotated[tuple[float, ...], Option("--horizon", as_seconds)] = ()
    more: Annotated[str | None, Option("--more")] = None


@dataclass(frozen=True)
class Reading:
    """How files of your own are read.

    Attributes
    ----------
    columns : mapping
        Columns of other names: person=subject,label=activity, also recording and time.
    channels : sequence of str
        The channels, in this order: ax,ay,az. Default: every column that is nothing else.
    pattern : str, optional
        What the paths in a folder say: "{person}/{label}_{recording}.csv"; * stands for anything.
    separator : str, optional
        Between the cells, if it cannot be told: comma, semicolon, tab, bar, space.
    decimal : str, optional
        The decimal sign, if it cannot be told: . or ,
    time_unit : str, optional
        Of the time column, if it cannot be told: s, ms, us, ns, d (days).
    """

    panel = DATA
    columns: Annotated[Mapping[str, str], Option("--columns", as_mapping)] = field(
        default_factory=dict
    )
    channels: Annotated[tuple[str, ...], Option("--channels", as_names)] = ()
    pattern: Annotated[str | None, Option("--pattern")] = None
    separator: Annotated[str | None, Option("--separator")] = None
    decimal: Annotated[str | None, Option("--decimal")] = None
    time_unit: Annotated[str | None, Option("--time-unit")] = None


@dataclass(frozen=True)
class DataOptions(Reading, Origin):
    """The options beside ``--data``: the keywords of `load_dataset`."""


def make_reading(
    columns: Mapping[str, str] | None = None,
    channels: Sequence[str] | None = None,
    pattern: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    time_unit: str | None = None,
) -> Reading:
    """Return how to read, checked.

    Raises
    ------
    DataError
        If a value is none of those allowed.
    """
    if columns is not None and not isinstance(columns, Mapping):
        raise DataError(f"columns is {columns!r}: give a mapping such as {{'person': 'subject'}}")
    if isinstance(channels, str):
        raise DataError(f"channels is the text '{channels}': give a list of names")
    roles = {str(role): str(name) for role, name in (columns or {}).items()}
    for role in roles:
        if role not in ROLES:
            raise DataError(
                f"--columns {role}={roles[role]}: a column is {', '.join(ROLES)} (channels are "
                "named by --channels)"
            )
    if channels is not None and not isinstance(channels, Sequence):
        raise DataError(f"channels is {channels!r}: give a list of names")
    chosen = tuple(map(str, channels or ()))
    if len(set(chosen)) < len(chosen):
        raise DataError(f"--channels {','.join(chosen)}: a channel is there more than once")
    texts = {"pattern": pattern, "separator": separator, "decimal": decimal, "time_unit": time_unit}
    for what, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise DataError(f"{what} is {value!r}: give a text")
    if separator is not None:
        words = {**{word: sign for sign, word in SEPARATORS.items()}, "\\t": "\t"}
        separator = words.get(separator, separator)
        if separator not in SEPARATORS:
            raise DataError(f"--separator {separator}: use one of {', '.join(SEPARATORS.values())}")
    if decimal not in (None, ".", ","):
        raise DataError(f"--decimal {decimal}: use . or ,")
    if time_unit is not None and time_unit not in UNITS:
        raise DataError(f"--time-unit {time_unit}: use one of {', '.join(UNITS)}")
    return Reading(roles, chosen, pattern, separator, decimal, time_unit)


def given(reading: Reading) -> list[str]:
    """Return the options that are not left to be found out."""
    values: dict[str, Any] = {
        "--columns": reading.columns, "--channels": reading.channels,
        "--pattern": reading.pattern, "--separator": reading.separator,
        "--decimal": reading.decimal, "--time-unit": reading.time_unit,
    }  # fmt: skip
    return [name for name, value in values.items() if value]

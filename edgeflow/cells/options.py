"""A cell's own options: the keyword-only parameters of its ``build`` function."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgeflow.cells.cell import Cell
from edgeflow.errors import TrainError

#: Largest number that an option may be, whole or not; most units or values of a part of a cell.
MOST = {int: 4096, float: 1e6}
WIDEST = 16_384


def check_width(what: str, value: int) -> None:
    """Raise a TrainError if a part of a cell is wider than `WIDEST`; `what` has the factors."""
    if value > WIDEST:
        raise TrainError(f"{what} is {value}: it must be at most {WIDEST}")


def option_defaults(cell: Cell) -> dict[str, Any]:
    """Return the names of a cell's options with their default values."""
    parameters = inspect.signature(cell.build).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_options(name: str, cell: Cell, options: Mapping[str, Any]) -> None:
    """Raise a TrainError that names the first option that the cell has not, or of another type."""
    defaults = option_defaults(cell)
    for key, value in options.items():
        if key not in defaults:
            known = ", ".join(f"{k}={json.dumps(v)}" for k, v in defaults.items()) or "none"
            raise TrainError(f"{name} has no option '{key}': it has {known}")
        kind = type(defaults[key])
        # a whole number is a float, but no bool is a number
        fits = type(value) is kind or (kind is float and type(value) is int)
        if not fits:
            raise TrainError(f"{key} is {json.dumps(value)}: {name} needs one like {defaults[key]}")
        if kind in MOST and not abs(value) <= MOST[kind]:  # of NaN, too
            raise TrainError(f"{key} is {json.dumps(value)}: it must be at most {MOST[kind]:g}")


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return the options of ``name=value`` texts; a value is a number, true, false or a word.

    Raises
    ------
    TrainError
        If a text has no ``=``, or names an option twice.
    """
    result: dict[str, Any] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found or not name:
            raise TrainError(f"'{text}' is no option of a cell: write name=value, like order=8")
        if name in result:
            raise TrainError(f"option {name} is given twice")
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value
        result[name] = parsed if isinstance(parsed, int | float | bool) else value
    return result

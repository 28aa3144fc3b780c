"""Reading and writing the data files of ``calibration/``."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeflow.errors import EdgeFlowError, TargetError
from edgeflow.files import write_atomic
from edgeflow.resources import resource

#: Keys that need no quotes.
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

DataT = TypeVar("DataT", bound=BaseModel)


class Data(BaseModel):
    """The content of a data file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def load_of_core(kind: type[DataT], folder: str, core: str) -> DataT | None:
    """Return the data of ``calibration/costs/<folder>/<core>.toml``, None if there is no such file.

    Of `kind` is the file's content, with a field ``core``.

    Raises
    ------
    TargetError
        If the file is wrong, or about another core.
    """
    path = resource("calibration") / "costs" / folder / f"{core}.toml"
    if not path.is_file():
        return None
    data: Any = read_data(kind, path)
    if data.core != core:
        raise TargetError(f"{path}: core: '{data.core}' in a file named after '{core}'")
    return data


def read_toml(path: Path, error: type[EdgeFlowError] = TargetError) -> dict[str, Any]:
    """Return the content of a TOML file; raise `error` if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:  # too many digits or brackets, too
        raise error(f"{path}: not a TOML file ({problem})") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror})") from None


def read_data(kind: type[DataT], path: Path) -> DataT:
    """Read a TOML file.

    Raises
    ------
    TargetError
        If it cannot be read, or is not what `kind` says.
    """
    values = read_toml(path)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(key) for key in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise TargetError(f"{path}: {where + ': ' if where else ''}{message}") from None


def write_data(data: BaseModel, path: Path, about: str) -> None:
    """Write a TOML file that `read_data` reads; fields that have their default are left out.

    Parameters
    ----------
    data : BaseModel
        Floats are kept to nine digits.
    path : Path
    about : str
        Lines of the comment at the top.
    """
    lines = [
        *(f"# {line}" for line in about.split("\n")),
        *_lines(data.model_dump(exclude_defaults=True)),
    ]
    write_atomic(path, "\n".join(lines) + "\n")


def _lines(values: Mapping[str, Any], table: tuple[str, ...] = ()) -> Iterator[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    if table and (len(tables) < len(values) or not values):
        yield f"\n[{'.'.join(map(_key, table))}]"
    yield from (f"{_key(key)} = {_literal(values[key])}" for key in values if key not in tables)
    for key, value in tables.items():
        yield from _lines(value, (*table, key))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _literal(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    return f"{value:.9g}" if isinstance(value, float) else json.dumps(value)

"""Reading the data files of ``calibration/``."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from edgeflow.errors import EdgeFlowError, TargetError
from edgeflow.resources import resource

DataT = TypeVar("DataT", bound=BaseModel)


def load_of_core(kind: type[DataT], folder: str, core: str) -> DataT | None:
    """Return what ``calibration/<folder>/<core>.toml`` says, None if there is no such file.

    Of `kind` is the file's content, with a field ``core``.

    Raises
    ------
    TargetError
        If the file is wrong, or about another core.
    """
    path = resource("calibration") / folder / f"{core}.toml"
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
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

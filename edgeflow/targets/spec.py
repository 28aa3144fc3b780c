"""Descriptions in TOML: how the files of ``targets`` are found, read and checked."""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edgeflow.errors import TargetError
from edgeflow.resources import resource

_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}
_FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,63}"


def _size(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)([KM]?)", value)
        if match is None:
            raise ValueError(f"'{value}' is not a size; write bytes, or '256K', or '4M'")
        return int(match[1]) * _UNITS[match[2]]
    return value


Size = Annotated[int, BeforeValidator(_size), Field(strict=True, gt=0, le=1 << 32)]
Address = Annotated[int, Field(strict=True, ge=0, lt=1 << 32)]


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


SpecT = TypeVar("SpecT", bound=Spec)


def find_part(key: Literal["core", "soc"], name: str, board: Path | None) -> Path:
    """Return the file of a core or the folder of a SoC: beside a board's file, or EdgeFlow's."""
    folder, patterns = {
        "core": ("cores", ["*.toml"]),
        "soc": ("soc", ["*/link.ld", "*/soc.toml"]),  # a family on a base may have no script
    }[key]
    places = [resource("targets"), *([board.resolve().parent] if board is not None else [])]
    files = [
        file for place in places for pattern in patterns for file in (place / folder).glob(pattern)
    ]
    known = {path.stem: path for path in (f if key == "core" else f.parent for f in files)}
    if name in known:
        return known[name]
    where = f"{shown(board)}: {key}: " if board is not None else ""
    raise TargetError(f"{where}{unknown(key, name, sorted(known))}")


def unknown(kind: str, name: str, known: list[str]) -> str:
    return f"no {kind} '{name}'; {did_you_mean(name, known)}known: {', '.join(known)}"


def did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def shown(path: Path) -> str:
    """Path for messages: relative to EdgeFlow's own files where it is one of them."""
    try:
        return str(path.resolve().relative_to(resource("targets").resolve().parent))
    except ValueError:
        return str(path)


def read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        raise TargetError(f"{shown(path)}: no such file") from None
    except (ValueError, RecursionError) as error:  # too many digits or brackets, too
        raise TargetError(f"{shown(path)}: not valid TOML: {error}") from None
    except OSError as error:
        raise TargetError(f"{shown(path)}: {error.strerror}") from None
    if "name" in values:
        raise TargetError(f"{shown(path)}: name: unknown key: the file's name is the name")
    if not re.fullmatch(_FILE_NAME, path.stem, re.ASCII):
        # it becomes a text of C, and what the board greets with
        raise TargetError(
            f"{shown(path)}: a board's or core's name is of A-Z, a-z, 0-9, '.', '_', '+', '-' and "
            "spaces, at most 64: rename the file"
        )
    values["name"] = path.stem
    return values


def validate(kind: type[SpecT], values: dict[str, Any], path: Path) -> SpecT:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise TargetError(f"{shown(path)}: {first_problem(error)}") from None


def first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    location = [str(part) for part in problem["loc"]]
    if location[:1] == ["runner"] and len(location) > 2:
        del location[1]  # pydantic puts the runner's kind there
    texts = {"extra_forbidden": "unknown key", "missing": "missing key"}
    message = texts.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        location.append("kind")
        kinds = problem.get("ctx", {}).get("expected_tags", "")
        message = f"must be one of {kinds}" if kinds else "missing key"
    if problem["type"] == "literal_error":
        message = f"'{problem['input']}': {message[0].lower()}{message[1:]}"
    return ": ".join(part for part in (".".join(location), message) if part)

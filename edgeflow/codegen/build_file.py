"""What files that describe a folder may hold: right types, and no way out of the folder."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edgeflow.codegen.choice import Choice
from edgeflow.codegen.mlperf import Mlperf
from edgeflow.digest import ChangedError, read_json
from edgeflow.errors import TargetError
from edgeflow.targets.board import BAUD, Placement


def _name(text: str) -> str:
    if "/" in text or "\\" in text or text.endswith(".toml"):
        raise ValueError(f"'{text}' is a path, not a name: a board's file is given by --board")
    return text


def _inside(text: str) -> str:
    if Path(text).is_absolute() or ".." in Path(text).parts or "\\" in text:
        raise ValueError(f"'{text}' is outside of the folder")
    return text


def _identifier(text: str) -> str:
    if not (text.isascii() and text.isidentifier()):
        raise ValueError(f"'{text}' is no name of a library")
    return text


def _hash(value: object) -> object:
    if not (isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{16}", value, re.ASCII)):
        raise ValueError("not 16 hex digits")
    return value


_Kind = TypeVar("_Kind", bound=BaseModel)
_Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
_File = Annotated[str, AfterValidator(_inside)]
_BoardFile = Annotated[str, Field(pattern=r"^board/[^/\\]+\.toml$", max_length=200)]


class _Content(BaseModel):
    """Fields of `edgeflow.codegen.build.Build`, of the same names."""

    model_config = ConfigDict(strict=True, extra="ignore")

    board: _Name
    core: _Name
    model_hash: Annotated[str, BeforeValidator(_hash)]
    layers: tuple[str, ...]
    kernels: tuple[_File, ...]
    optimize: str
    choices: tuple[Choice, ...]
    placement: Placement
    tvm_layers: tuple[str, ...]
    name: Annotated[str, AfterValidator(_identifier)] | None = None
    build_id: Annotated[str, BeforeValidator(_hash)] | None = None
    any_part: bool = False
    notes: tuple[str, ...] = ()
    mlperf: Mlperf | None = None
    baud: Annotated[int, Field(ge=BAUD[0], le=BAUD[1])] | None = None
    board_file: _BoardFile | None = None
    counts: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] | None = None


class _Package(BaseModel):
    """Fields of `edgeflow.codegen.package.Package`, of the same names."""

    model_config = ConfigDict(strict=True, extra="ignore")

    to: _Name
    name: Annotated[str, AfterValidator(_identifier)]
    core: _Name
    model_hash: Annotated[str, BeforeValidator(_hash)]
    build_id: Annotated[str, BeforeValidator(_hash)]
    weight_bytes: Annotated[int, Field(ge=0, le=2**53)]
    state_bytes: Annotated[int, Field(ge=0, le=2**53)]


def read_package_file(file: Path) -> dict[str, Any]:
    """Return the fields of an export by name.

    Raises
    ------
    TargetError
        If it cannot be read, has no firmware, or a value is of another type.
    """
    try:
        found = _read(file, _Package, "export the model again")
    except FileNotFoundError:
        raise TargetError(f"{file}: missing: export the model again") from None
    return {key: getattr(found, key) for key in _Package.model_fields}


def read_build_file(file: Path) -> dict[str, Any]:
    """Return the fields of a build by name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TargetError
        If it cannot be read, or a value is of another type or leads out of the folder.
    """
    found = _read(file, _Content, "compile the model again")
    return {key: getattr(found, key) for key in _Content.model_fields}


def _read(file: Path, kind: type[_Kind], again: str) -> _Kind:
    """Return the content of a file; `again` is what to do if it is damaged."""
    try:
        content = read_json(file)
        if kind is _Package and isinstance(content, dict) and "build_id" not in content:
            raise TargetError(
                f"{file.parent}: an export of several programs, for a watch, or by an older "
                "EdgeFlow has no firmware to profile: export one program alone"
            )
        return kind.model_validate_json(json.dumps(content))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TargetError(f"{file}: damaged ({error.strerror or error}): {again}") from error
    except ChangedError as error:
        raise TargetError(f"{file}: {error}: {again}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        raise TargetError(
            f"{file}: damaged ({where + ': ' if where else ''}{message}): {again}"
        ) from None
    except ValueError as error:
        raise TargetError(f"{file}: damaged ({error}): {again}") from None

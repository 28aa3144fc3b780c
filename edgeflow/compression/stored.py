"""What values of records and candidates must be, for files that somebody else may have written."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edgeflow.errors import EdgeFlowError
from edgeflow.tasks import task_of

#: What is counted, and a number of any kind: finite, and no larger than figures can draw.
Count = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[float, Field(ge=-1e18, le=1e18, allow_inf_nan=False)]


class Part(BaseModel):
    """Values of a file by field; others may be there."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Statistics(Part):
    mean: Number
    p50: Number | None = None
    p99: Number | None = None
    max: Number | None = None


class Cost(Part):
    """As of `edgeflow.profiling.result.ProfileResult.cost`."""

    board: str
    core: str | None = None
    optimize: str | None
    instructions: _Statistics | None
    energy_uj: _Statistics | None
    flash_bytes: Count
    ram_bytes: Count
    weight_bytes: Count


class _Sides(Part):
    float: Number
    int: Number


class _Scores(Part):
    split: str
    people: dict[str, _Sides]


class _Size(Part):
    weight_bytes: Count


class _Command(Part):
    recipe: str | None = None


class Record(Part):
    """As of `edgeflow.compression.record.write_record`, what others read of it."""

    hash: str
    data: str
    scores: _Scores
    size: _Size
    command: _Command
    cost: Cost | None = None
    rate_hz: Number | None = None
    window: Count | None = None


class Known(Part):
    """The content of ``candidate.json``."""

    arguments: dict[str, Any]
    expected: dict[str, Cost]
    scores: dict[str, Number | None] | None
    costs: dict[str, Cost]


def check(kind: type[BaseModel], content: Any) -> None:
    """Check the values of a file.

    Raises
    ------
    ValueError
        Naming the first of another type.
    """
    try:
        TypeAdapter(kind).validate_python(content, strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{where}: {problem['msg'][:1].lower()}{problem['msg'][1:]}") from None


def check_record(content: Mapping[str, Any]) -> None:
    """Check the values of a record, and that it has the scores of its task.

    Raises
    ------
    ValueError
        As `check`.
    """
    check(Record, content)
    scores = content["scores"]
    try:
        pair = task_of(("",), scores.get("task")).pair
    except EdgeFlowError as error:
        raise ValueError(f"scores.task: {error}") from None
    for key, optional in zip(pair, (True, False), strict=True):
        kind: Any = Number | None if optional else Number
        try:
            TypeAdapter(kind).validate_python(scores[key], strict=True)
        except (ValidationError, KeyError):
            raise ValueError(f"scores.{key}: must be a number") from None

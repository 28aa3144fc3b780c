"""Models of cycles and energy, from data files with their sources (``calibration/``)."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeflow.errors import TargetError
from edgeflow.profile.classes import Op, describe
from edgeflow.profile.trace import Counts, DataCache
from edgeflow.resources import resource

_NAMES = frozenset(op.name.lower() for op in Op)
Cost = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Sources = Annotated[list[str], Field(min_length=1)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


DataT = TypeVar("DataT", bound=_Data)


class PerRegister(_Data):
    """Cost of an instruction that moves several registers: ``base + per_register * n``."""

    base: Cost
    per_register: Cost


class CycleModel(_Data):
    """What the instruction classes of a core cost in cycles.

    Attributes
    ----------
    core, name
        The core's name in ``targets/cores``, and the model's, which labels results.
    sources, limits
        Where the costs are from, and what they leave out.
    taken_branch
        Cycles added where a branch is taken.
    cycles
        Cycles of each class (see :class:`edgeflow.profile.classes.Op`); a class that is not
        named makes the estimate impossible where it occurs.
    """

    core: str
    name: str
    sources: Sources
    limits: str = ""
    taken_branch: Cost
    cycles: dict[str, Cost | PerRegister]

    @model_validator(mode="after")
    def _known(self) -> "CycleModel":
        for name in self.cycles:
            if name not in _NAMES:
                near = difflib.get_close_matches(name, _NAMES, n=1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                raise ValueError(f"cycles.{name}: no such instruction class{hint}")
        return self

    def cost(self, number: int) -> float | None:
        """Cycles of one instruction of a class; None where the model has no figure."""
        name, registers = describe(number)
        cost = self.cycles.get(name)
        if isinstance(cost, PerRegister):
            return cost.base + cost.per_register * registers
        return cost


class Energy(_Data):
    """Energy of a cycle while computing."""

    pj_per_cycle: Annotated[float, Field(gt=0, le=1e6)]
    error_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    sources: Sources


class Flash(_Data):
    """Flash with wait states behind a data cache."""

    wait_states: Annotated[int, Field(ge=0, le=50)]
    data_line_bytes: Annotated[int, Field(ge=4, le=256)]
    data_lines: Annotated[int, Field(ge=1, le=64)]
    sources: Sources


class Part(_Data):
    """A real board that estimates refer to."""

    name: str
    description: str
    core: str
    clock_hz: Annotated[int, Field(gt=0)]
    supply_v: Annotated[float, Field(gt=0, le=60)]
    energy: Energy | None = None
    flash: Flash | None = None

    @property
    def data_cache(self) -> DataCache | None:
        """What the counter needs to know of the flash; None where it has no wait states."""
        if self.flash is None or self.flash.wait_states == 0:
            return None
        return DataCache(self.flash.data_line_bytes, self.flash.data_lines)


def load_cycle_model(core: str) -> CycleModel | None:
    """Return the cycle model of a core, None if there is none.

    Raises
    ------
    TargetError
        If its file is wrong.
    """
    path = resource("calibration") / "cycles" / f"{core}.toml"
    if not path.is_file():
        return None
    model = read_model(path)
    if model.core != core:
        raise TargetError(f"{path}: core: '{model.core}' in a file named after '{core}'")
    return model


def read_model(path: Path) -> CycleModel:
    """Read a cycle model from a file; see :func:`load_cycle_model`."""
    return _read(CycleModel, path)


def load_part(name: str) -> Part:
    """Return the calibration of a real board.

    Raises
    ------
    TargetError
        If there is no such part or its file is wrong.
    """
    folder = resource("calibration") / "parts"
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.toml"))) or "none"
        raise TargetError(f"there is no calibration of a part '{name}' (there are: {known})")
    return read_part(path)


def read_part(path: Path) -> Part:
    """Read the calibration of a part from a file; see :func:`load_part`."""
    return _read(Part, path)


def _read(kind: type[DataT], path: Path) -> DataT:
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{path}: not a TOML file ({error})") from None
    except OSError as error:
        raise TargetError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(key) for key in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise TargetError(f"{path}: {where + ': ' if where else ''}{message}") from None


def estimate_cycles(counts: Counts, model: CycleModel, part: Part | None) -> np.ndarray | None:
    """Estimate the cycles of each layer of each step.

    Parameters
    ----------
    counts
        Instructions by class.
    model
        Costs of the classes.
    part
        Adds its flash's wait states; None: memories without wait states.

    Returns
    -------
    float64 array [steps, layers] or None
        None if a class occurs that the model has no cost for.
    """
    costs = [model.cost(int(number)) for number in counts.numbers]
    if any(cost is None for cost in costs):
        return None
    cycles = counts.executed @ np.array(costs, dtype=np.float64)
    cycles += model.taken_branch * counts.taken
    if part is not None and part.flash is not None:
        cycles += part.flash.wait_states * counts.fetched
    return cycles

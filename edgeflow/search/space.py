"""Space of a search: the values that options of training and steps of compression may have.

A file has the tables of a recipe, and ``[model]`` with the options of a training; a value may be a
list (one of them) or a range, and either may hold for some values of another one only::

    [model]
    cell = ["gru", "lmu"]
    hidden = { low = 8, high = 96, log = true }

    [model.cell_options]
    order = { low = 4, high = 16, when = { "model.cell" = "lmu" } }

"none" leaves an option out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.calibration import read_toml
from edgeflow.errors import CompressError
from edgeflow.recipes.recipe import Recipe
from edgeflow.resources import resource
from edgeflow.search.rungs import Rung
from edgeflow.training.options import TrainOptions

if TYPE_CHECKING:
    from optuna import Trial

#: Leaves an option out: TOML has no null.
NONE = "none"
#: Keys of a table that is a range or a choice, in the place of a value.
_RANGE, _CHOICE = {"low", "high", "log", "step", "when"}, {"choices", "when"}
#: Options of training that rungs and the search decide.
_TAKEN = ("epochs", "seed", "threads", "cell_options", "mode", "loss")


@dataclass(frozen=True)
class Parameter:
    """A value that is searched for.

    Parameters
    ----------
    name : str
        Table and field: "model.hidden".
    choices : tuple
        One of these; empty of a range.
    low, high : int or float, optional
        Ends of a range, both in it; whole numbers if both are.
    log : bool
        Evenly by the logarithm.
    step : int or float, optional
    when : mapping
        By the name of another parameter, its values with which this one is there.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: Any = None
    high: Any = None
    log: bool = False
    step: Any = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def holds(self, value: Any) -> bool:
        """Tell whether a value is one of the parameter's."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def is_there(self, point: Mapping[str, Any]) -> bool:
        """Tell whether the parameter is there, by the values of those before."""
        return all(point.get(name) in values for name, values in self.when.items())

    def suggest(self, trial: "Trial") -> Any:
        """Return a trial's value."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            step = self.step or 1
            return trial.suggest_int(self.name, self.low, self.high, step=step, log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Space:
    """Parameters, what is fixed, the rungs that candidates climb, and where a search starts.

    Parameters
    ----------
    parameters : tuple of Parameter
    fixed : mapping
        Values by name, table and field.
    rungs : tuple of Rung
    start : tuple of mapping
        Points that are tried first.
    content : mapping
        The file, as JSON values.
    """

    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Any]
    rungs: tuple[Rung, ...]
    start: tuple[Mapping[str, Any], ...]
    content: Mapping[str, Any]

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """Return a trial's point: the values of the parameters that are there, by name."""
        point: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_there(point):
                point[parameter.name] = parameter.suggest(trial)
        return point

    def tables(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tables of a point: ``model``, and those of its recipe."""
        found: dict[str, Any] = {"model": {}}
        for name, value in {**self.fixed, **point}.items():
            if value == NONE and name != "model.cell":
                continue
            *path, key = name.split(".")
            table = found
            for part in path:
                table = table.setdefault(part, {})
            table[key] = value
        return found


def read_space(path: str | Path | None, kind: str = "classes") -> Space:
    """Return the space of a file.

    Parameters
    ----------
    path : str or path, optional
        A .toml file; None: what comes with EdgeFlow for a kind of task.
    kind : str
        "classes" or "values": the file in ``calibration/spaces``.

    Raises
    ------
    CompressError
        If it cannot be read, or something in it is wrong; it names what.
    """
    path = resource("calibration") / "spaces" / f"{kind}.toml" if path is None else Path(path)
    return make_space(read_toml(path, CompressError), str(path))


def make_space(content: Mapping[str, Any], where: str = "space") -> Space:
    """Return the space of a file's content; parameters and errors are those of `read_space`."""
    tables = {k: v for k, v in content.items() if k not in ("about", "rungs", "start")}
    known, fixed = _known(), {}
    parameters: list[Parameter] = []
    for name, value in _leaves(tables, where):
        if name not in known and not name.startswith("model.cell_options."):
            table = name.partition(".")[0]
            near = ", ".join(sorted(k for k in known if k.startswith(f"{table}.")))
            raise CompressError(f"{where}: there is no {name}" + (f": use {near}" if near else ""))
        if isinstance(value, list | dict):
            parameters.append(_parameter(name, value, parameters, where))
        else:
            fixed[name] = value
    if not parameters:
        raise CompressError(f"{where}: nothing is searched for: give a list or a range")
    start = tuple(_start(one, parameters, where) for one in content.get("start", []))
    rungs = _rungs(content.get("rungs"), where)
    return Space(tuple(parameters), fixed, rungs, start, dict(content))


def _known() -> set[str]:
    """Return the names of all options that a space may have."""
    found = {"model.cell"}
    found |= {f"model.{f.name}" for f in fields(TrainOptions) if f.name not in _TAKEN}
    for table, info in Recipe.model_fields.items():
        kind = info.annotation
        if table in ("about", "decide", "imc") or kind is None:
            continue
        inside = [f.name for f in fields(kind)] if is_dataclass(kind) else [*kind.model_fields]
        found |= {f"{table}.{name}" for name in inside}
    return found - {"train.epochs", "train.seed"}


def _leaves(table: Mapping[str, Any], where: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        keys = set(value) if isinstance(value, Mapping) else set()
        if not isinstance(value, Mapping) or (
            {"low", "high"} <= keys <= _RANGE or {"choices"} <= keys <= _CHOICE
        ):
            if not prefix:
                raise CompressError(f"{where}: {name} is no table: give [{name}]")
            yield name, value
        else:
            yield from _leaves(value, where, f"{name}.")


def _parameter(name: str, value: Any, before: Sequence[Parameter], where: str) -> Parameter:
    given: dict[str, Any] = {"choices": value} if isinstance(value, list) else dict(value)
    when = {
        other: tuple(values) if isinstance(values, list) else (values,)
        for other, values in given.pop("when", {}).items()
    }
    names = [parameter.name for parameter in before]
    for other in when:
        if other not in names:
            raise CompressError(f"{where}: {name} depends on {other}, which is none above it")
    choices = tuple(given.pop("choices", ()))
    if not all(isinstance(choice, str | int | float) for choice in choices):
        raise CompressError(f"{where}: {name}: choices are texts, numbers, true or false")
    if choices and len(set(choices)) < len(choices):
        raise CompressError(f"{where}: {name}: a choice is there twice")
    found = Parameter(name, choices, **given, when=when)
    if choices:
        return found
    good = all(type(end) in (int, float) for end in (found.low, found.high))
    if not good or not found.low < found.high or (found.log and found.low <= 0):
        raise CompressError(f"{where}: {name}: give low < high, above 0 with log")
    if found.log and found.step is not None:
        raise CompressError(f"{where}: {name}: use either log or step")
    return found


def _start(point: Any, parameters: Sequence[Parameter], where: str) -> Mapping[str, Any]:
    if not isinstance(point, Mapping):
        raise CompressError(f"{where}: start: give tables, [[start]]")
    known = {parameter.name: parameter for parameter in parameters}
    for name, value in point.items():
        if name not in known:
            raise CompressError(f"{where}: start: {name} is nothing that is searched for")
        if not known[name].holds(value):
            raise CompressError(f"{where}: start: {name} = {value!r} is not in the space")
    return dict(point)


def _rungs(content: Any, where: str) -> tuple[Rung, ...]:
    try:
        rungs = tuple(Rung(**rung) for rung in content)
    except TypeError:
        raise CompressError(
            f"{where}: rungs: give [[rungs]] with epochs, tuning, seeds, subjects"
        ) from None
    for rung in rungs:
        rung.check(where)
    if not rungs:
        raise CompressError(f"{where}: rungs: give at least one")
    return rungs

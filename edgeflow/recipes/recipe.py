"""Recipes: all that a compression is told, as a TOML file or as options of the command line.

The tables of a file are the steps, in the order in which they are taken. What both a file and an
option say, the option decides.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from edgeflow.codegen.choice import GOALS
from edgeflow.compression.delta import DeltaOptions
from edgeflow.compression.finetune import FineTuneOptions
from edgeflow.compression.prune.options import PruneOptions, Ranks, parse_by_matrix
from edgeflow.errors import CompressError
from edgeflow.resources import resource
from edgeflow.training.spikes import REGULARIZERS

#: Bits by the names of widths.
WEIGHTS = {"int8": 8, "int4": 4, "mixed": 8}
ACTIVATIONS = {"int16": 12, "int8": 8}
#: As a block: that of the board which is compressed for.
THE_BOARD = "board"


def _name_in(known: Iterable[str]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value not in known:
            raise ValueError(f"there are {', '.join(known)}")
        return value

    return BeforeValidator(check)


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError("use 0 or more")
    return value


def _by_matrix(make: Callable[..., Any], example: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        try:
            make(*parse_by_matrix(str(value), example))
        except CompressError as error:
            raise ValueError(str(error)) from None
        return str(value)

    return BeforeValidator(check)


def _share(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError("a share is in [0, 1)")
    return value


def _points(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError("give 0 or more points")
    return value


Share = Annotated[float, AfterValidator(_share)]
Points = Annotated[float, AfterValidator(_points)]


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prune(_Step):
    """Weights that become zero, units that are cut off, matrices of low rank.

    Attributes
    ----------
    share : str, optional
        ``"0.75"``, or by matrix: ``"input=0.5,recurrent=0.8"``.
    block : str
        Rows x columns, or a board whose kernels' blocks are taken, or "board": the one that the
        program is for.
    structured : float, optional
        Share of the units.
    low_rank : str, optional
        ``"12"`` of the matrices that read a state, or by matrix: ``"recurrent=12"``; below 1, a
        share of what it could be.
    """

    share: Annotated[str, _by_matrix(PruneOptions, "0.75")] | None = None
    block: str = "1x1"
    structured: Share | None = None
    low_rank: Annotated[str, _by_matrix(Ranks, "12")] | None = None


class Delta(_Step):
    """Shares of columns that do not fire: `edgeflow.compression.delta.DeltaOptions`."""

    state: Share = 0.0
    input: Share = 0.0
    group: int = 1
    pressure: float = 0.0
    input_group: int = 1

    def options(self) -> DeltaOptions | None:
        """Return what the fine-tuning takes; None where no column is to stay silent.

        Raises
        ------
        CompressError
            If a value is out of range.
        """
        found = DeltaOptions(**self.model_dump())
        return found if self.state or self.input else None


class Train(_Step):
    """Fine-tuning with the outputs of the integers, of all that comes before and after.

    Attributes
    ----------
    epochs : int
        0: none.
    lr, batch, seed
        None: the defaults of `edgeflow.compression.finetune.FineTuneOptions`.
    tail : float, optional
        Share of a window whose outputs are trained; None: as the model was trained.
    teachers : tuple of str
        Trained models for a distillation.
    spike_rate : float, optional
        Spikes a neuron and step to keep to (`edgeflow.training.spikes.SpikeRate`).
    spike_regularizer : str
        l1 or hoyer.
    """

    epochs: Annotated[int, AfterValidator(_not_negative)] = 0
    lr: float | None = None
    batch: int | None = None
    seed: int = 0
    tail: float | None = None
    teachers: tuple[str, ...] = ()
    spike_rate: Share | None = None
    spike_regularizer: Annotated[str, _name_in(REGULARIZERS)] = "l1"

    def options(self, tail: float | None) -> FineTuneOptions | None:
        """Return what the fine-tuning takes; `tail` is the model's own, if it is known."""
        if self.epochs == 0:
            return None
        wanted = {"lr": self.lr, "batch": self.batch, "tail": self.tail or tail}
        set_: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        options = FineTuneOptions(epochs=self.epochs, seed=self.seed, **set_)
        options.check()
        return options


class WidthsStep(_Step):
    """Bits of weights and activations.

    Attributes
    ----------
    weights : str
        int8, int4 or mixed.
    activations : str
        int16 (12 bits) or int8.
    max_drop : float, optional
        Points that the int4 weights of ``mixed`` may cost before the fine-tuning.
    """

    weights: Annotated[str, _name_in(WEIGHTS)] = "int8"
    activations: Annotated[str, _name_in(ACTIVATIONS)] = "int16"
    max_drop: Points | None = None


class Cutoff(_Step):
    """Anytime decisions: points of accuracy that stopping early may cost; None: no cut-off."""

    max_drop: Points | None = None


class Compile(_Step):
    """What the image is compiled for: speed, balanced or size (`edgeflow.codegen.choice.GOALS`)."""

    optimize: Annotated[str, _name_in(GOALS)] = "balanced"


class Recipe(_Step):
    """A compression: its steps, in their order.

    Widths are part of the fine-tuning already, and mixed ones are chosen before it; the cut-off is
    calibrated on what comes out. The last step leaves the program as it is.

    Attributes
    ----------
    about : str
        What it is for.

    Raises
    ------
    CompressError
        If a value is wrong, or two do not go together.

    Examples
    --------
    >>> Recipe.load("small").trains
    True
    >>> Recipe.model_validate({"widths": {"weights": "int4"}}).widths.weights
    'int4'
    """

    about: str = ""
    prune: Prune = Prune()
    delta: Delta = Delta()
    train: Train = Train()
    widths: WidthsStep = WidthsStep()
    cutoff: Cutoff = Cutoff()
    compile: Compile = Compile()

    @model_validator(mode="wrap")
    @classmethod
    def _checked(
        cls, content: Any, make: ModelWrapValidatorHandler["Recipe"], info: ValidationInfo
    ) -> "Recipe":
        """Raise this package's error; the context says where the content is from."""
        told = {"given": {}, "where": "recipe", **(info.context or {})}
        try:
            recipe = make(content)
        except ValidationError as error:
            raise CompressError(_message(error, told["given"], told["where"])) from None
        _check(recipe)
        return recipe

    @property
    def trains(self) -> bool:
        """Whether there is a fine-tuning."""
        return self.train.epochs > 0

    @classmethod
    def load(cls, name: str | Path) -> "Recipe":
        """Return a recipe that comes with EdgeFlow, such as ``small``, or of a .toml file.

        Raises
        ------
        CompressError
            If there is none of this name, or a value in it is wrong.
        """
        return make_recipe(read_recipe(name), where=str(name))

    def settings(self) -> dict[str, Any]:
        """Return the steps as JSON values, without what the result does not depend on."""
        return self.model_dump(mode="json", exclude={"about"})


#: Options of the command line, and the steps and fields that they are.
OPTIONS = {
    "prune": ("prune", "share"),
    "block": ("prune", "block"),
    "structured": ("prune", "structured"),
    "low-rank": ("prune", "low_rank"),
    "delta": ("delta", None),
    "epochs": ("train", "epochs"),
    "lr": ("train", "lr"),
    "batch": ("train", "batch"),
    "seed": ("train", "seed"),
    "tail": ("train", "tail"),
    "teacher": ("train", "teachers"),
    "spike-rate": ("train", "spike_rate"),
    "spike-regularizer": ("train", "spike_regularizer"),
    "weights": ("widths", "weights"),
    "activations": ("widths", "activations"),
    "cutoff": ("cutoff", "max_drop"),
    "optimize": ("compile", "optimize"),
}


def as_options(recipe: Recipe) -> dict[str, Any]:
    """Return the values of a recipe by the names of the options."""
    content = recipe.settings()
    return {
        option: content[step] if field is None else content[step][field]
        for option, (step, field) in OPTIONS.items()
    }


def read_recipe(name: str | Path) -> dict[str, Any]:
    """Return the content of a recipe, not yet checked.

    Parameters
    ----------
    name : str or path
        Of a file, or of a recipe in ``calibration/recipes``, such as ``small``.

    Raises
    ------
    CompressError
        If there is no such recipe, or it is no TOML file.
    """
    path = recipe_path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CompressError(f"{path}: not a TOML file ({error})") from None
    except OSError as error:
        raise CompressError(f"{path}: cannot be read ({error.strerror})") from None


def recipe_path(name: str | Path) -> Path:
    """Return the file of a recipe that is given by name or path.

    Raises
    ------
    CompressError
        If there is none.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return path
    shipped = resource("calibration") / "recipes" / f"{name}.toml"
    if not shipped.is_file():
        raise CompressError(
            f"there is no recipe '{name}': use a .toml file or one of {', '.join(recipe_names())}"
        )
    return shipped


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with EdgeFlow."""
    return sorted(path.stem for path in (resource("calibration") / "recipes").glob("*.toml"))


def make_recipe(
    content: Mapping[str, Any], options: Mapping[str, Any] | None = None, *, where: str = "recipe"
) -> Recipe:
    """Return a recipe from the content of a file and from options.

    Parameters
    ----------
    content : mapping
        As of `read_recipe`; is not changed.
    options : mapping, optional
        Values by option (`OPTIONS`); None: not given.
    where : str
        The file, for messages.

    Raises
    ------
    CompressError
        If a value is wrong, or two do not go together; it names the option, or file and field.
    """
    merged: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in content.items()
    }
    given: dict[tuple[str, ...], str] = {}
    for option, value in (options or {}).items():
        step, field = OPTIONS[option]
        if value is None or value == []:
            continue
        values = value if field is None else {field: value}
        if isinstance(merged.setdefault(step, {}), dict):
            merged[step] |= values
        given |= {(step, key): f"--{option}" for key in values}
    return Recipe.model_validate(merged, context={"given": given, "where": where})


def as_recipe(given: Recipe | Mapping[str, Any] | str | Path | None) -> tuple[Recipe, str | None]:
    """Return a recipe and, if it was given by that, its name.

    Parameters
    ----------
    given : Recipe, mapping, str, path or None
        A mapping has the tables of a file; None does nothing but int8 weights.

    Raises
    ------
    CompressError
        If there is none of this name, or a value in it is wrong.
    """
    if isinstance(given, str | Path):
        return Recipe.load(given), str(given)
    if isinstance(given, Recipe):
        return given, None
    if given is None or isinstance(given, Mapping):
        return make_recipe(given or {}), None
    raise CompressError(
        f"a recipe is a name, a .toml file, its tables or a Recipe, not {type(given).__name__}"
    )


def parse_delta(text: str) -> dict[str, str]:
    """Return the fields of a text like ``state=0.8,input=0.5,group=2``.

    Raises
    ------
    CompressError
        If a part is not NAME=NUMBER.
    """
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise CompressError(f"--delta {text}: use NAME=NUMBER, like state=0.8,input=0.5")
        found[name.strip()] = value.strip()
    return found


def _check(recipe: Recipe) -> None:
    """Refuse steps that do not go together."""
    prune, train = recipe.prune, recipe.train
    if recipe.delta != Delta() and recipe.delta.options() is None:
        raise CompressError("delta: say of which columns, like state=0.8,input=0.5")
    if prune.share is None and prune.block != "1x1":
        raise CompressError(f"--block {prune.block}: it needs --prune")
    if prune.share is not None and prune.low_rank is not None:
        raise CompressError("use either --prune or --low-rank: zeros do not survive the other")
    if not recipe.trains and (prune.share or prune.structured or prune.low_rank):
        raise CompressError("pruning needs fine-tuning: use --epochs, like --epochs 10")
    if not recipe.trains and train.teachers:
        raise CompressError("a teacher needs fine-tuning: use --epochs")
    if train.spike_rate is None and train.spike_regularizer != "l1":
        raise CompressError(f"--spike-regularizer {train.spike_regularizer}: it needs --spike-rate")
    if not recipe.trains and train.spike_rate is not None:
        raise CompressError("a spike rate needs fine-tuning: use --epochs, like --epochs 5")


def _message(error: ValidationError, given: Mapping[tuple[str, ...], str], where: str) -> str:
    problem = error.errors()[0]
    place = tuple(str(key) for key in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known: Any = Recipe
        for key in place[:-1]:
            known = known.model_fields[key].annotation
        text = f"there is no such entry; there are {', '.join(known.model_fields)}"
    option = given.get(place[:2])
    if option == "--delta":
        return f"{option} {place[-1]}={problem['input']}: {text}"
    if option:
        return f"{option} {problem['input']}: {text}"
    return f"{where}: {'.'.join(place)}: {text}"

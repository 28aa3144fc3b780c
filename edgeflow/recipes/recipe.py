"""Recipes: all steps of a compression, as a TOML file or as options of the command line.

The tables of a file are the steps, in the order in which they are taken. An option overrides what
the file says. Each field states its option; `Recipe` is the schema of the command line's options
and of the tables in the documentation.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from edgeflow.calibration import read_toml
from edgeflow.compression.options import DeltaOptions, ImcOptions
from edgeflow.errors import CompressError, TrainError
from edgeflow.recipes.steps import (
    Adapt,
    Compile,
    Cutoff,
    Decide,
    Prune,
    Step,
    Train,
    WidthsStep,
    Windows,
    parse_delta,
    parse_imc,
)
from edgeflow.resources import resource
from edgeflow.schema import DELTA, FINE_TUNING, Option, settings_of


class Recipe(Step):
    """A compression: its steps, in their order.

    Widths are part of the fine-tuning already, and mixed ones are chosen before it; early exit is
    calibrated on the result. The last step leaves the program as it is.

    Attributes
    ----------
    about : str
        Its purpose.
    delta : DeltaOptions
        Delta updates, like state=0.8,input=0.5: shares of the columns of states and inputs that
        products leave out, as they hardly moved; also group=2 (columns of a state that are updated
        together), input_group=1, pressure=0.1 (on moves, in training).
    imc : ImcOptions
        Fine-tune for analog chips of a device, like pcm: with weights as they have them, and the
        epoch kept is the best on several; also, like pcm,time=1d,dac=8,adc=8: when, converters,
        input_noise=0.0175, output_noise=0.04, and noise=1, clip=2.5, chips=10.

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

    panel: ClassVar = DELTA
    about: str = ""
    prune: Prune = Field(default_factory=Prune)
    delta: Annotated[DeltaOptions, Option("--delta", parse_delta)] = Field(
        default_factory=DeltaOptions
    )
    imc: Annotated[ImcOptions, Option("--imc", parse_imc, panel=FINE_TUNING)] = Field(
        default_factory=ImcOptions
    )
    train: Train = Field(default_factory=Train)
    widths: WidthsStep = Field(default_factory=WidthsStep)
    windows: Windows = Field(default_factory=Windows)
    cutoff: Cutoff = Field(default_factory=Cutoff)
    decide: Decide = Field(default_factory=Decide)
    adapt: Adapt = Field(default_factory=Adapt)
    compile: Compile = Field(default_factory=Compile)

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
        """True with a fine-tuning."""
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

    def allowing(self, drop: float | None) -> "Recipe":
        """Return the recipe with the points of accuracy that its mixed weights may cost.

        Parameters
        ----------
        drop : float or None
            None: as the recipe says.
        """
        if drop is None or self.widths.weights != "mixed":
            return self
        widths = self.widths.model_copy(update={"max_drop": drop})
        return self.model_copy(update={"widths": widths})

    def settings(self) -> dict[str, Any]:
        """Return the steps as JSON values, without what the result does not depend on."""
        return self.model_dump(mode="json", exclude={"about"})


#: Fields by the option of the command line that sets them.
OPTIONS = settings_of(Recipe)


def as_options(recipe: Recipe) -> dict[str, Any]:
    """Return the values of a recipe by the names of the options."""
    content = recipe.settings()
    values = {}
    for option, setting in OPTIONS.items():
        values[option] = content
        for name in setting.path:
            values[option] = values[option][name]
    return values


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
    if not isinstance(name, str | Path):
        raise CompressError(f"a recipe is a name or a .toml file, not {type(name).__name__}")
    path = Path(name)
    if path.suffix != ".toml":
        folder = resource("calibration") / "recipes"
        path = folder / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.toml")))
            raise CompressError(f"there is no recipe '{name}': use a .toml file or one of {known}")
    return read_toml(path, CompressError)


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
        step, *field = OPTIONS[option].path
        if value is None or value == []:
            continue
        values = {field[0]: value} if field else value
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


def _check(recipe: Recipe) -> None:
    """Refuse steps that do not go together, and options out of range."""
    prune, train = recipe.prune, recipe.train
    try:
        train.check()
    except TrainError as error:
        raise CompressError(f"train: {error}") from None
    if recipe.delta != DeltaOptions() and not recipe.delta:
        raise CompressError("delta: say of which columns, like state=0.8,input=0.5")
    if prune.share is None and prune.block != "1x1":
        raise CompressError(f"--block {prune.block}: it needs --prune")
    if prune.share is not None and prune.low_rank is not None:
        raise CompressError("use either --prune or --low-rank: zeros do not survive the other")
    if not recipe.trains and (prune.share or prune.structured or prune.low_rank):
        raise CompressError("pruning needs fine-tuning: use --epochs, like --epochs 10")
    if recipe.imc != ImcOptions() and not recipe.imc:
        raise CompressError("imc: say which device the chips have, like device = 'pcm'")
    if not recipe.trains and recipe.imc:
        raise CompressError("training for analog chips: use --epochs, like --epochs 8")
    if not recipe.trains and train.teachers:
        raise CompressError("a teacher needs fine-tuning: use --epochs")
    if recipe.windows.hop is not None and recipe.cutoff.max_drop is not None:
        raise CompressError("use either --hop or --cutoff: an early exit holds until a window ends")
    if recipe.decide.detect is not None and recipe.cutoff.max_drop is not None:
        raise CompressError("use either --detect or --cutoff: a window that ends has one decision")
    decide = recipe.decide
    if decide.detect is not None and decide.anomaly is not None:
        raise CompressError("use either --detect or --anomaly: outputs are classes or forecasts")
    if decide.words is not None and decide.detect is None:
        raise CompressError(f"--words {decide.words}: it needs --detect, like --detect 1")
    if decide.folds and decide.detect is None:
        raise CompressError("--folds: they choose a detector: it needs --detect, like --detect 1")
    if decide.count and (decide.detect is not None or decide.anomaly is not None):
        raise CompressError("use either --count, --detect or --anomaly: one layer decides")
    if decide.count and recipe.cutoff.max_drop is not None:
        raise CompressError("use either --count or --cutoff: a counter reads every sample")
    if (decide.anomaly is None) != (decide.learn is None):
        raise CompressError(
            "--anomaly needs --learn, and the other way round: percent of false alarms, and the "
            "seconds at a recording's beginning that are normal, like --anomaly 10 --learn 60"
        )
    adapt = recipe.adapt
    if adapt.learner != "head" and adapt.store != Adapt().store:
        raise CompressError(f"--adapt-store {adapt.store}: it needs --adapt head")
    if not 1 <= adapt.store <= 32:
        raise CompressError(f"--adapt-store {adapt.store}: use 1 to 32 windows of a class")
    if adapt.learner is not None:
        others = {
            "--hop": recipe.windows.hop, "--cutoff": recipe.cutoff.max_drop,
            "--detect": decide.detect, "--anomaly": decide.anomaly,
        }  # fmt: skip
        for option, value in others.items():
            if value is not None:
                raise CompressError(f"use either --adapt or {option}: nothing follows what learns")
    if train.spike_rate is None and train.spike_regularizer != "l1":
        raise CompressError(f"--spike-regularizer {train.spike_regularizer}: it needs --spike-rate")
    if not recipe.trains and train.spike_rate is not None:
        raise CompressError("a spike rate needs fine-tuning: use --epochs, like --epochs 5")


def _message(error: ValidationError, given: Mapping[tuple[str, ...], str], where: str) -> str:
    problem = error.errors()[0]
    place = tuple(str(key) for key in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known: Any = Recipe
        for key in place[:-1]:
            known = known.model_fields[key].annotation
        names = [f.name for f in fields(known)] if is_dataclass(known) else known.model_fields
        text = f"there is no such entry; there are {', '.join(names)}"
    option = given.get(place[:2])
    if option in ("--delta", "--imc"):
        return f"{option} {place[-1]}={problem['input']}: {text}"
    if option:
        return f"{option} {problem['input']}: {text}"
    return f"{where}: {'.'.join(place)}: {text}"

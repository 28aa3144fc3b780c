"""Steps of a recipe, whose fields state their values, checks and options."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from edgeflow.errors import CompressError
from edgeflow.schema import (
    DECISIONS,
    EARLY_EXIT,
    FINE_TUNING,
    LEARNING,
    MEASUREMENT,
    PRUNING,
    QUANTIZATION,
    Option,
    Share,
)
from edgeflow.training.options import FitOptions

# what imports torch is imported when a value is checked: the command line reads this schema
if TYPE_CHECKING:
    from edgeflow.compression.finetune import FineTuneOptions

#: Bits by the names of widths.
WEIGHTS = {"int8": 8, "int4": 4, "mixed": 8}
ACTIVATIONS = {"int16": 12, "int8": 8}
#: As a block: that of the board which is compressed for.
THE_BOARD = "board"


def _name_in(names: Callable[[], Collection[str]]) -> BeforeValidator:
    def check(value: Any) -> Any:
        known = names()
        if value is not None and (not isinstance(value, str) or value not in known):
            raise ValueError(f"there are {', '.join(known)}")
        return value

    return BeforeValidator(check)


def _goals() -> Collection[str]:
    from edgeflow.codegen.choice import GOALS

    return GOALS


def _regularizers() -> Collection[str]:
    from edgeflow.training.spikes import REGULARIZERS

    return REGULARIZERS


def _learners() -> Collection[str]:
    from edgeflow.compression.adapt import LEARNERS
    from edgeflow.compression.nlms import NLMS

    return (*LEARNERS, NLMS)


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError("use 0 or more")
    return value


def _by_matrix(kind: str, example: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        from edgeflow.compression.prune import options

        try:
            getattr(options, kind)(*options.parse_by_matrix(str(value), example))
        except CompressError as error:
            raise ValueError(str(error)) from None
        return str(value)

    return BeforeValidator(check)


def _points(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError("give 0 or more points")
    return value


def parse_delta(text: str) -> dict[str, str]:
    """Return the fields of a text like ``state=0.8,input=0.5,group=2``.

    Raises
    ------
    CompressError
        If a part is not NAME=NUMBER.
    """
    return _parts("--delta", text, text.split(","), "state=0.8,input=0.5")


def parse_imc(text: str) -> dict[str, str]:
    """Return the fields of a text like ``pcm,adc=8,dac=8``: a device, then other fields.

    Raises
    ------
    CompressError
        If there is no device, or another part is not NAME=VALUE.
    """
    device, *others = text.split(",")
    if not device.strip() or "=" in device:
        raise CompressError(f"--imc {text}: begin with a device, like pcm,adc=8")
    return {"device": device.strip(), **_parts("--imc", text, others, "pcm,dac=8,adc=8")}


def _parts(option: str, text: str, parts: Iterable[str], example: str) -> dict[str, str]:
    found = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise CompressError(f"{option} {text}: use NAME=NUMBER, like {example}")
        found[name.strip()] = value.strip()
    return found


Points = Annotated[float, AfterValidator(_points)]
Shares = Annotated[str, _by_matrix("PruneOptions", "0.75")]
Ranks = Annotated[str, _by_matrix("Ranks", "12")]


class Step(BaseModel):
    """A table of a recipe."""

    # built on first use: the command line starts with the options only
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Prune(Step):
    """Weights that become zero, units that are removed, matrices of low rank.

    Attributes
    ----------
    share : str, optional
        Share of weights to make zero while fine-tuning: 0.75, or by matrix, like
        input=0.5,recurrent=0.8.
    block : str
        Rows x columns of weights that become zero together, like 4x2 (1x1); or a board, for the
        blocks that are cheapest on it.
    structured : float, optional
        Share of the units to remove before fine-tuning, like 0.5.
    low_rank : str, optional
        Rank that matrices of a state get while fine-tuning, to be two small ones: 12, or 0.2 of the
        smaller side; or by matrix, like recurrent=12.
    """

    panel: ClassVar = PRUNING
    share: Annotated[Shares | None, Option("--prune")] = None
    block: Annotated[str, Option("--block")] = "1x1"
    structured: Annotated[Share | None, Option("--structured")] = None
    low_rank: Annotated[Ranks | None, Option("--low-rank")] = None


class Train(Step):
    """Fine-tuning with the outputs of the integers, of all that comes before and after.

    Attributes
    ----------
    epochs : int
        Number of epochs of fine-tuning with the integer outputs; 0: none.
    lr : float, optional
        Peak learning rate of the fine-tuning.
    batch : int, optional
        Windows per step of the fine-tuning.
    seed : int
        Of the fine-tuning: same seed, same result (0).
    tail : float, optional
        Share of a window whose outputs are fine-tuned, from its end; as it was trained.
    teachers : tuple of str
        Fine-tune towards this trained model; several: towards their mean.
    spike_rate : float, optional
        Fine-tune towards this number of spikes per neuron and step: 0.1.
    spike_regularizer : str
        What pulls towards that rate: l1 (default), hoyer.
    """

    panel: ClassVar = FINE_TUNING
    epochs: Annotated[int, AfterValidator(_not_negative), Option("--epochs")] = 0
    lr: Annotated[float | None, Option("--lr")] = None
    batch: Annotated[int | None, Option("--batch")] = None
    seed: Annotated[int, Option("--seed")] = FitOptions.seed
    tail: Annotated[float | None, Option("--tail")] = None
    teachers: Annotated[tuple[str, ...], Option("--teacher")] = ()
    spike_rate: Annotated[Share | None, Option("--spike-rate")] = None
    spike_regularizer: Annotated[str, _name_in(_regularizers), Option("--spike-regularizer")] = "l1"

    def check(self) -> None:
        """Raise a TrainError that names the first option out of range."""
        given = {"lr": self.lr, "batch": self.batch, "tail": self.tail}
        set_: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        FitOptions(epochs=max(self.epochs, 1), seed=self.seed, **set_).check()

    def options(self, tail: float | None) -> "FineTuneOptions | None":
        """Return the options of the fine-tuning; `tail` is the model's own, if it is known."""
        from edgeflow.compression.finetune import FineTuneOptions

        if self.epochs == 0:
            return None
        wanted = {"lr": self.lr, "batch": self.batch, "tail": self.tail or tail}
        set_: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        options = FineTuneOptions(epochs=self.epochs, seed=self.seed, **set_)
        options.check()
        return options


class WidthsStep(Step):
    """Bits of weights and activations.

    Attributes
    ----------
    weights : str
        int8, int4, or mixed: int4 where validation subjects lose at most --max-drop points (0.5).
    activations : str
        int16 (12 bits in int16) or int8 inputs and states.
    max_drop : float, optional
        Points that the int4 weights of mixed may cost before the fine-tuning.
    """

    panel: ClassVar = QUANTIZATION
    weights: Annotated[str, _name_in(lambda: WEIGHTS), Option("--weights")] = "int8"
    activations: Annotated[str, _name_in(lambda: ACTIVATIONS), Option("--activations")] = "int16"
    max_drop: Points | None = None


class Cutoff(Step):
    """Early exit from a window.

    Attributes
    ----------
    max_drop : float, optional
        Stop reading a window once the decision is clear; percentage points of accuracy that this
        may cost on validation subjects, like 0.5.
    """

    panel: ClassVar = EARLY_EXIT
    max_drop: Annotated[Points | None, Option("--cutoff")] = None


class Decide(Step):
    """What follows the model.

    Attributes
    ----------
    detect : float, optional
        Detect events, with at most so many false alarms an hour on validation subjects, like 1.
    words : str, optional
        The events that --detect is for, like zero,seven; the model tells the others from them.
    folds : tuple of str
        Choose the detector on those whom this training left out (of the same data, with other
        --people), not on validation subjects; several: on all of them. Test subjects never choose.
    anomaly : float, optional
        Flag where forecasts are off; per cent of normal samples that may be flagged, on training
        and validation subjects, like 10.
    learn : float, optional
        Seconds at a recording's beginning that --anomaly takes as normal.
    count : bool
        Count repetitions, by the output, band and pause that are right on most recordings of
        validation subjects.
    """

    panel: ClassVar = DECISIONS
    detect: Annotated[Points | None, Option("--detect")] = None
    words: Annotated[str | None, Option("--words")] = None
    folds: Annotated[tuple[str, ...], Option("--folds")] = ()
    anomaly: Annotated[Points | None, Option("--anomaly")] = None
    learn: Annotated[Points | None, Option("--learn")] = None
    count: Annotated[bool, Option("--count")] = False


class Adapt(Step):
    """A layer that learns on the device.

    Attributes
    ----------
    learner : str, optional
        Learn on the device; how is chosen on validation subjects. From labels, in the place of the
        trained read-out: prototypes (moves rows with the means of labelled windows) or head
        (gradient descent on stored ones). Of forecasts, from what came: nlms.
    store : int
        Labelled windows of each class that head stores.
    """

    panel: ClassVar = LEARNING
    learner: Annotated[str | None, _name_in(_learners), Option("--adapt")] = None
    store: Annotated[int, Option("--adapt-store")] = 3


class Windows(Step):
    """When the program decides.

    Attributes
    ----------
    hop : int, optional
        Decide every so many samples, on windows that overlap, which two states read in turn; as it
        was trained.
    """

    panel: ClassVar = EARLY_EXIT
    hop: Annotated[int | None, Option("--hop")] = None


class Compile(Step):
    """Compilation of the program.

    Attributes
    ----------
    optimize : str
        Goal of the compilation for it: speed, cycles, balanced (default), size.
    """

    panel: ClassVar = MEASUREMENT
    optimize: Annotated[str, _name_in(_goals), Option("--optimize")] = "balanced"

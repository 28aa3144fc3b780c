"""The interface of a task: the loss that trains it, its decisions, their scores, what is shown."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import DataError, TrainError
from edgeflow.metrics import samples_to_enough
from edgeflow.tasks.output import OutputFormat, Scale, real_values

if TYPE_CHECKING:
    from torch import Tensor

#: Losses [n, time] of outputs [n, time, size] and targets [n] or [n, size], or of each step: [n,
#: time] or [n, time, size].
Loss = Callable[["Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Metric:
    """A figure of merit.

    Parameters
    ----------
    name : str
        Its key in JSON; files keep it, with "_float" and "_int" before and after compression.
    label : str
        Its name in tables and on axes.
    unit : str
        "%" of a share, which is stored as 0..1 and shown times 100; "" without a unit.
    digits : int
        Decimals of a value that is no share.
    """

    name: str
    label: str
    unit: str = ""
    higher_is_better: bool = True
    digits: int = 3

    @property
    def share(self) -> bool:
        """True of shares, 0..1."""
        return self.unit == "%"

    @property
    def title(self) -> str:
        """Its label as the first word of a line."""
        return self.label[:1].upper() + self.label[1:]

    @property
    def measure(self) -> str:
        """Unit of the values shown."""
        return "% of windows" if self.share else self.unit

    @property
    def axis(self) -> str:
        """Label of an axis."""
        return f"{self.label}, {self.measure}" if self.measure else self.label

    def text(self, value: float | None, percent_digits: int = 2) -> str:
        """Return a value for tables; "" for None."""
        if value is None:
            return ""
        if self.share:
            return f"{value:.{percent_digits}%}"
        return f"{value:.{self.digits}f} {self.unit}".rstrip()

    def named(self, value: float, percent_digits: int = 2) -> str:
        """Return a value that stands in a sentence: a share needs no name."""
        text = self.text(value, percent_digits)
        return text if self.share else f"{self.label} {text}"

    def better(self, value: float, other: float) -> bool:
        """Tell whether a value is better than another."""
        return value > other if self.higher_is_better else value < other

    def cost(self, value: float) -> float:
        """Return a key that sorts values from the best to the worst."""
        return -value if self.higher_is_better else value

    @property
    def extreme(self) -> str:
        """The worst end of several values: lowest or highest."""
        return "lowest" if self.higher_is_better else "highest"

    @property
    def got_worse(self) -> str:
        """The verb of a change for the worse."""
        return "fell" if self.higher_is_better else "rose"

    def worst(self, values: Mapping[str, float]) -> tuple[str, float] | None:
        """Return the name of the worst value, and the value; None if there is none."""
        return max(values.items(), key=lambda one: self.cost(one[1]), default=None)

    def worst_subject(self, values: Mapping[str, float]) -> "Extreme":
        """Return the subject with the worst of the values by subject."""
        label = f"{self.extreme} {self.label} of a subject"
        name = f"{self.extreme} subject"
        return Extreme(f"{self.extreme}_subject", name, label, self.worst(values), self)

    def drop(self, before: float, after: float) -> float:
        """Return how much worse `after` is: percentage points of a share, else percent of `before`.

        Negative for a gain.
        """
        if self.share:
            return 100 * (before - after) if self.higher_is_better else 100 * (after - before)
        worse = self.cost(after) - self.cost(before)
        if before == 0:
            return math.copysign(math.inf, worse) if worse else 0.0
        return 100 * worse / abs(before)


class Extreme(NamedTuple):
    """The worst of several values, with its name.

    Attributes
    ----------
    key, column, label : str
        In JSON, as the head of a column, and as the name of a row.
    found : tuple of (str, float) or None
        Its name and value; None: not known.
    metric : Metric
        Of the value.
    """

    key: str
    column: str
    label: str
    found: tuple[str, float] | None
    metric: Metric

    @property
    def text(self) -> str:
        """Value and name for tables; "" if they are not known."""
        return "" if self.found is None else f"{self.metric.text(self.found[1])} ({self.found[0]})"

    def to_json(self) -> dict[str, Any] | None:
        """Return name and value; None if they are not known."""
        return None if self.found is None else {"name": self.found[0], "value": self.found[1]}


class Table(NamedTuple):
    """A table of a report; `bars` [rows] are percents shown after the cells, None: unknown."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    bars: list[float | None] | None = None


class Heatmap(NamedTuple):
    """Counts [rows, columns] of a report, shaded by their share of the row."""

    title: str
    counts: NDArray[np.int64]
    labels: list[str]
    x: str
    y: str


class Scores(TypedDict):
    """Scores of decisions; JSON values.

    Attributes
    ----------
    overall : dict
        By name of a metric, and what else the task has to say.
    subjects : dict
        The same by subject, in the order in which they first occur; with "windows", their number.
    """

    overall: dict[str, Any]
    subjects: dict[str, dict[str, Any]]


def squared_error(outputs: "Tensor", target: "Tensor") -> "Tensor":
    """Return the mean squared error over the outputs [n, time]."""
    return (outputs - target.reshape(len(target), -1, outputs.shape[2])).square().mean(dim=2)


@dataclass(frozen=True)
class Task:
    """The purpose of a program's outputs.

    A task is a frozen dataclass in a module of ``edgeflow/tasks``; its fields are what differs
    between data sets (names, units), JSON values and tuples of them. It must have a `name`,
    `metrics`, `size` and `score`. Outputs are floats of a model or integers of a program: those
    times `scale`, or as an `OutputFormat` says, are real values. Arrays are numpy's but for losses
    and what is imitated.

    Attributes
    ----------
    name : str
        In files.
    more_metrics : tuple of Metric
        Those that only `scores` returns and only reports show.
    selection : Metric or None
        By which training keeps an epoch; None: the headline.
    losses : mapping
        By name; the first is the default. None at all: models are not trained for it.
    instead : str
        What models are trained for where there are no losses.
    invariant : tuple of str
        The augmentations (`FitOptions`) that leave targets as they are; training uses no others.
    """

    name: ClassVar[str] = ""
    more_metrics: ClassVar[tuple[Metric, ...]] = ()
    selection: ClassVar[Metric | None] = None
    losses: ClassVar[Mapping[str, Loss]] = {"squared-error": squared_error}
    instead: ClassVar[str] = "a forecast, with --task forecast --horizon and seconds"
    invariant: ClassVar[tuple[str, ...]] = ("rotate", "scale", "noise", "pace", "mirror")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those that `score` returns; a class variable where they are always the same.

        The first is the headline: fine-tuning, searches and comparisons go by it.
        """
        return ()

    @property
    def size(self) -> int:
        """Number of outputs that a model needs; 0: any."""
        return 0

    @property
    def per_step(self) -> bool:
        """Whether each step has a target of its own, in the place of one for all of a recording.

        Then all steps of a stream are trained and scored by theirs, but for the first that do not
        count, and windows by that of their last step.
        """
        return False

    @property
    def follows(self) -> bool:
        """Whether targets turn and scale as the samples do, each value with one channel.

        Then they are changed with them by the augmentations "rotate" and "scale": `wanted` targets
        are whole sets of one for each channel.
        """
        return False

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs; () if they have none."""
        return ()

    @property
    def size_text(self) -> str:
        """The outputs in words, with their number."""
        return "1 value" if self.size == 1 else f"{self.size} values"

    @property
    def headline(self) -> Metric:
        """The metric that says how good a program is.

        Raises
        ------
        DataError
            If the task has no metrics.
        """
        if not self.metrics:
            raise DataError("the program gives values, no classes: nothing scores them")
        return self.metrics[0]

    @property
    def pair(self) -> tuple[str, str]:
        """Keys of the headline before and after compression, in scores and metadata."""
        return f"{self.headline.name}_float", f"{self.headline.name}_int"

    def drop(self, scores: Mapping[str, Any]) -> float:
        """Return how much worse a program is than its float model (`Metric.drop`)."""
        before, after = self.pair
        return self.headline.drop(scores[before], scores[after])

    def to_json(self) -> dict[str, Any]:
        """Return name and fields, from which ``edgeflow.tasks.from_json`` makes the task."""
        return {"name": self.name, **asdict(self)}

    # ---- targets

    def targets(self, y: Any) -> list[Any]:
        """Return a user's targets, one for each of n windows, as recordings hold them.

        Raises
        ------
        DataError
            If they are not finite numbers [n] or [n, values].
        """
        found = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
        numbers = found.ndim in (1, 2) and found.dtype.kind in "iuf"
        if not numbers or not np.isfinite(found).all():
            raise DataError("y must be finite numbers [n] or [n, values]")
        return list(found.astype(np.float32))

    def aligned(self, y: NDArray[Any], source: "Task", data: str) -> NDArray[Any]:
        """Return targets of a data set, whose task is `source`, as this task has them.

        Raises
        ------
        DataError
            If the data set, of the name `data`, is for another task.
        """
        if source != self:
            raise DataError(
                f"data set '{data}' is for {source.name}, the model for {self.name or 'values'}"
            )
        return y

    def target_text(self, target: Any) -> str:
        """Return a target as text."""
        return str(target)

    def wanted(self, targets: "Tensor") -> "Tensor":
        """Return what outputs should be in real units, of targets that may hold more."""
        return targets

    def output_format(self, targets: NDArray[Any]) -> OutputFormat | None:
        """Return how training normalises outputs, of the training subjects' targets [n, ...].

        None: the outputs are the targets.
        """
        return None

    # ---- decisions

    def decide(self, outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[Any]:
        """Return the decision of each step, [...], of outputs [..., size].

        By default the real values of the outputs; of one output, without the last axis.
        """
        real = real_values(outputs, scale)
        return real[..., 0] if self.size == 1 else real

    def decisions(self, outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[Any]:
        """Return the decision of each window, [n], of outputs [n, time, size]: its last step's."""
        return self.decide(outputs[:, -1], scale)

    def answer(self, decided: NDArray[Any]) -> NDArray[Any]:
        """Return decisions in the user's terms."""
        return decided

    def right(self, outputs: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell whether each step's decision is right, bool [n, ...], of outputs [n, ..., size].

        By default all are: a value is more or less exact, not right or wrong.
        """
        return np.ones(outputs.shape[:-1], dtype=bool)

    def agreement(self, decided: NDArray[Any], other: NDArray[Any]) -> float | None:
        """Return the share of equal decisions, 0..1; None where decisions are hardly ever equal."""
        return None

    # ---- scores

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        """Return the `metrics` of n decisions, by name."""
        raise NotImplementedError

    def counts(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, Any]:
        """Return entries of files besides scores, made of decisions: JSON values by key."""
        return {}

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        """Return scores of all windows and by subject; `subjects` [n] says whose each is."""
        whose = np.asarray(subjects).astype(str)
        by_subject = {}
        for name in dict.fromkeys(whose.tolist()):
            mine = whose == name
            found = self.score(truth[mine], decided[mine])
            by_subject[name] = {"windows": int(mine.sum()), **found}
        return {"overall": dict(self.score(truth, decided)), "subjects": by_subject}

    def by_sample(
        self, outputs: NDArray[Any], truth: NDArray[Any], scale: Scale = 1.0
    ) -> list[float]:
        """Return the headline if windows ended after 1, 2, ... samples since the reset [time].

        Targets are those of the windows, [n, ...], or of each step, [n, time, ...].
        """
        found = []
        for time in range(1, outputs.shape[1] + 1):
            decided = self.decisions(outputs[:, :time], scale)
            here = truth[:, time - 1] if self.per_step else truth
            found.append(self.score(here, decided)[self.headline.name])
        return found

    def warmup(
        self, outputs: NDArray[Any], truth: NDArray[Any], scale: Scale = 1.0
    ) -> dict[str, Any]:
        """Return `by_sample` by the headline's name, and the "samples" to 95 % of the last."""
        values, metric = self.by_sample(outputs, truth, scale), self.headline
        samples = samples_to_enough(values, higher_is_better=metric.higher_is_better)
        return {metric.name: values, "samples": samples}

    def criterion(self, outputs: NDArray[Any], truth: NDArray[Any]) -> float:
        """Return a smooth loss of real outputs [n, size], by which small changes are told apart.

        By default the headline, less being better.
        """
        return self.headline.cost(self.score(truth, self.decide(outputs))[self.headline.name])

    # ---- training

    def loss_name(self, name: str | None) -> str:
        """Return the name of a loss; of the default for None.

        Raises
        ------
        TrainError
            If there is no such loss, or none at all.
        """
        if not self.losses:
            raise TrainError(
                f"no model is trained for {self.name} itself, which a layer behind one decides: "
                f"train {self.instead}"
            )
        if name is not None and name not in self.losses:
            raise TrainError(f"loss is '{name}': use one of {', '.join(self.losses)}")
        return name or next(iter(self.losses))

    def imitation(
        self, outputs: "Tensor", teacher: "Tensor", temperature: float, weight: float
    ) -> "Tensor":
        """Return losses [n, time], times `weight`, of outputs [n, time, size] unlike a teacher's.

        `temperature` softens probabilities, where outputs are logits.
        """
        return weight * (outputs - teacher).square().mean(dim=2)

    def validation_text(self, row: Mapping[str, float]) -> str:
        """Return the validation score of a row of the history, for a line of progress."""
        return f"validation {self.headline.text(row[f'val_{self.headline.name}'], 1)}"

    # ---- reports

    def extremes(self, overall: Mapping[str, Any]) -> list[Extreme]:
        """Return the worst figures in `Scores.overall` ({} if that is not known)."""
        return []

    def tables(self, run: Mapping[str, Any]) -> list[Table]:
        """Return tables of a profile, the content of ``profile.json``, with `metrics`."""
        return []

    def heatmap(self, run: Mapping[str, Any]) -> Heatmap | None:
        """Return counts of a profile to be drawn."""
        return None

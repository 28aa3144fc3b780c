"""The layer behind a model that decides, as a recipe asks for one."""

from typing import TYPE_CHECKING, Any

from edgeflow.compression.adapt import with_learning
from edgeflow.compression.candidates import with_scores
from edgeflow.compression.count import with_count
from edgeflow.compression.detect import with_detect
from edgeflow.compression.nlms import NLMS, with_nlms
from edgeflow.compression.residual import flag_forecasts
from edgeflow.data.phases import counted
from edgeflow.data.words import of_words
from edgeflow.progress import StageProgress, silent
from edgeflow.quantization import Widths
from edgeflow.recipes.steps import Adapt, Decide

if TYPE_CHECKING:
    from edgeflow.data import Dataset
    from edgeflow.program import Program

#: Where a program's metadata say what was chosen, by the step of a recipe.
KEYS = {"detect": "detect", "anomaly": "residual", "count": "count"}


def step_of(decide: Decide) -> str | None:
    """Return which step of `KEYS` there is; None: the model's outputs decide."""
    asked = {
        "detect": decide.detect is not None,
        "anomaly": decide.anomaly is not None,
        "count": decide.count,
    }
    return next((step for step, there in asked.items() if there), None)


def decided_data(decide: Decide, whole: "Dataset", dataset: "Dataset") -> "Dataset":
    """Return the data set that the layer decides about.

    Parameters
    ----------
    whole : Dataset
        As it was loaded.
    dataset : Dataset
        As the model has it, such as for its forecasts.

    Raises
    ------
    DataError
        If there are no counts in it to be counted, or no such words to be detected.
    """
    step = step_of(decide)
    if step == "detect" and decide.words is not None:
        return of_words(dataset, decide.words.split(","))
    if step == "count":
        return counted(whole)
    return whole if step == "anomaly" else dataset


def with_decision(
    program: "Program",
    decide: Decide,
    whole: "Dataset",
    dataset: "Dataset",
    split: str,
    widths: Widths,
    progress: StageProgress = silent,
) -> "Program":
    """Return the program with the layer, and its scores on a split; as it is without one.

    Parameters and errors are those of `decided_data`, `with_detect`, `flag_forecasts` and
    `with_count`.
    """
    step, data = step_of(decide), decided_data(decide, whole, dataset)
    if step == "detect" and decide.detect is not None:
        progress("choosing a detector", 0, 0)
        program = with_detect(program, data, decide.detect, folds=decide.folds, widths=widths)
    elif decide.anomaly is not None and decide.learn is not None:
        progress("choosing a limit", 0, 0)
        program = flag_forecasts(program, data, decide.anomaly / 100, decide.learn)
    elif step == "count":
        progress("choosing a counter", 0, 0)
        program = with_count(program, data)
    else:
        return program
    assert step is not None
    return with_scores(program, data, split, KEYS[step])


def with_adapt(
    program: "Program", adapt: Adapt, dataset: "Dataset", split: str, progress: StageProgress
) -> "Program":
    """Return the program with the layer that learns, and of forecasts with their scores on a split.

    It is as it was without a learner. Errors are those of `with_learning` and `with_nlms`.
    """
    if adapt.learner == NLMS:
        return with_nlms(program, dataset, split, progress=progress)
    if adapt.learner is not None:
        return with_learning(program, dataset, adapt.learner, adapt.store, progress=progress)
    return program


def decided_score(program: "Program", decide: Decide, split: str) -> float | None:
    """Return the headline of what the layer decides on a split; None without a layer."""
    step = step_of(decide)
    if step is None:
        return None
    found: dict[str, Any] = program.metadata[KEYS[step]][split]
    return float(found[program.task.headline.name])

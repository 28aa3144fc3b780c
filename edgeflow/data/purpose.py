"""Data sets for another task than that which their recordings are labelled for."""

from collections.abc import Sequence
from dataclasses import replace

from edgeflow.data.dataset import Dataset
from edgeflow.data.forecasts import forecasts
from edgeflow.data.phases import can_be_counted, counted, phases
from edgeflow.data.words import of_words
from edgeflow.errors import DataError
from edgeflow.tasks import Forecast, Tagging, Task
from edgeflow.tasks.counting import Counting
from edgeflow.tasks.events import Events
from edgeflow.tasks.phase import Phase

#: What ``--task`` can be.
PURPOSES = ("forecast", "tagging", "events", "phase", "counting")
#: Those of labels that are numbers of repetitions.
COUNTED = ("phase", "counting")


def for_purpose(dataset: Dataset, task: str | None, horizon: Sequence[float] = ()) -> Dataset:
    """Return a data set for a task by its name; as it is for None, or its own task.

    Parameters
    ----------
    horizon : sequence of float
        Seconds from now, of a forecast.

    Raises
    ------
    DataError
        If there is no such task, or the data are not for it.
    """
    if task is None or task == dataset.task.name:
        if horizon:
            raise DataError("--horizon: it is of forecasts: use --task forecast")
        return dataset
    if task not in PURPOSES:
        raise DataError(
            f"--task {task}: '{dataset.name}' is for {dataset.task.name}, or use one of "
            f"{', '.join(PURPOSES)}"
        )
    if task == "forecast":
        if not horizon:
            raise DataError("--task forecast: say how far, in seconds: --horizon 0.5,1.0")
        return forecasts(dataset, horizon)
    if horizon:
        raise DataError("--horizon: it is of forecasts: use --task forecast")
    if task == "phase":
        return phases(dataset)
    if not dataset.classes:
        raise DataError(f"--task {task}: '{dataset.name}' has no classes")
    if task == "counting":
        return counted(dataset)
    if task == "events":
        if not dataset.rate_hz:
            raise DataError("--task events: false alarms are counted by the hour: use --rate")
        return replace(dataset, target=Events(tuple(dataset.classes), dataset.rate_hz))
    return replace(dataset, target=Tagging(tuple(dataset.classes)))


def for_task(dataset: Dataset, task: Task) -> Dataset:
    """Return a data set for the task of a model, if it can be; else as it is."""
    if dataset.task == task:
        return dataset
    if isinstance(task, Forecast) and dataset.rate_hz == task.rate_hz and task.rate_hz:
        made = forecasts(dataset, [n / task.rate_hz for n in task.steps])
        return made if made.task == task else dataset
    if isinstance(task, Phase) and can_be_counted(dataset):
        return phases(dataset)
    if isinstance(task, Counting) and can_be_counted(dataset):
        return counted(dataset)
    if isinstance(task, Tagging) and list(task.classes) == dataset.classes:
        return replace(dataset, target=task)
    if isinstance(task, Events) and list(task.classes) == dataset.classes:
        if dataset.rate_hz != task.rate_hz:
            return dataset
        whole = replace(dataset, target=replace(task, words=()))
        return of_words(whole, task.words) if task.words else whole
    return dataset

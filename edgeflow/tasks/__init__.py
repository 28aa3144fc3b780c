"""Tasks: what the outputs of a program are for. A new one is one file in this folder."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeflow.discovery import classes_of
from edgeflow.errors import ProgramError
from edgeflow.tasks.classification import Classification
from edgeflow.tasks.forecast import Forecast
from edgeflow.tasks.output import OutputFormat
from edgeflow.tasks.regression import Regression
from edgeflow.tasks.tagging import Tagging
from edgeflow.tasks.task import Metric, Scores, Task
from edgeflow.tasks.values import Values

__all__ = [
    "Classification", "Forecast", "Metric", "OutputFormat", "Regression", "Scores", "Tagging",
    "Task", "Values", "from_json", "task_of", "tasks",
]  # fmt: skip


def tasks() -> dict[str, type[Task]]:
    """Return the tasks of the modules in this folder, by name."""
    return {kind.name: kind for kind in classes_of(__path__, __name__, Task) if kind.name}


def from_json(content: Mapping[str, Any]) -> Task:
    """Return the task that `Task.to_json` described.

    Raises
    ------
    ProgramError
        If there is no such task, or it has other fields.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("name"), str):
        raise ProgramError("a task is described by its name and fields")
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items() if k != "name"}
    known, name = tasks(), content["name"]
    if name not in known:
        raise ProgramError(f"there is no task '{name}': use one of {', '.join(known)}")
    try:
        return known[name](**fields)
    except (TypeError, ValueError, AttributeError) as error:
        raise ProgramError(f"task '{name}': {error}") from None


def task_of(classes: Sequence[str], content: Mapping[str, Any] | None = None) -> Task:
    """Return the task that `content` describes; without it classification, or values."""
    if content is not None:
        return from_json(content)
    return Classification(tuple(classes)) if classes else Values()

"""Values without a task: outputs in real units, which nothing scores."""

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgeflow.errors import DataError
from edgeflow.tasks.output import Scale, real_values
from edgeflow.tasks.task import Task


@dataclass(frozen=True)
class Values(Task):
    """The task of a program that has neither classes nor a task of its own."""

    name: ClassVar[str] = "values"

    def targets(self, y: Any) -> list[Any]:
        raise DataError("the program gives values, no classes: there is nothing to compare y with")

    def aligned(self, y: NDArray[Any], source: Task, data: str) -> NDArray[Any]:
        return y

    def decide(self, outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[Any]:
        return real_values(outputs, scale)

"""What tasks share whose outputs are one for each class, of which the largest is the decision."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.tasks.output import Scale
from edgeflow.tasks.task import Task


@dataclass(frozen=True)
class Classes(Task):
    """One output per class.

    Parameters
    ----------
    classes : tuple of str
    """

    classes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.classes)

    @property
    def size_text(self) -> str:
        return f"{self.size} classes"

    def decide(self, outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[Any]:
        return outputs.argmax(axis=-1)

    def answer(self, decided: NDArray[Any]) -> NDArray[Any]:
        return np.array(self.classes)[decided]

    def agreement(self, decided: NDArray[Any], other: NDArray[Any]) -> float | None:
        return float((decided == other).mean())

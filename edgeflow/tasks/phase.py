"""Phase: how far a repeated movement is through its repetition, at each step."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.tasks.regression import Regression


@dataclass(frozen=True)
class Phase(Regression):
    """Cosine and sine of the phase. Targets are float32 [time, 2].

    The angle is 0 in the middle of a repetition: the cosine rises once in each, and neither the
    beginning nor the end of a recording is near one. `edgeflow.program.nodes.Count` counts rises.
    """

    names: tuple[str, ...] = ("phase_cos", "phase_sin")
    units: tuple[str, ...] = ("", "")
    steps: bool = True

    name: ClassVar[str] = "phase"
    invariant: ClassVar[tuple[str, ...]] = ("rotate", "scale", "noise", "mirror")


def circle(repetitions: ArrayLike) -> NDArray[np.float32]:
    """Return the targets [time, 2] of steps that so many repetitions [time] are over at."""
    angle = 2 * np.pi * (np.asarray(repetitions, np.float64) - 0.5)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

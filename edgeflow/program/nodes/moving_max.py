"""Largest of the last steps, of each value."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: Steps at most.
MAX_STEPS = 64


@dataclass(frozen=True, eq=False, repr=False)
class MovingMax(Node):
    r"""``y = max(x(t), ..., x(t - steps + 1))``. Before a reset, x counts as 0.

    Parameters
    ----------
    name : str
    size : int
        Values per step.
    bits : int
        Their width, 2..16.
    steps : int
        2..64.
    """

    size: int
    bits: int
    steps: int

    op_type = "MovingMax"
    x_field = ("size", "bits")
    y_field = ("size", "bits")
    size_fields = ()
    int_fields = {"size": (1, MAX_SIZE), "bits": (2, 16), "steps": (2, MAX_STEPS)}
    unrolled_fields = ("steps",)
    state_fields = {"past": ("past", "bits")}
    c_struct = "ef_moving_max"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.past <= MAX_SIZE,
            f"the last {self.steps} steps of {self.size} values: at most {MAX_SIZE} values fit",
        )

    @property
    def past(self) -> int:
        """Values of the steps before x."""
        return (self.steps - 1) * self.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        past, y = state["past"], x
        for k in range(self.steps - 1):
            y = np.maximum(y, past[:, k * self.size : (k + 1) * self.size])
        return y, {"past": np.concatenate([past[:, self.size :], x], axis=1)}

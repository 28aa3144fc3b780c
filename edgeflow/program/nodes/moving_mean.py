"""Mean of the last steps, of each value."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import INT32_MAX, Ints, requantize
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: Steps at most: their sum, doubled, fits 32 bits.
MAX_STEPS = 1 << 14


def reciprocal(steps: int) -> int:
    """Return ``2^31 / steps``, rounded."""
    return ((1 << 32) // steps + 1) >> 1


@dataclass(frozen=True, eq=False, repr=False)
class MovingMean(Node):
    r"""``y = (2 multiplier sum + 2^31) >> 32``, sum = x(t) + ... + x(t - steps + 1).

    The mean, rounded, and exact for equal values. Before a reset, x counts as 0.

    Parameters
    ----------
    name : str
    size : int
        Values per step.
    bits : int
        Their width, 2..16.
    steps : int
        2..16384.
    multiplier : int
        `reciprocal` of `steps`.
    """

    size: int
    bits: int
    steps: int
    multiplier: int

    op_type = "MovingMean"
    x_field = ("size", "bits")
    y_field = ("size", "bits")
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE), "bits": (2, 16), "steps": (2, MAX_STEPS),
        "multiplier": (1 << 17, INT32_MAX),
    }  # fmt: skip
    state_fields = {"past": ("past", "bits"), "sum": ("size", 32)}
    c_struct = "ef_moving_mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.past <= MAX_SIZE,
            f"the last {self.steps} steps of {self.size} values: at most {MAX_SIZE} values fit",
        )
        self.require(
            self.multiplier == reciprocal(self.steps),
            f"multiplier {self.multiplier} is not that of {self.steps} steps",
        )

    @property
    def past(self) -> int:
        """Values that the sum is of."""
        return self.steps * self.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        past = state["past"]
        total = state["sum"] + x - past[:, : self.size]
        following = {"past": np.concatenate([past[:, self.size :], x], axis=1), "sum": total}
        return requantize(total, self.multiplier, 1), following

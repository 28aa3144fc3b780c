"""Repetitions, counted: the rises of one value through a band."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import INT16_MAX, INT16_MIN, Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: The last int16 count: a longer set stays there.
MOST = INT16_MAX


@dataclass(frozen=True, eq=False, repr=False)
class Count(Node):
    r"""Count the rises of x[channel] above `high`, each after it was below `low` again.

    With v the value and u whether it is up:

    .. math::
        r &= \lnot u \land v > high \land w = 0 \\
        u' &= r \lor u \land v \ge low \qquad w' = r \;?\; apart : \max(w - 1, 0) \\
        y &= n' = \min(n + r, 32767)

    A Schmitt trigger, whose band noise does not cross, and the least time between repetitions.

    Parameters
    ----------
    name : str
    size : int
        Values per step.
    channel : int
        The value that is looked at, from 0.
    high, low : int
        Int16, in units of x, low <= high.
    apart : int
        Steps after a repetition in which none begins, 0..32767.
    """

    size: int
    channel: int
    high: int
    low: int
    apart: int

    op_type = "Count"
    x_field = ("size", 16)
    y_field = (1, 16)
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE), "channel": (0, MAX_SIZE - 1), "high": (INT16_MIN, INT16_MAX),
        "low": (INT16_MIN, INT16_MAX), "apart": (0, INT16_MAX),
    }  # fmt: skip
    output_state = "count"
    state_fields = {"count": (1, 16), "up": (1, 2), "wait": (1, 16)}
    c_struct = "ef_count"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.channel < self.size, f"channel {self.channel} of {self.size} values")
        self.require(self.low <= self.high, f"low {self.low} is above high {self.high}")

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        value = x[:, self.channel : self.channel + 1]
        up, wait = state["up"] > 0, state["wait"]
        rises = (state["up"] == 0) & (value > self.high) & (wait == 0)
        count = np.minimum(state["count"] + rises.astype(np.int64), MOST)
        following = {
            "count": count,
            "up": (rises | (up & (value >= self.low))).astype(np.int64),
            "wait": np.where(rises, self.apart, np.maximum(wait - 1, 0)),
        }
        return count, following

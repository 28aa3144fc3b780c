"""Largest value since the reset, of each channel."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: What a value is above, so that a state of zero is below all of them.
LEAST = -(1 << 15)


@dataclass(frozen=True, eq=False, repr=False)
class RunningMax(Node):
    r"""``above' = max(above, x + 2^15)``, ``y = above' - 2^15``: the largest x since the reset.

    Parameters
    ----------
    name : str
    size : int
        Values per step.
    bits : int
        Their width, 2..16.
    """

    size: int
    bits: int

    op_type = "RunningMax"
    x_field = ("size", "bits")
    y_field = ("size", "bits")
    size_fields = ()
    int_fields = {"size": (1, MAX_SIZE), "bits": (2, 16)}
    state_fields = {"above": ("size", 32)}
    c_struct = "ef_running_max"

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        above = np.maximum(state["above"], x - LEAST)
        return above + LEAST, {"above": above}

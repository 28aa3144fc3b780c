"""Rate divider: the layers behind it run at some of the steps."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: Steps that are counted, at most.
MAX_STEPS = 1 << 14


@dataclass(frozen=True, eq=False, repr=False)
class Decimate(Node):
    r"""Pass x on at the steps ``first, first + stride, ...`` after a reset, counted from 0.

    What reads it runs at these steps only (`edgeflow.program.clocks`). With phase p, 0 after a
    reset: the step is one of them if ``p = first`` or ``p = -1``; then ``p' = -stride``, else
    ``p' = p + 1``.

    Parameters
    ----------
    name : str
    size : int
        Values per step.
    bits : int
        Their width, 2..16.
    first : int
        0..16384.
    stride : int
        1..16384.
    """

    size: int
    bits: int
    first: int
    stride: int

    op_type = "Decimate"
    x_field = ("size", "bits")
    y_field = ("size", "bits")
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE), "bits": (2, 16), "first": (0, MAX_STEPS), "stride": (1, MAX_STEPS),
    }  # fmt: skip
    state_fields = {"phase": (1, 16)}
    c_struct = "ef_decimate"
    kernel_only = True

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        phase = state["phase"]
        passes = (phase == self.first) | (phase == -1)
        return x + 0, {"phase": np.where(passes, -self.stride, phase + 1)}

    def passed(self, following: State) -> Ints:
        """Tell whether x was passed on, [n, 1], by the state after a step."""
        passed: Ints = following["phase"] == -self.stride
        return passed

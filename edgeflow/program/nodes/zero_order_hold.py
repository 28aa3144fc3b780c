"""Zero-order hold: a value of slower layers, at every step."""

from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class ZeroOrderHold(Node):
    """The last x, zeros before the first: it can be read at any step of the program.

    It runs when the layer that it reads does (`edgeflow.program.clocks`).

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

    op_type = "ZeroOrderHold"
    x_field = ("size", "bits")
    y_field = ("size", "bits")
    size_fields = ()
    int_fields = {"size": (1, MAX_SIZE), "bits": (2, 16)}
    state_fields = {"last": ("size", "bits")}
    output_state = "last"
    c_struct = "ef_zero_order_hold"
    kernel_only = True

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        y = x + 0
        return y, {"last": y}

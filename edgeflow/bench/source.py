"""A layer that hands its input on, so that the marks of the next one surround nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class Source(Node):
    """``y = x``: what a step does before its first layer is counted here.

    Parameters
    ----------
    name : str
    size : int
    bits : int
        Declared width of the values, 2..16.
    """

    size: int
    bits: int

    op_type = "Source"
    x_field = ("size", "bits")
    y_field = ("size", "bits")
    int_fields = {"size": (1, MAX_SIZE), "bits": (2, 16)}

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        return x, {}

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        return f"memcpy({y}, {x}, sizeof {y});"

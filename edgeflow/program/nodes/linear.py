"""Fully connected layer."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Node):
    """``y = requantize(W x + b)``, int16 out.

    Parameters
    ----------
    name : str
    matrix : Matrix [outputs, inputs]
    """

    matrix: Matrix

    op_type = "Linear"
    x_field = ("matrix.inputs", "matrix.x_bits")
    y_field = ("matrix.rows", 16)
    matrix_fields = ("matrix",)
    delta_sources = {"matrix": "x"}

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        return self.product("matrix", x, state), {}

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        return f"{self.name}_matrix.matvec(&{self.name}_matrix, {x}, {y});"

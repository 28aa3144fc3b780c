"""Fully connected layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

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

    op_type: ClassVar[str] = "Linear"
    matrix_fields: ClassVar[tuple[str, ...]] = ("matrix",)
    delta_sources: ClassVar[Mapping[str, str]] = {"matrix": "x"}

    @property
    def inputs(self) -> int:
        return self.matrix.inputs

    @property
    def outputs(self) -> int:
        return self.matrix.rows

    @property
    def input_bits(self) -> int:
        return self.matrix.x_bits

    @property
    def output_bits(self) -> int:
        return 16

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        return self.product("matrix", x, state), {}

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        return f"{self.name}_matrix.matvec(&{self.name}_matrix, {x}, {y});"

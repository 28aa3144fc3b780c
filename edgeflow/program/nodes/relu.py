"""Rectification, with a shift that narrows values before a matrix reads them."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints, saturate, symmetric_max
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class ReLU(Node):
    """``y = clip((x + half) >> shift, 0, 2^(bits - 1) - 1)``, half = 2^shift / 2, 0 for no shift.

    Parameters
    ----------
    name : str
    size : int
    source_bits : int
        Width of x, 2..16.
    bits : int
        Width of y, 2..16.
    shift : int
        0..15.
    """

    size: int
    source_bits: int
    bits: int
    shift: int

    op_type = "ReLU"
    x_field = ("size", "source_bits")
    y_field = ("size", "bits")
    int_fields = {
        "size": (1, MAX_SIZE), "source_bits": (2, 16), "bits": (2, 16), "shift": (0, 15),
    }  # fmt: skip
    c_function = "ef_relu_s16"

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        half = (1 << self.shift) >> 1
        return saturate((x + half) >> self.shift, 0, symmetric_max(self.bits)), {}

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        limit = symmetric_max(self.bits)
        return f"ef_relu_s16({x}, {y}, {self.size}, {self.shift}, {limit});"

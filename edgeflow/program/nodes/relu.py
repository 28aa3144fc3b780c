"""Rectification, with a shift that narrows values before a matrix reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

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

    op_type: ClassVar[str] = "ReLU"
    int_fields: ClassVar[tuple[str, ...]] = ("size", "source_bits", "bits", "shift")
    c_function: ClassVar[str | None] = "ef_relu_s16"

    def __post_init__(self) -> None:
        self.check_ranges(
            {"size": (1, MAX_SIZE), "source_bits": (2, 16), "bits": (2, 16), "shift": (0, 15)}
        )

    @property
    def inputs(self) -> int:
        return self.size

    @property
    def outputs(self) -> int:
        return self.size

    @property
    def input_bits(self) -> int:
        return self.source_bits

    @property
    def output_bits(self) -> int:
        return self.bits

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        half = (1 << self.shift) >> 1
        return saturate((x + half) >> self.shift, 0, symmetric_max(self.bits)), {}

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        limit = symmetric_max(self.bits)
        return f"ef_relu_s16({x}, {y}, {self.size}, {self.shift}, {limit});"

"""Product of two branches, value by value: gates and gated linear units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT32_MAX, Ints, clip, split
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class Multiply(Node):
    r"""Multiply the two branches a and b that are read side by side.

    .. math:: y = clip((a b\, multiplier + 2^{31}) >> 32)

    The product of two int16 values is at most 2^30; it is rounded once, with its multiplier, in 64
    bits (SMMULR of Armv7E-M).

    Parameters
    ----------
    name : str
    multiplier : int32 array [size]
        A unit of a times one of b in units of y, times 2^32; not negative.
    source_bits : int
        Width of a and b, 2..16.
    state_bits : int
        Width of y, 2..16.
    """

    multiplier: NDArray[np.int32]
    source_bits: int
    state_bits: int

    op_type = "Multiply"
    x_field = ("inputs", "source_bits")
    y_field = ("multiplier.size", "state_bits")
    array_fields = {"multiplier": (0, INT32_MAX)}
    size_fields = ("size",)
    int_fields = {"source_bits": (2, 16), "state_bits": (2, 16)}
    c_struct = "ef_multiply"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 <= self.inputs <= MAX_SIZE, f"{self.size} values are too many or none")

    @property
    def inputs(self) -> int:
        return 2 * self.size

    @property
    def size(self) -> int:
        """Values of a branch, and of y."""
        return self.multiplier.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        a, b = split(x, 2)
        return clip((a * b * self.multiplier + (1 << 31)) >> 32, self.state_bits), {}

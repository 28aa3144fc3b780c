"""Sigmoid and hyperbolic tangent between layers, by the tables of the gates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT32_MAX, Ints, lookup, narrow, requantize
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class Squash(Node):
    r"""A function f of each value, by its table.

    .. math::
        v &= requantize(x, multiplier, shift) \\
        y &= clip((2 f(v) + 2^{16 - bits}) >> (17 - bits))

    v is Q3.12, f(v) Q0.15 and y Q0.(state_bits - 1).

    Parameters
    ----------
    name : str
    multiplier : int32 array [size]
        A unit of x in units of v, times 2^(32 - shift); not negative.
    source_bits : int
        Width of x, 2..16.
    state_bits : int
        Width of y, 8..16.
    shift : int
        1..15.
    """

    multiplier: NDArray[np.int32]
    source_bits: int
    state_bits: int
    shift: int

    x_field = ("multiplier.size", "source_bits")
    y_field = ("multiplier.size", "state_bits")
    array_fields = {"multiplier": (0, INT32_MAX)}
    size_fields = ("size",)
    int_fields = {"source_bits": (2, 16), "state_bits": (8, 16), "shift": (1, 15)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 <= self.size <= MAX_SIZE, f"{self.size} values are too many or none")

    @property
    def size(self) -> int:
        """Number of values."""
        return self.multiplier.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        v = requantize(x, self.multiplier, self.shift)
        return narrow(2 * lookup(self.tables[0], v), 17 - self.state_bits, self.state_bits), {}


@dataclass(frozen=True, eq=False, repr=False)
class Sigmoid(Squash):
    """Sigmoid of each value."""

    op_type = "Sigmoid"
    tables = ("sigmoid",)
    c_struct = "ef_squash"
    c_function = "ef_sigmoid_step"


@dataclass(frozen=True, eq=False, repr=False)
class Tanh(Squash):
    """Hyperbolic tangent of each value."""

    op_type = "Tanh"
    tables = ("tanh",)
    c_struct = "ef_squash"
    c_function = "ef_tanh_step"

"""Any function of single values between layers: ELU, GELU, SiLU and their like."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import (
    INT16_MAX,
    INT32_MAX,
    TABLE_SIZE,
    Ints,
    interpolate,
    largest_magnitude,
    narrow,
    requantize,
)
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import INT16, Node, State


@dataclass(frozen=True, eq=False, repr=False)
class Curve(Node):
    r"""A straight line on each side of 0, and a table's values t on top of them.

    .. math::
        v &= requantize(x, multiplier, shift) \\
        y &= clip((up\, max(x, 0) + down\, min(x, 0) + gain\, t(v) + 2^{fraction - 1}) >> fraction)

    v is Q3.12: beyond +-8 the table keeps its last values. Without a table there are the lines
    alone, as of a leaky ReLU. The sum is of 32 bits, and rounded once.

    Parameters
    ----------
    name : str
    multiplier : int32 array [size]
        A unit of x in units of v, times 2^(32 - shift); not negative.
    up, down : int16 array [size]
        A unit of x in units of y, times 2^fraction, above and below 0.
    gain : int16 array [size]
        A unit of the table in units of y, times 2^fraction.
    source_bits : int
        Width of x, 2..16.
    state_bits : int
        Width of y, 2..16.
    shift : int
        1..15.
    fraction : int
        1..30.
    table : int16 array [257], optional
        Values at -8, -8 + 1/16, ..., 8.

    Raises
    ------
    ProgramError
        If a sum could leave 32 bits.
    """

    multiplier: NDArray[np.int32]
    up: NDArray[np.int16]
    down: NDArray[np.int16]
    gain: NDArray[np.int16]
    source_bits: int
    state_bits: int
    shift: int
    fraction: int
    table: NDArray[np.int16] | None = None

    op_type = "Curve"
    x_field = ("multiplier.size", "source_bits")
    y_field = ("multiplier.size", "state_bits")
    array_fields = {
        "multiplier": (0, INT32_MAX), "up": INT16, "down": INT16, "gain": INT16,
        "table": (-INT16_MAX, INT16_MAX),
    }  # fmt: skip
    size_fields = ("size",)
    int_fields = {
        "source_bits": (2, 16), "state_bits": (2, 16), "shift": (1, 15), "fraction": (1, 30),
    }  # fmt: skip
    c_struct = "ef_curve"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 <= self.size <= MAX_SIZE, f"{self.size} values are too many or none")
        each = {array.size for array in (self.up, self.down, self.gain)}
        self.require(each == {self.size}, f"up, down and gain must have {self.size} values each")
        self.require(
            self.table is None or self.table.size == TABLE_SIZE, f"a table has {TABLE_SIZE} values"
        )
        up, down, gain = (np.abs(a.astype(np.int64)) for a in (self.up, self.down, self.gain))
        bound = np.maximum(up, down) * largest_magnitude(self.source_bits)
        bound += gain * INT16_MAX + (1 << (self.fraction - 1))
        self.require(
            bound <= INT32_MAX,
            f"the sum of value {int(bound.argmax())} can overflow: give its factors fewer bits",
        )

    @property
    def size(self) -> int:
        """Number of values."""
        return self.multiplier.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        total = self.up * np.maximum(x, 0) + self.down * np.minimum(x, 0)
        if self.table is not None:
            v = requantize(x, self.multiplier, self.shift)
            nodes = self.table.astype(np.int64)
            total = total + self.gain * interpolate(nodes, v + (1 << 15), 8)
        return narrow(total, self.fraction, self.state_bits), {}

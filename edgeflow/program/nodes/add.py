"""Sum of branches: residual and skip connections, differences, and a change of unit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT32_MAX, Ints, largest_magnitude, narrow
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import INT16, Node, State

#: Most branches, a number of 8 bits in C.
MAX_BRANCHES = 255
_INT32 = (-INT32_MAX, INT32_MAX)


@dataclass(frozen=True, eq=False, repr=False)
class Add(Node):
    r"""Add the branches that are read side by side, each brought to the unit of y.

    .. math::
        y_j = clip((bias_j + \sum_b gain_{b j} x_{b j} + 2^{shift - 1}) >> shift)

    exactly: the sum is of 32 bits, and rounded once. Of one branch it is a change of unit.

    Parameters
    ----------
    name : str
    gain : int16 array [branches * size]
        A unit of each x in units of y, times 2^shift; the branches one after the other.
    bias : int32 array [size]
        In units of ``2^-shift`` of y's.
    branches : int
        1..255.
    source_bits : int
        Width of x, 2..16.
    state_bits : int
        Width of y, 2..16.
    shift : int
        1..30.

    Raises
    ------
    ProgramError
        If a sum could leave 32 bits.
    """

    gain: NDArray[np.int16]
    bias: NDArray[np.int32]
    branches: int
    source_bits: int
    state_bits: int
    shift: int

    op_type = "Add"
    x_field = ("gain.size", "source_bits")
    y_field = ("bias.size", "state_bits")
    array_fields = {"gain": INT16, "bias": _INT32}
    size_fields = ("size",)
    int_fields = {
        "branches": (1, MAX_BRANCHES), "source_bits": (2, 16), "state_bits": (2, 16),
        "shift": (1, 30),
    }  # fmt: skip
    c_struct = "ef_add"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.size >= 1 and self.gain.size == self.branches * self.size <= MAX_SIZE,
            f"{self.branches} branches of {self.size} values need a gain for each, at most "
            f"{MAX_SIZE}, not {self.gain.size}",
        )
        gain = np.abs(self.gain.astype(np.int64)).reshape(self.branches, self.size)
        bound = gain.sum(axis=0) * largest_magnitude(self.source_bits)
        bound += np.abs(self.bias.astype(np.int64)) + (1 << (self.shift - 1))
        self.require(
            bound <= INT32_MAX,
            f"the sum of value {int(bound.argmax())} can overflow: give its gains fewer bits",
        )

    @property
    def size(self) -> int:
        """Values of a branch, and of y."""
        return self.bias.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        each = (x * self.gain).reshape(-1, self.branches, self.size)
        return narrow(each.sum(axis=1) + self.bias, self.shift, self.state_bits), {}

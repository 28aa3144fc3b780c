"""Linear Recurrent Unit: rotating states of 32 bits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import Ints, lookup, saturate, shift_right_round, symmetric_max
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Node, State

#: Fractional bits of a pole.
ROTATION = 30
#: Bits of a state's parts, which stay within +-LIMIT.
STATE_BITS = 30
LIMIT = 1 << (STATE_BITS - 1)


@dataclass(frozen=True, eq=False, repr=False)
class LRU(Node):
    r"""Linear Recurrent Unit (equations: ``edgeflow.cells.lru``).

    With the rows of ``v = input(u)`` in the order d, e, s, and x = p + i q:

    .. math::
        p' &= clip(((real\, p - imaginary\, q + 2^{29}) \gg 30) + 2^{shift} d, \pm 2^{29}) \\
        q' &= clip(((imaginary\, p + real\, q + 2^{29}) \gg 30) + 2^{shift} e, \pm 2^{29}) \\
        y &= \tanh(sat_{16}(s + output(read([p', q']))))

    `read` rounds to state_bits. Products are of 64 bits. A rotated part is at most :math:`2^{30}`,
    as each product of a pole and a state is at most half of it, what drives it at most
    :math:`2^{29}`: their sum fits 32 bits before it is clipped.

    A state of 30 bits, rounded once per step, does not forget: one whose pole has a magnitude of
    0.999 stops to move below :math:`2^{-20}` of its range.

    Parameters
    ----------
    name : str
    input : Matrix [2 * size + hidden, inputs]
        Rows of d and e drive the states, those of s, in Q3.12, the output; they hold its bias.
    output : Matrix [hidden, 2 * size]
        Reads the states in state_bits; Q3.12.
    real, imaginary : int32 array [size]
        Poles, Q1.30.
    shift : int16 array [size]
        From what drives a state to the state, 0..14.
    state_bits : int
        Width of y and of what `output` reads, 8..16.
    """

    input: Matrix
    output: Matrix
    real: NDArray[np.int32]
    imaginary: NDArray[np.int32]
    shift: NDArray[np.int16]
    state_bits: int

    op_type = "LRU"
    y_field = ("output.rows", "state_bits")
    matrix_fields = ("input", "output")
    delta_sources = {"input": "x"}
    array_fields = {
        "real": (-(1 << ROTATION), 1 << ROTATION), "imaginary": (-(1 << ROTATION), 1 << ROTATION),
        "shift": (0, 14),
    }  # fmt: skip
    size_fields = ("hidden", "size")
    int_fields = {"state_bits": (8, 16)}
    tables = ("tanh",)
    state_fields = {"h": ("values", 32)}
    c_struct = "ef_lru"

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = (self.real.size, self.imaginary.size, self.shift.size)
        self.require(sizes == 3 * (self.size,), "poles and shifts must be as many")
        rows, cols = self.values + self.hidden, self.values
        self.require(
            (self.input.rows, self.output.cols) == (rows, cols),
            f"{self.size} states and {self.hidden} outputs need matrices of {rows} rows and {cols} "
            f"columns, not {self.input.rows} and {self.output.cols}",
        )
        self.require(
            self.output.input_bits == self.state_bits,
            f"the width {self.state_bits} must equal what the second matrix reads, "
            f"{self.output.input_bits}",
        )

    @property
    def size(self) -> int:
        """Complex states."""
        return self.real.size

    @property
    def values(self) -> int:
        """Real and imaginary parts."""
        return 2 * self.size

    @property
    def scratch(self) -> int:
        return round_up(self.values) + self.input.rows + self.hidden

    def macs(self) -> int:
        return super().macs() + 2 * self.values

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        size, bits, h = self.size, self.state_bits, state["h"]
        limit, v = symmetric_max(bits), self.product("input", x, state)
        a, b = self.real.astype(np.int64), self.imaginary.astype(np.int64)
        p, q = h[:, :size], h[:, size:]
        rotated = np.concatenate([a * p - b * q, b * p + a * q], axis=1)
        shift = np.concatenate([self.shift, self.shift], axis=0).astype(np.int64)
        driven = v[:, : self.values] << shift
        h = saturate(shift_right_round(rotated, ROTATION) + driven, -LIMIT, LIMIT)
        read = saturate(shift_right_round(h, STATE_BITS - bits), -limit, limit)
        y = lookup("tanh", saturate(v[:, self.values :] + self.output.apply(read)))
        return saturate(shift_right_round(2 * y, 17 - bits), -limit, limit), {"h": h}

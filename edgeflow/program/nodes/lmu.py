"""Legendre Memory Unit, and its feed-forward variant."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import (
    INT16_MAX,
    INT32_MAX,
    Ints,
    lookup,
    narrow,
    saturate,
    shift_right_round,
)
from edgeflow.program.matrix import MAX_SIZE, Matrix, round_up
from edgeflow.program.nodes.base import INT16, Node, State
from edgeflow.program.nodes.recurrent import Recurrent

#: Largest number of bits that a memory value has below its high part.
MAX_FRACTION = 15


def memory_bound(
    transition: NDArray[np.integer], drive: NDArray[np.integer], shift: NDArray[np.integer]
) -> Ints:
    """Return the largest magnitude of each row's accumulator, with its rounding constant."""
    matrix = transition.reshape(len(drive), -1)
    weights = np.abs(matrix.astype(np.int64)).sum(axis=1) * INT16_MAX
    return weights + np.abs(drive.astype(np.int64)) * (1 << 15) + (1 << shift.astype(np.int64)) // 2


def memory_fits(
    transition: NDArray[np.integer], drive: NDArray[np.integer], shift: NDArray[np.integer]
) -> bool:
    """Tell whether no accumulator of the memory can leave 32 bits."""
    return bool(memory_bound(transition, drive, shift).max() <= INT32_MAX)


@dataclass(frozen=True, eq=False, repr=False)
class _LegendreMemory(Node):
    """The common part of both variants: `memory_size` memories of `order` values with one A and B.

    ``m' = A m + B u`` is computed as ``m + (A - I) m + B u``: the first term keeps all 32 bits of
    m, the second reads its high half, rounded to int16. What that rounding costs enters as an
    input error of half a unit would, and fades as fast: it does not pile up.
    """

    input: Matrix
    memory: Matrix
    transition: NDArray[np.int16]
    drive: NDArray[np.int16]
    shift: NDArray[np.int16]
    memory_size: int
    fraction: int
    read_shift: int
    read_bits: int
    state_bits: int

    array_fields = {"transition": INT16, "drive": INT16, "shift": (1, 30)}
    int_fields = {
        "memory_size": (1, MAX_SIZE), "fraction": (1, MAX_FRACTION), "read_shift": (1, 30),
        "read_bits": (2, 16), "state_bits": (8, 16),
    }  # fmt: skip
    tables = ("tanh",)
    c_helpers = ("ef_legendre_step",)

    @property
    def order(self) -> int:
        return self.drive.size

    @property
    def memory_values(self) -> int:
        """Values of all memories."""
        return self.memory_size * self.order

    def __post_init__(self) -> None:
        super().__post_init__()
        order, cols = self.order, self.memory.cols
        self.require(
            self.transition.size == order * order and self.shift.size == order > 0,
            f"a memory of order {order} needs {order * order} values of transition and {order} "
            "shifts",
        )
        self.require(
            cols == self.memory_values,
            f"{self.memory_size} memories of order {order} do not fit a matrix of {cols} columns",
        )
        # m is below 2^30 and the increment, shifted by one at least, too: their sum fits
        self.require(
            memory_fits(self.transition, self.drive, self.shift),
            "a memory's accumulator can leave 32 bits",
        )

    def macs(self) -> int:
        return super().macs() + self.memory_size * self.order * (self.order + 1)

    def _remember(self, m: Ints, u: Ints) -> Ints:
        """Return the next memory [n, memory_size * order] given u [n, memory_size]."""
        order, limit = self.order, INT16_MAX << self.fraction
        old = m.reshape(-1, self.memory_size, order)
        high = shift_right_round(old, self.fraction)
        transition = self.transition.reshape(order, order).astype(np.int64)
        sums = high @ transition.T + u[..., None] * self.drive
        new = old + shift_right_round(sums, self.shift.astype(np.int64))
        return saturate(new, -limit, limit).reshape(-1, self.memory_size * order)

    def _read(self, m: Ints, bits: int) -> Ints:
        """Return the memory as the matrix reads it."""
        return narrow(m, self.read_shift, bits)


def _activate(drive: Ints, state_bits: int) -> Ints:
    """Return tanh in the state's width; the shift of 2 tanh is never zero."""
    return narrow(2 * lookup("tanh", saturate(drive)), 17 - state_bits, state_bits)


@dataclass(frozen=True, eq=False, repr=False)
class LMU(_LegendreMemory, Recurrent):
    r"""LMU cell (Voelker et al., NeurIPS 2019).

    With ``a = input(x)``, ``r = recurrent(h)``, the rows of u first (in u's unit), then those of
    the state (Q3.12):

    .. math::
        u &= sat_{16}(a_u + r_u + v) \\
        m' &= m + round((D\, high(m) + drive\, u)\, 2^{-shift}) \\
        c &= memory(read(m')), \quad v' = c_u \\
        h' &= \tanh(sat_{16}(a_h + r_h + c_h))

    v is what the memory adds to the next u. `recurrent` and `memory` may leave the rows of u out.

    Parameters
    ----------
    name : str
    input : Matrix [memory_size + hidden, inputs]
        Holds b as bias of the state's rows.
    recurrent : Matrix [memory_size + hidden or hidden, hidden]
    memory : Matrix [memory_size + hidden or hidden, memory_size * order]
        Rows of u have no bias, as v is zero after a reset.
    transition : int16 array [order * order]
        D = A - I, row by row, row i in units of ``2**-(fraction + shift[i])``.
    drive : int16 array [order]
        B in the same units.
    shift : int16 array [order]
        In 1..30.
    memory_size : int
    fraction : int
        Bits of m below its high half, 1..15.
    read_shift : int
        From m to what `memory` reads; its width is that matrix's input width.
    read_bits, state_bits : int
        Widths of what `memory` reads, and of h.
    """

    recurrent: Matrix = field(kw_only=True)

    op_type = "LMU"
    matrix_fields = ("input", "recurrent", "memory")
    size_fields = ("hidden", "order")
    state_fields = {
        "h": ("hidden", "state_bits"), "m": ("memory_values", 32), "v": ("memory_size", 16),
    }  # fmt: skip
    c_struct = "ef_lmu"

    def __post_init__(self) -> None:
        super().__post_init__()
        hidden, rows = self.recurrent.inputs, self.memory_size + self.recurrent.inputs
        self.require(
            self.input.rows == rows and {self.recurrent.rows, self.memory.rows} <= {rows, hidden},
            f"an LMU of {hidden} units and {self.memory_size} memories needs {rows} rows, or "
            f"{hidden} where u is left out",
        )
        declared = self.state_bits, self.read_bits
        given = self.recurrent.x_bits, self.memory.input_bits
        self.require(
            given == declared,
            f"widths {declared[0]} and {declared[1]} must equal those that matrices read, "
            f"{given[0]} and {given[1]}",
        )
        biased = self.memory.rows == rows and self.memory.bias[: self.memory_size].any()
        self.require(not biased, "what the memory adds to u has a bias")

    @property
    def scratch(self) -> int:
        return round_up(self.memory.cols) + round_up(self.order) + 3 * self.input.rows

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        size = self.memory_size
        a = self.product("input", x, state)
        r = self._padded(self.product("recurrent", state["h"], state), self.recurrent.rows)
        u = saturate(a[:, :size] + r[:, :size] + state["v"])
        m = self._remember(state["m"], u)
        c = self._padded(self.memory.apply(self._read(m, self.read_bits)), self.memory.rows)
        h = _activate(a[:, size:] + r[:, size:] + c[:, size:], self.state_bits)
        return h, {"h": h, "m": m, "v": c[:, :size]}

    def _padded(self, y: Ints, rows: int) -> Ints:
        """Put zeros where a matrix leaves the rows of u out."""
        return np.pad(y, ((0, 0), (self.input.rows - rows, 0)))


@dataclass(frozen=True, eq=False, repr=False)
class LMUFeedForward(_LegendreMemory):
    r"""LMU without any weight on the state (Chilkuri and Eliasmith, ICML 2021).

    As `LMU`, with no `recurrent`, no v, and :math:`y = \tanh(sat_{16}(a_h + c))`.

    Parameters
    ----------
    name : str
    input : Matrix [memory_size + outputs, inputs]
    memory : Matrix [outputs, memory_size * order]
    transition, drive, shift, memory_size, fraction, read_shift, read_bits, state_bits
        As in `LMU`; state_bits is the width of y.
    """

    op_type = "LMUFeedForward"
    y_field = ("outputs", "state_bits")
    matrix_fields = ("input", "memory")
    delta_sources = {"input": "x"}
    size_fields = ("outputs", "order")
    state_fields = {"m": ("memory_values", 32)}
    c_struct = "ef_lmu_feedforward"

    def __post_init__(self) -> None:
        super().__post_init__()
        rows = self.memory_size + self.memory.rows
        self.require(
            self.input.rows == rows,
            f"{self.memory.rows} outputs and {self.memory_size} memories need {rows} rows, not "
            f"{self.input.rows}",
        )
        self.require(
            self.memory.input_bits == self.read_bits,
            f"memory width {self.read_bits} must equal what its matrix reads, "
            f"{self.memory.input_bits}",
        )

    @property
    def outputs(self) -> int:
        return self.memory.rows

    @property
    def scratch(self) -> int:
        return round_up(self.memory.cols) + round_up(self.order) + self.input.rows + self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        size = self.memory_size
        a = self.product("input", x, state)
        m = self._remember(state["m"], a[:, :size])
        c = self.memory.apply(self._read(m, self.read_bits))
        return _activate(a[:, size:] + c, self.state_bits), {"m": m}

"""Long short-term memory whose cell state has 32 bits."""

from dataclasses import dataclass

from edgeflow.program.fixedpoint import (
    PREACTIVATION_FRACTION,
    Ints,
    lookup,
    narrow,
    saturate,
    shift_right_round,
)
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.lstm import gate_values
from edgeflow.program.nodes.recurrent import Gated

#: Largest magnitude of c.
CELL_LIMIT = 1 << 30


@dataclass(frozen=True, eq=False, repr=False)
class WideLSTM(Gated):
    r"""LSTM cell as `LSTM`, with a cell state c of 32 bits.

    With gates as there, Q0.15, and F = cell_fraction:

    .. math::
        c' &= clip(((f \odot c + 2^{14}) \gg 15) + ((i \odot g) \gg (30 - F))) \\
        h' &= clip((o \odot \tanh(c' \gg (F - 12)) + half) \gg (31 - b))

    One unit does for neurons of unlike size: where one reaches 100, another that stays within
    0.01 still has 16 bits, and a slow one does not stand still. :math:`|c'| \le 2^{30}`, so that
    :math:`f \odot (c \gg 15)` and what is added to it fit 32 bits.

    Parameters
    ----------
    name : str
    input : Matrix [4 * hidden, inputs]
        Holds both biases.
    recurrent : Matrix [4 * hidden, hidden]
    state_bits : int
        Width b of h, 8..16.
    cell_fraction : int
        Fractional bits of c, 13..30.
    """

    cell_fraction: int

    op_type = "WideLSTM"
    gates = ("an LSTM", 4)
    activated_gates = 4
    int_fields = Gated.int_fields | {"cell_fraction": (13, 30)}
    tables = ("sigmoid", "tanh")
    state_fields = {"h": ("hidden", "state_bits"), "c": ("hidden", 32)}
    start_fields = ("h", "c")
    c_struct = "ef_wide_lstm"

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        i, f, g, o = gate_values(self, x, state)
        high, low = state["c"] >> 15, state["c"] & 0x7FFF
        kept = f * high + shift_right_round(f * low, 15)
        c = saturate(kept + ((i * g) >> (30 - self.cell_fraction)), -CELL_LIMIT, CELL_LIMIT)
        v_c = saturate(shift_right_round(c, self.cell_fraction - PREACTIVATION_FRACTION))
        h = narrow(o * lookup("tanh", v_c), 31 - self.state_bits, self.state_bits)
        return h, {"h": h, "c": c}

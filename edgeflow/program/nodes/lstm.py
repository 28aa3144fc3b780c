"""Long short-term memory in PyTorch's form."""

from dataclasses import dataclass

from edgeflow.program.fixedpoint import (
    PREACTIVATION_FRACTION,
    Ints,
    lookup,
    narrow,
    saturate,
    shift_right_round,
    split,
)
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.recurrent import Gated


def gate_values(cell: Gated, x: Ints, state: State) -> tuple[Ints, Ints, Ints, Ints]:
    """Return (i, f, g, o) of a step, Q0.15."""
    v = saturate(cell.product("input", x, state) + cell.product("recurrent", state["h"], state))
    v_i, v_f, v_g, v_o = split(v, 4)
    i, f, o = (cell.activate("sigmoid", gate) for gate in (v_i, v_f, v_o))
    return i, f, cell.activate("tanh", v_g), o


@dataclass(frozen=True, eq=False, repr=False)
class LSTM(Gated):
    r"""LSTM cell (Hochreiter and Schmidhuber 1997; ``torch.nn.LSTM``'s form).

    With ``v = sat16(input(x) + recurrent(h))`` in Q3.12, gates in PyTorch's order i, f, g, o:

    .. math::
        i, f, o &= \sigma(v_i), \sigma(v_f), \sigma(v_o), \quad g = \tanh(v_g) \\
        c' &= f \odot c + i \odot g \\
        h' &= o \odot \tanh(c')

    Gates are Q0.15, c is int16 in units of 2^-cell_fraction, h is Q0.(state_bits - 1); c and h
    are rounded once each.

    Parameters
    ----------
    name : str
    input : Matrix [4 * hidden, inputs]
        Holds both biases.
    recurrent : Matrix [4 * hidden, hidden]
    state_bits : int
        Width of h, 8..16.
    cell_fraction : int
        Fractional bits of c, 8..15.
    """

    cell_fraction: int

    op_type = "LSTM"
    gates = ("an LSTM", 4)
    activated_gates = 4
    int_fields = Gated.int_fields | {"cell_fraction": (8, 15)}
    tables = ("sigmoid", "tanh")
    state_fields = {"h": ("hidden", "state_bits"), "c": ("hidden", 16)}
    start_fields = ("h", "c")
    c_struct = "ef_lstm"

    @property
    def scratch(self) -> int:
        return super().scratch + 1

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        fraction = self.cell_fraction
        i, f, g, o = gate_values(self, x, state)
        # the floor of a floor: the exact sum is rounded once
        new = (i * g) >> (15 - fraction)
        c = saturate(shift_right_round(f * state["c"] + new, 15))
        squashed = lookup(
            "tanh", saturate(shift_right_round(c << PREACTIVATION_FRACTION, fraction))
        )
        h = narrow(o * squashed, 31 - self.state_bits, self.state_bits)
        return h, {"h": h, "c": c}

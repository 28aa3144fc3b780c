"""Gated recurrent unit with the reset gate after the matrix product (PyTorch, cuDNN)."""

from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints, lookup, narrow, saturate, shift_right_round, split
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.recurrent import Gated


def blend(n: Ints, z: Ints, h: Ints, state_bits: int) -> Ints:
    """Return ``n + z (h - n)`` as the next state, rounded once; n and z are Q0.15."""
    up = 16 - state_bits
    mixed = (n << 15) + z * ((h << up) - n)
    return narrow(mixed, 15 + up, state_bits)


def gate_values(cell: Gated, x: Ints, state: State) -> tuple[Ints, Ints]:
    """Return (z, n) of a step, Q0.15."""
    a_r, a_z, a_n = split(cell.product("input", x, state), 3)
    u_r, u_z, u_n = split(cell.product("recurrent", state["h"], state), 3)
    r = cell.activate("sigmoid", saturate(a_r + u_r))
    z = cell.activate("sigmoid", saturate(a_z + u_z))
    n = lookup("tanh", saturate(a_n + shift_right_round(r * u_n, 15)))
    return z, n


@dataclass(frozen=True, eq=False, repr=False)
class GRU(Gated):
    r"""GRU cell (Cho et al. 2014, arXiv 1406.1078; ``torch.nn.GRU``'s form).

    With ``a = input(x)`` and ``u = recurrent(h)`` in Q3.12, gates in PyTorch's order r, z, n:

    .. math::
        r &= \sigma(a_r + u_r), \quad z = \sigma(a_z + u_z) \\
        n &= \tanh(a_n + r \odot u_n) \\
        h' &= n + z \odot (h - n)

    Gates are Q0.15, the state is Q0.(state_bits - 1), rounded once.

    Parameters
    ----------
    name : str
    input : Matrix [3 * hidden, inputs]
        Holds b_ir + b_hr, b_iz + b_hz, b_in as bias.
    recurrent : Matrix [3 * hidden, hidden]
        Holds 0, 0, b_hn as bias.
    state_bits : int
        Width of the state, 8..16.
    """

    op_type = "GRU"
    gates = ("a GRU", 3)
    activated_gates = 2  # r scales u_n before it is added
    tables = ("sigmoid", "tanh")
    c_struct = "ef_gru"

    @property
    def scratch(self) -> int:
        return super().scratch + self.hidden % 2  # kernels read two units at a time

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        z, n = gate_values(self, x, state)
        h = blend(n, z, state["h"], self.state_bits)
        return h, {"h": h}

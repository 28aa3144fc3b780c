"""Gated recurrent unit whose state is not rounded from step to step."""

from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints, narrow
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.gru import gate_values
from edgeflow.program.nodes.recurrent import Gated


@dataclass(frozen=True, eq=False, repr=False)
class SlowGRU(Gated):
    r"""GRU cell as `GRU`, with a state m of 32 bits that h is read from.

    With gates as there, Q0.15, and m in Q1.30:

    .. math::
        m' &= m + (2^{15} - z) \odot (n - (m \gg 15)) \\
        h' &= clip((m' + half) \gg (31 - b))

    m' is exact, so that a state does not stand still whose steps are below a unit of h:
    :math:`|m'| < 2^{30}`, since it lies between m and n.

    Parameters
    ----------
    name : str
    input : Matrix [3 * hidden, inputs]
        Holds b_ir + b_hr, b_iz + b_hz, b_in as bias.
    recurrent : Matrix [3 * hidden, hidden]
        Holds 0, 0, b_hn as bias.
    state_bits : int
        Width b of h, 8..16.
    """

    op_type = "SlowGRU"
    gates = ("a GRU", 3)
    activated_gates = 2
    tables = ("sigmoid", "tanh")
    state_fields = Gated.state_fields | {"m": ("hidden", 32)}
    start_fields = ("h", "m")
    c_struct = "ef_slow_gru"

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        z, n = gate_values(self, x, state)
        m = state["m"] + ((1 << 15) - z) * (n - (state["m"] >> 15))
        h = narrow(m, 31 - self.state_bits, self.state_bits)
        return h, {"h": h, "m": m}

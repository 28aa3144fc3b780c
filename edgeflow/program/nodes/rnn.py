"""Simple recurrent cell (Elman network) with tanh or relu."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints, narrow, saturate, switch
from edgeflow.program.nodes.base import Activated, State
from edgeflow.program.nodes.recurrent import Gated


@dataclass(frozen=True, eq=False, repr=False)
class RNN(Gated):
    r"""Elman cell (Elman 1990; ``torch.nn.RNN``'s form).

    With s = `state_shift`:

    .. math::
        v &= sat16(input(x) + recurrent(h)) \\
        h' &= clip((2 f(v) + 2^s) \gg (s + 1))

    tanh: v is Q3.12, f(v) Q0.15 and the state Q0.(state_bits - 1), so s is 16 - state_bits.
    relu: v is in a unit of the layer, f(v) = max(v, 0), and the state's unit is 2**s of it.

    Parameters
    ----------
    name : str
    input : Matrix [hidden, inputs]
        Holds both biases.
    recurrent : Matrix [hidden, hidden]
    state_bits : int
        Width of the state, 8..16.
    state_shift : int
        In 0..15.
    relu : int
        1: relu; 0: tanh.
    """

    state_shift: int
    relu: int

    op_type = "RNN"
    gates = ("an RNN", 1)
    activated_gates = 1
    int_fields = Gated.int_fields | {"state_shift": (0, 15), "relu": (0, 1)}
    tables = ("tanh",)
    c_struct = "ef_rnn"

    @property
    def activated(self) -> Sequence[Activated]:
        return () if self.relu else super().activated

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        v = saturate(self.product("input", x, state) + self.product("recurrent", state["h"], state))
        f = switch(self.relu, lambda: self.activate("tanh", v), lambda: np.maximum(v, 0))
        h = narrow(2 * f, self.state_shift + 1, self.state_bits)
        return h, {"h": h}

"""Simple recurrent cell (Elman network) with tanh or relu."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeflow.program.fixedpoint import (
    Ints,
    lookup,
    narrow,
    saturate,
    switch,
    tanh_table,
)
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Range, State
from edgeflow.program.nodes.recurrent import Recurrent


@dataclass(frozen=True, eq=False, repr=False)
class RNN(Recurrent):
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

    input: Matrix
    recurrent: Matrix
    state_bits: int
    state_shift: int
    relu: int

    op_type: ClassVar[str] = "RNN"
    matrix_fields: ClassVar[tuple[str, ...]] = ("input", "recurrent")
    int_fields: ClassVar[Mapping[str, Range]] = {
        "state_bits": (8, 16), "state_shift": (0, 15), "relu": (0, 1),
    }  # fmt: skip
    tables: ClassVar[tuple[str, ...]] = ("tanh",)
    c_struct: ClassVar[str | None] = "ef_rnn"
    c_function: ClassVar[str | None] = "ef_rnn_step"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_rows("an RNN", 1)
        self.check_state_width()

    @property
    def scratch(self) -> int:
        return 2 * self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        v = saturate(self.product("input", x, state) + self.product("recurrent", state["h"], state))
        f = switch(self.relu, lambda: lookup(tanh_table(), v), lambda: np.maximum(v, 0))
        h = narrow(2 * f, self.state_shift + 1, self.state_bits)
        return h, {"h": h}

"""Simple recurrent cell (Elman network) with tanh or relu."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx

from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import (
    Ints,
    lookup,
    saturate,
    shift_right_round,
    symmetric_max,
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
        f = np.maximum(v, 0) if self.relu else lookup(tanh_table(), v)
        limit = symmetric_max(self.state_bits)
        h = saturate(shift_right_round(2 * f, self.state_shift + 1), -limit, limit)
        return h, {"h": h}

    def onnx_function(self) -> onnx.FunctionProto:
        b = fn.Body()
        n = b.op
        b.nodes += [
            self.onnx_product("x", "input", "a16"),
            self.onnx_product("h", "recurrent", "u16"),
        ]
        v = b.saturate(n("Add", b.cast("a16"), b.cast("u16")))
        relu = b.cast(b.attribute("relu"), onnx.TensorProto.BOOL)
        f = n("Where", relu, n("Max", v, b.const(0)), b.lookup("tanh_table", v))
        unit = n("Pow", b.const(2), b.attribute("state_shift"))
        doubled = n("Add", n("Mul", f, b.const(2)), unit)
        rounded = b.shift_right(doubled, n("Mul", unit, b.const(2)))
        bits = b.attribute("state_bits")
        limit = n("Sub", n("Pow", b.const(2), n("Sub", bits, b.const(1))), b.const(1))
        clipped = n("Max", n("Min", rounded, limit), n("Neg", limit))
        b.cast(clipped, onnx.TensorProto.INT16, "h_next")
        n("Identity", "h_next", output="y")
        return self.as_function(b)

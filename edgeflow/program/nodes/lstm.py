"""Long short-term memory in PyTorch's form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx

from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import (
    PREACTIVATION_FRACTION,
    Ints,
    lookup,
    saturate,
    shift_right_round,
    sigmoid_table,
    symmetric_max,
    tanh_table,
)
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Range, State, StateField
from edgeflow.program.nodes.recurrent import Recurrent


@dataclass(frozen=True, eq=False, repr=False)
class LSTM(Recurrent):
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

    input: Matrix
    recurrent: Matrix
    state_bits: int
    cell_fraction: int

    op_type: ClassVar[str] = "LSTM"
    matrix_fields: ClassVar[tuple[str, ...]] = ("input", "recurrent")
    int_fields: ClassVar[Mapping[str, Range]] = {"state_bits": (8, 16), "cell_fraction": (8, 15)}
    tables: ClassVar[tuple[str, ...]] = ("sigmoid", "tanh")
    state_fields: ClassVar[Mapping[str, StateField]] = {
        "h": ("hidden", "state_bits"),
        "c": ("hidden", 16),
    }
    c_struct: ClassVar[str | None] = "ef_lstm"
    c_function: ClassVar[str | None] = "ef_lstm_step"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_rows("an LSTM", 4)
        self.check_state_width()

    @property
    def scratch(self) -> int:
        return 8 * self.outputs + 1

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        hidden, fraction = self.outputs, self.cell_fraction
        v = saturate(self.product("input", x, state) + self.product("recurrent", state["h"], state))
        i, f = (lookup(sigmoid_table(), v[:, k * hidden : (k + 1) * hidden]) for k in (0, 1))
        g = lookup(tanh_table(), v[:, 2 * hidden : 3 * hidden])
        o = lookup(sigmoid_table(), v[:, 3 * hidden :])
        # the floor of a floor: the exact sum is rounded once
        new = (i * g) >> (15 - fraction)
        c = saturate(shift_right_round(f * state["c"] + new, 15))
        squashed = lookup(
            tanh_table(), saturate(shift_right_round(c << PREACTIVATION_FRACTION, fraction))
        )
        limit = symmetric_max(self.state_bits)
        h = saturate(shift_right_round(o * squashed, 31 - self.state_bits), -limit, limit)
        return h, {"h": h, "c": c}

    def onnx_function(self) -> onnx.FunctionProto:
        b = fn.Body()
        n, const = b.op, b.const
        b.nodes += [
            self.onnx_product("x", "input", "a16"),
            self.onnx_product("h", "recurrent", "u16"),
        ]
        v = b.split(b.saturate(n("Add", b.cast("a16"), b.cast("u16"))), 4)
        i, f, o = (b.lookup("sigmoid_table", v[k]) for k in (0, 1, 3))
        g = b.lookup("tanh_table", v[2])
        fraction = b.attribute("cell_fraction")
        down = n("Pow", const(2), n("Sub", const(15), fraction))
        new = b.shift_right(n("Mul", i, g), down)
        blend = n("Add", n("Add", n("Mul", f, b.cast("c")), new), const(1 << 14))
        c = b.saturate(b.shift_right(blend, const(1 << 15)))
        b.cast(c, onnx.TensorProto.INT16, "c_next")
        one = n("Pow", const(2), fraction)
        scaled = n("Mul", c, const(1 << PREACTIVATION_FRACTION))
        scaled = b.shift_right(n("Add", scaled, n("Div", one, const(2))), one)
        product = n("Mul", o, b.lookup("tanh_table", b.saturate(scaled)))
        bits = b.attribute("state_bits")
        unit = n("Pow", const(2), n("Sub", const(31), bits))
        rounded = b.shift_right(n("Add", product, n("Div", unit, const(2))), unit)
        limit = n("Sub", n("Pow", const(2), n("Sub", bits, const(1))), const(1))
        clipped = n("Max", n("Min", rounded, limit), n("Neg", limit))
        b.cast(clipped, onnx.TensorProto.INT16, "h_next")
        n("Identity", "h_next", output="y")
        return self.as_function(b)

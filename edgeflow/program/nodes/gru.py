"""Gated recurrent unit with the reset gate after the matrix product (PyTorch, cuDNN)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx

from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import (
    Ints,
    lookup,
    saturate,
    shift_right_round,
    sigmoid_table,
    symmetric_max,
    tanh_table,
)
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Range, State
from edgeflow.program.nodes.recurrent import Recurrent


def blend(n: Ints, z: Ints, h: Ints, state_bits: int) -> Ints:
    """Return ``n + z (h - n)`` as the next state, rounded once; n and z are Q0.15."""
    up, limit = 16 - state_bits, symmetric_max(state_bits)
    mixed = (n << 15) + z * ((h << up) - n)
    return saturate(shift_right_round(mixed, 15 + up), -limit, limit)


def onnx_blend(b: fn.Body, n: str, z: str) -> None:
    """Append `blend` of the state h, which gives h_next and y."""
    op, bits = b.op, b.attribute("state_bits")
    up = op("Pow", b.const(2), op("Sub", b.const(16), bits))
    delta = op("Sub", op("Mul", b.cast("h"), up), n)
    mixed = op("Add", op("Mul", n, b.const(1 << 15)), op("Mul", z, delta))
    unit = op("Mul", up, b.const(1 << 15))
    rounded = b.shift_right(op("Add", mixed, op("Div", unit, b.const(2))), unit)
    limit = op("Sub", op("Pow", b.const(2), op("Sub", bits, b.const(1))), b.const(1))
    clipped = op("Max", op("Min", rounded, limit), op("Neg", limit))
    b.cast(clipped, onnx.TensorProto.INT16, "h_next")
    op("Identity", "h_next", output="y")


@dataclass(frozen=True, eq=False, repr=False)
class GRU(Recurrent):
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

    input: Matrix
    recurrent: Matrix
    state_bits: int

    op_type: ClassVar[str] = "GRU"
    matrix_fields: ClassVar[tuple[str, ...]] = ("input", "recurrent")
    int_fields: ClassVar[Mapping[str, Range]] = {"state_bits": (8, 16)}
    tables: ClassVar[tuple[str, ...]] = ("sigmoid", "tanh")
    c_struct: ClassVar[str | None] = "ef_gru"
    c_function: ClassVar[str | None] = "ef_gru_step"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_rows("a GRU", 3)
        self.check_state_width()

    @property
    def scratch(self) -> int:
        return 6 * self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        hidden, h = self.outputs, state["h"]
        a, u = self.product("input", x, state), self.product("recurrent", h, state)
        gates = lookup(sigmoid_table(), saturate(a[:, : 2 * hidden] + u[:, : 2 * hidden]))
        r, z = gates[:, :hidden], gates[:, hidden:]
        candidate = saturate(a[:, 2 * hidden :] + shift_right_round(r * u[:, 2 * hidden :], 15))
        n = lookup(tanh_table(), candidate)
        h = blend(n, z, h, self.state_bits)
        return h, {"h": h}

    def onnx_function(self) -> onnx.FunctionProto:
        b = fn.Body()
        n = b.op
        b.nodes += [
            self.onnx_product("x", "input", "a16"),
            self.onnx_product("h", "recurrent", "u16"),
        ]
        a, u = b.cast("a16"), b.cast("u16")
        a_r, a_z, a_n = b.split(a, 3)
        u_r, u_z, u_n = b.split(u, 3)
        r = b.lookup("sigmoid_table", b.saturate(n("Add", a_r, u_r)))
        z = b.lookup("sigmoid_table", b.saturate(n("Add", a_z, u_z)))
        reset = b.shift_right(n("Add", n("Mul", r, u_n), b.const(1 << 14)), b.const(1 << 15))
        candidate = b.lookup("tanh_table", b.saturate(n("Add", a_n, reset)))
        onnx_blend(b, candidate, z)
        return self.as_function(b)

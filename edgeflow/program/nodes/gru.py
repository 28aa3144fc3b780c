"""Gated recurrent unit with the reset gate after the matrix product (PyTorch, cuDNN)."""

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
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.recurrent import Recurrent


@dataclass(frozen=True)
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
    int_fields: ClassVar[tuple[str, ...]] = ("state_bits",)
    tables: ClassVar[tuple[str, ...]] = ("sigmoid", "tanh")
    c_struct: ClassVar[str | None] = "ef_gru"
    c_function: ClassVar[str | None] = "ef_gru_step"

    def __post_init__(self) -> None:
        self.check_rows("a GRU", 3)
        self.check_state_width()

    @property
    def scratch(self) -> int:
        return 6 * self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        hidden, h = self.outputs, state["h"]
        a, u = self.input.apply(x), self.recurrent.apply(h)
        gates = lookup(sigmoid_table(), saturate(a[:, : 2 * hidden] + u[:, : 2 * hidden]))
        r, z = gates[:, :hidden], gates[:, hidden:]
        candidate = saturate(a[:, 2 * hidden :] + shift_right_round(r * u[:, 2 * hidden :], 15))
        n = lookup(tanh_table(), candidate)
        up = 16 - self.state_bits
        blend = (n << 15) + z * ((h << up) - n)
        limit = symmetric_max(self.state_bits)
        h = saturate(shift_right_round(blend, 15 + up), -limit, limit)
        return h, {"h": h}

    @classmethod
    def onnx_function(cls) -> onnx.FunctionProto:
        b = fn.Body()
        n = b.op
        b.nodes += [fn.matvec("x", "input", "a16"), fn.matvec("h", "recurrent", "u16")]
        a, u = b.cast("a16"), b.cast("u16")
        a_r, a_z, a_n = b.split(a, 3)
        u_r, u_z, u_n = b.split(u, 3)
        r = b.lookup("sigmoid_table", b.saturate(n("Add", a_r, u_r)))
        z = b.lookup("sigmoid_table", b.saturate(n("Add", a_z, u_z)))
        reset = b.shift_right(n("Add", n("Mul", r, u_n), b.const(1 << 14)), b.const(1 << 15))
        candidate = b.lookup("tanh_table", b.saturate(n("Add", a_n, reset)))
        bits = b.attribute("state_bits")
        up = n("Pow", b.const(2), n("Sub", b.const(16), bits))
        delta = n("Sub", n("Mul", b.cast("h"), up), candidate)
        blend = n("Add", n("Mul", candidate, b.const(1 << 15)), n("Mul", z, delta))
        unit = n("Mul", up, b.const(1 << 15))
        rounded = b.shift_right(n("Add", blend, n("Div", unit, b.const(2))), unit)
        limit = n("Sub", n("Pow", b.const(2), n("Sub", bits, b.const(1))), b.const(1))
        clipped = n("Max", n("Min", rounded, limit), n("Neg", limit))
        b.cast(clipped, onnx.TensorProto.INT16, "h_next")
        n("Identity", "h_next", output="y")
        return fn.function(
            cls.op_type,
            [
                "x", "h", *fn.matrix_inputs("input"), *fn.matrix_inputs("recurrent"),
                "sigmoid_table", "tanh_table",
            ],
            ["y", "h_next"],
            b.nodes,
            attributes=["input_shift", "recurrent_shift", "state_bits"],
        )  # fmt: skip

"""Gated recurrent unit with the reset gate before the matrix product (Keras reset_after=False)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import onnx

from edgeflow.errors import ProgramError
from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import (
    Ints,
    lookup,
    saturate,
    shift_right_round,
    sigmoid_table,
    tanh_table,
)
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Range, State
from edgeflow.program.nodes.gru import blend, onnx_blend
from edgeflow.program.nodes.recurrent import Recurrent


@dataclass(frozen=True, eq=False, repr=False)
class GRUResetBefore(Recurrent):
    r"""GRU cell (Cho et al. 2014, arXiv 1406.1078v3; ONNX's ``linear_before_reset=0``).

    With ``a = input(x)`` and ``u = recurrent(h)`` in Q3.12, gates in PyTorch's order r, z, n:

    .. math::
        r &= \sigma(a_r + u_r), \quad z = \sigma(a_z + u_z) \\
        n &= \tanh(a_n + candidate(r \odot h)) \\
        h' &= n + z \odot (h - n)

    Gates are Q0.15, the state and :math:`r \odot h` are Q0.(state_bits - 1), each rounded once.

    Parameters
    ----------
    name : str
    input : Matrix [3 * hidden, inputs]
        Holds all biases.
    recurrent : Matrix [2 * hidden, hidden]
    candidate : Matrix [hidden, hidden]
    state_bits : int
        Width of the state, 8..16.
    """

    input: Matrix
    recurrent: Matrix
    candidate: Matrix
    state_bits: int

    op_type: ClassVar[str] = "GRUResetBefore"
    matrix_fields: ClassVar[tuple[str, ...]] = ("input", "recurrent", "candidate")
    int_fields: ClassVar[Mapping[str, Range]] = {"state_bits": (8, 16)}
    tables: ClassVar[tuple[str, ...]] = ("sigmoid", "tanh")
    c_struct: ClassVar[str | None] = "ef_gru_reset_before"
    c_function: ClassVar[str | None] = "ef_gru_reset_before_step"

    def __post_init__(self) -> None:
        super().__post_init__()
        hidden = self.outputs
        rows = {"input": 3 * hidden, "recurrent": 2 * hidden, "candidate": hidden}
        for field, matrix in self.matrices().items():
            if matrix.rows != rows[field]:
                raise ProgramError(
                    f"layer {self.name}: a GRU of {hidden} units needs {rows[field]} rows, not "
                    f"{matrix.rows} ({field})"
                )
        self.check_state_width()
        if self.candidate.cols != hidden or self.candidate.input_bits != self.state_bits:
            raise ProgramError(
                f"layer {self.name}: the candidate's matrix reads {self.candidate.cols} values of "
                f"{self.candidate.input_bits} bits, the state has {hidden} of {self.state_bits}"
            )

    @property
    def scratch(self) -> int:
        return round_up(self.outputs) + 5 * self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        hidden, h = self.outputs, state["h"]
        a, u = self.product("input", x, state), self.product("recurrent", h, state)
        gates = lookup(sigmoid_table(), saturate(a[:, : 2 * hidden] + u))
        r, z = gates[:, :hidden], gates[:, hidden:]
        kept = shift_right_round(r * h, 15)
        n = lookup(tanh_table(), saturate(a[:, 2 * hidden :] + self.candidate.apply(kept)))
        h = blend(n, z, h, self.state_bits)
        return h, {"h": h}

    def onnx_function(self) -> onnx.FunctionProto:
        b = fn.Body()
        n = b.op
        b.nodes += [
            self.onnx_product("x", "input", "a16"),
            self.onnx_product("h", "recurrent", "u16"),
        ]
        a_r, a_z, a_n = b.split(b.cast("a16"), 3)
        u_r, u_z = b.split(b.cast("u16"), 2)
        r = b.lookup("sigmoid_table", b.saturate(n("Add", a_r, u_r)))
        z = b.lookup("sigmoid_table", b.saturate(n("Add", a_z, u_z)))
        product = n("Add", n("Mul", r, b.cast("h")), b.const(1 << 14))
        b.cast(b.shift_right(product, b.const(1 << 15)), onnx.TensorProto.INT16, "kept")
        b.nodes.append(fn.matvec("kept", "candidate", "c16"))
        candidate = b.lookup("tanh_table", b.saturate(n("Add", a_n, b.cast("c16"))))
        onnx_blend(b, candidate, z)
        return self.as_function(b)

"""Gated recurrent unit with the reset gate before the matrix product (Keras reset_after=False)."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints, saturate, shift_right_round, split
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Activated, State
from edgeflow.program.nodes.gru import blend
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

    op_type = "GRUResetBefore"
    matrix_fields = ("input", "recurrent", "candidate")
    tables = ("sigmoid", "tanh")
    c_struct = "ef_gru_reset_before"

    def __post_init__(self) -> None:
        super().__post_init__()
        hidden = self.outputs
        rows = {"input": 3 * hidden, "recurrent": 2 * hidden, "candidate": hidden}
        for field, matrix in self.matrices().items():
            self.require(
                matrix.rows == rows[field],
                f"a GRU of {hidden} units needs {rows[field]} rows, not {matrix.rows} ({field})",
            )
        self.check_state_width()
        cols, bits = self.candidate.cols, self.candidate.input_bits
        self.require(
            (cols, bits) == (hidden, self.state_bits),
            f"the candidate's matrix reads {cols} values of {bits} bits, the state has {hidden} "
            f"of {self.state_bits}",
        )

    @property
    def activated(self) -> Sequence[Activated]:
        gates = self.recurrent.rows
        return [
            Activated(gates, {"input": 0, "recurrent": 0}),
            Activated(self.hidden, {"input": gates, "candidate": 0}),
        ]

    @property
    def scratch(self) -> int:
        return round_up(self.outputs) + 5 * self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        h = state["h"]
        a_r, a_z, a_n = split(self.product("input", x, state), 3)
        u_r, u_z = split(self.product("recurrent", h, state), 2)
        r = self.activate("sigmoid", saturate(a_r + u_r))
        z = self.activate("sigmoid", saturate(a_z + u_z))
        kept = shift_right_round(r * h, 15)
        n = self.activate("tanh", saturate(a_n + self.candidate.apply(kept)))
        h = blend(n, z, h, self.state_bits)
        return h, {"h": h}

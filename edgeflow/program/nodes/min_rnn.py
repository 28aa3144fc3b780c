"""The common part of minGRU and minLSTM: a leaky state whose rate reads the input only."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from edgeflow.program.fixedpoint import INT16_MIN, Ints, lookup, narrow, split
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class MinRNN(Node):
    r"""Layers of the form ``h' = h + z (candidate - h)`` (Feng et al. 2024, arXiv 2410.01201).

    The candidate is int16 in the unit of the layer; h has 15 fractional bits more, int32, and z
    is Q0.15:

    .. math::
        h' &= h + z \odot (candidate - (h \gg 15)) \\
        y &= clip((h' + 2^{s - 1}) \gg s), \quad s = output\_shift

    h' is exact, so that a slow state does not get stuck: |h'| < 2^30, since it lies between h and
    the candidate.

    z is 0 where its pre-activation saturates at -8: the logistic function is below 2^-11 there, and
    a state that is to be held is held.

    Parameters
    ----------
    name : str
    input : Matrix [blocks * hidden, inputs]
        Rows of the gates, then of the candidate.
    state_bits : int
        Width of the output, 8..16.
    output_shift : int
        In 1..30.
    """

    input: Matrix
    state_bits: int
    output_shift: int

    #: Rows of the matrix per unit.
    blocks: ClassVar[int]
    y_field = ("hidden", "state_bits")
    state_fields = {"h": ("hidden", 32)}
    matrix_fields = ("input",)
    delta_sources = {"input": "x"}
    int_fields = {"state_bits": (8, 16), "output_shift": (1, 30)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.input.rows % self.blocks == 0,
            f"a {self.op_type} needs {self.blocks} rows per unit, not {self.input.rows} in all",
        )

    @property
    def hidden(self) -> int:
        """Number of units."""
        return self.input.rows // self.blocks

    @property
    def scratch(self) -> int:
        return self.input.rows

    @abstractmethod
    def preactivation(self, *gates: Ints) -> Ints:
        """Return the argument of z's logistic function, int16 in Q3.12, from the rows per gate."""

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        *gates, candidate = split(self.product("input", x, state), self.blocks)
        h, v = state["h"], self.preactivation(*gates)
        z = lookup("sigmoid", v) * (v > INT16_MIN)
        h = h + z * (candidate - (h >> 15))
        y = narrow(h, self.output_shift, self.state_bits)
        return y, {"h": h}

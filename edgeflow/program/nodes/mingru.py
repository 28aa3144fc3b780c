"""Minimal gated recurrent unit."""

from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes.min_rnn import MinRNN


@dataclass(frozen=True, eq=False, repr=False)
class MinGRU(MinRNN):
    r"""minGRU: :math:`z = \sigma(v_z)`, rows in the order z (Q3.12), candidate."""

    op_type = "MinGRU"
    blocks = 2
    tables = ("sigmoid",)
    c_struct = "ef_mingru"

    def preactivation(self, *gates: Ints) -> Ints:
        return gates[0]

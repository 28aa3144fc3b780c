"""Minimal gated recurrent unit."""

from dataclasses import dataclass
from typing import ClassVar

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes.min_rnn import MinRNN


@dataclass(frozen=True, eq=False, repr=False)
class MinGRU(MinRNN):
    r"""minGRU: :math:`z = \sigma(v_z)`, rows in the order z (Q3.12), candidate."""

    op_type: ClassVar[str] = "MinGRU"
    blocks: ClassVar[int] = 2
    tables: ClassVar[tuple[str, ...]] = ("sigmoid",)
    c_struct: ClassVar[str | None] = "ef_mingru"
    c_function: ClassVar[str | None] = "ef_mingru_step"

    def preactivation(self, *gates: Ints) -> Ints:
        return gates[0]

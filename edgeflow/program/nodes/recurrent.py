"""The common part of cells whose output is a state that their own matrix reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Activated, Node


class Recurrent(Node):
    """A cell with an `input` and a `recurrent` matrix, and the state h of `state_bits` bits."""

    # fields of the sub-classes, each of which has its own order
    input: Matrix
    recurrent: Matrix
    state_bits: int

    y_field = ("recurrent.inputs", "state_bits")
    output_state = "h"
    delta_sources = {"input": "x", "recurrent": "h"}
    int_fields = {"state_bits": (8, 16)}
    state_fields = {"h": ("hidden", "state_bits")}
    start_fields: ClassVar[tuple[str, ...]] = ("h",)

    def check_state_width(self) -> None:
        """Raise a ProgramError unless h is as wide as `recurrent` was proven for."""
        self.require(
            self.recurrent.x_bits == self.state_bits,
            f"state width {self.state_bits} must equal the recurrent matrix's input width "
            f"{self.recurrent.x_bits}",
        )


@dataclass(frozen=True, eq=False, repr=False)
class Gated(Recurrent):
    """A cell whose two matrices have the same rows: those of its gates for each unit."""

    input: Matrix
    recurrent: Matrix
    state_bits: int

    matrix_fields = ("input", "recurrent")
    #: Name of the cell, and its rows per unit.
    gates: ClassVar[tuple[str, int]]
    #: Of these the first so many whose two sums are added and activated.
    activated_gates: ClassVar[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        kind, gates = self.gates
        rows, given = gates * self.hidden, (self.input.rows, self.recurrent.rows)
        self.require(
            given == (rows, rows),
            f"{kind} of {self.hidden} units needs {rows} rows, not {given[0]} (input) and "
            f"{given[1]} (recurrent)",
        )
        self.check_state_width()

    @property
    def activated(self) -> Sequence[Activated]:
        return [Activated(self.activated_gates * self.hidden, {"input": 0, "recurrent": 0})]

    @property
    def scratch(self) -> int:
        return self.input.rows + self.recurrent.rows

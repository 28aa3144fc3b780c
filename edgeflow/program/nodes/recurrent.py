"""The common part of cells whose output is a state that their own matrix reads."""

from collections.abc import Mapping
from typing import ClassVar

from edgeflow.errors import ProgramError
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node, StateVector


class Recurrent(Node):
    """A cell with an `input` and a `recurrent` matrix, and the state h of `state_bits` bits."""

    # fields of the sub-classes, each of which has its own order
    input: Matrix
    recurrent: Matrix
    state_bits: int

    output_state: ClassVar[str | None] = "h"
    delta_sources: ClassVar[Mapping[str, str]] = {"input": "x", "recurrent": "h"}

    def check_state_width(self) -> None:
        """Raise a ProgramError unless h is 8 to 16 bits wide, as `recurrent` was proven for."""
        if not 8 <= self.state_bits <= 16 or self.recurrent.x_bits != self.state_bits:
            raise ProgramError(
                f"layer {self.name}: state width {self.state_bits} must be in 8..16 and equal the "
                f"recurrent matrix's input width {self.recurrent.x_bits}"
            )

    def check_rows(self, kind: str, gates: int) -> None:
        """Raise a ProgramError unless both matrices have `gates` rows per unit."""
        hidden = self.recurrent.inputs
        if self.recurrent.rows != gates * hidden or self.input.rows != gates * hidden:
            raise ProgramError(
                f"layer {self.name}: {kind} of {hidden} units needs {gates * hidden} rows, not "
                f"{self.input.rows} (input) and {self.recurrent.rows} (recurrent)"
            )

    @property
    def inputs(self) -> int:
        return self.input.inputs

    @property
    def outputs(self) -> int:
        return self.recurrent.inputs

    @property
    def input_bits(self) -> int:
        return self.input.x_bits

    @property
    def output_bits(self) -> int:
        return self.state_bits

    @property
    def states(self) -> Mapping[str, StateVector]:
        return {"h": StateVector(self.outputs, self.state_bits)}

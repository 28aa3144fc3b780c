"""The common part of cells whose output is a state that their own matrix reads."""

from collections.abc import Mapping
from typing import ClassVar

from edgeflow.errors import ProgramError
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node, StateField


class Recurrent(Node):
    """A cell with an `input` and a `recurrent` matrix, and the state h of `state_bits` bits."""

    # fields of the sub-classes, each of which has its own order
    input: Matrix
    recurrent: Matrix
    state_bits: int

    output_state: ClassVar[str | None] = "h"
    delta_sources: ClassVar[Mapping[str, str]] = {"input": "x", "recurrent": "h"}
    state_fields: ClassVar[Mapping[str, StateField]] = {"h": ("hidden", "state_bits")}

    def check_state_width(self) -> None:
        """Raise a ProgramError unless h is as wide as `recurrent` was proven for."""
        if self.recurrent.x_bits != self.state_bits:
            raise ProgramError(
                f"layer {self.name}: state width {self.state_bits} must equal the recurrent "
                f"matrix's input width {self.recurrent.x_bits}"
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

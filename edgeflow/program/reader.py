"""A program that reads a recording sample by sample, as the board does: with one state, or two."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeflow.overlap import Overlap
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes.base import State

if TYPE_CHECKING:
    from edgeflow.program.program import Program


class Reader:
    """A program that reads one recording, sample by sample, as the board does.

    Parameters
    ----------
    program : Program

    Attributes
    ----------
    read : int
        Samples since the reset of the state whose outputs were last returned; 0 after a reset.
    due : bool
        Whether a decision was due after the last sample. Always if windows do not overlap.
    state : list of State
        That of the outputs.
    """

    def __init__(self, program: "Program") -> None:
        self._program, self._overlap = program, program.overlap
        self.state: list[State] = program.initial_state()
        self.reset()

    def reset(self) -> None:
        """Begin a recording, or a window of those that do not overlap; what was learned stays."""
        self.state = self._program.reset(self.state)
        self._younger: list[State] = self.state
        self.read, self.due = 0, False
        self._wait = 0 if self._overlap is None else self._overlap.first

    def step(self, x: NDArray[np.int16]) -> Ints:
        """Read a sample x int16 [1, inputs]; return the outputs [1, outputs]."""
        program, overlap = self._program, self._overlap
        if overlap is not None and self.read == overlap.window:
            self.state, self.read = self._younger, self.read - overlap.stagger
        y, self.state = program.step(x, self.state)
        if overlap is not None and self.read >= overlap.stagger:
            if self.read == overlap.stagger:
                self._younger = program.initial_state()
            _, self._younger = program.step(x, self._younger)
        self.read += 1
        self.due = overlap is None or self._is_due(overlap)
        return y

    def _is_due(self, overlap: Overlap) -> bool:
        self._wait -= 1
        if self._wait:
            return False
        self._wait = overlap.hop
        return True

"""Delay line: the last samples side by side, for a causal convolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State, StateVector


@dataclass(frozen=True, eq=False, repr=False)
class Taps(Node):
    """``y = [x(t - (taps - 1) dilation), ..., x(t - dilation), x(t)]``, zeros after a reset.

    Parameters
    ----------
    name : str
    size : int
        Values per sample.
    bits : int
        Their width, 2..16.
    taps : int
        At least 2.
    dilation : int
        At least 1.
    """

    size: int
    bits: int
    taps: int
    dilation: int = 1

    op_type: ClassVar[str] = "Taps"
    int_fields: ClassVar[tuple[str, ...]] = ("size", "bits", "taps", "dilation")
    c_struct: ClassVar[str | None] = "ef_taps"
    c_function: ClassVar[str | None] = "ef_taps_step"

    def __post_init__(self) -> None:
        most = MAX_SIZE // max(self.size, 1)
        self.check_ranges(
            {"size": (1, MAX_SIZE), "bits": (2, 16), "taps": (2, most), "dilation": (1, most)}
        )
        if self.states["past"].size > MAX_SIZE:
            raise ProgramError(
                f"layer {self.name}: {self.taps} taps of {self.size} values, {self.dilation} "
                f"samples apart, need {self.states['past'].size} values: at most {MAX_SIZE} fit"
            )

    @property
    def inputs(self) -> int:
        return self.size

    @property
    def outputs(self) -> int:
        return self.taps * self.size

    @property
    def input_bits(self) -> int:
        return self.bits

    @property
    def output_bits(self) -> int:
        return self.bits

    @property
    def states(self) -> Mapping[str, StateVector]:
        return {"past": StateVector((self.taps - 1) * self.dilation * self.size, self.bits)}

    @property
    def c_sizes(self) -> tuple[int, ...]:
        return ()

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        whole = np.concatenate([state["past"], x], axis=1)
        samples = whole.reshape(-1, (self.taps - 1) * self.dilation + 1, self.size)
        y = samples[:, :: self.dilation].reshape(-1, self.taps * self.size)
        return y, {"past": whole[:, self.size :]}

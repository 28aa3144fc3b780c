"""Delay line: the last samples side by side, for a causal convolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, Range, State, StateField


@dataclass(frozen=True, eq=False, repr=False)
class Taps(Node):
    """``y = [x(t - (taps - 1) dilation), ..., x(t - dilation), x(t)]``, zeros after a reset.

    Parameters
    ----------
    name : str
    size : int
        Values of a sample.
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
    size_fields: ClassVar[tuple[str, ...]] = ()
    int_fields: ClassVar[Mapping[str, Range]] = {
        "size": (1, MAX_SIZE), "bits": (2, 16), "taps": (2, MAX_SIZE), "dilation": (1, MAX_SIZE),
    }  # fmt: skip
    state_fields: ClassVar[Mapping[str, StateField]] = {"past": ("past", "bits")}
    c_struct: ClassVar[str | None] = "ef_taps"
    c_function: ClassVar[str | None] = "ef_taps_step"

    def __post_init__(self) -> None:
        super().__post_init__()
        if max(self.past, self.outputs) > MAX_SIZE:
            raise ProgramError(
                f"layer {self.name}: {self.taps} taps of {self.size} values, {self.dilation} "
                f"samples apart, need {self.past} values: at most {MAX_SIZE} fit"
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
    def past(self) -> int:
        """Values of the samples before x."""
        return (self.taps - 1) * self.dilation * self.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        whole = np.concatenate([state["past"], x], axis=1)
        samples = whole.reshape(-1, (self.taps - 1) * self.dilation + 1, self.size)
        y = samples[:, :: self.dilation].reshape(-1, self.taps * self.size)
        return y, {"past": whole[:, self.size :]}

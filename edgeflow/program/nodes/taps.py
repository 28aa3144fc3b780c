"""Delay line: the last samples side by side, for a causal convolution."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State


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

    op_type = "Taps"
    x_field = ("size", "bits")
    y_field = ("outputs", "bits")
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE), "bits": (2, 16), "taps": (2, MAX_SIZE), "dilation": (1, MAX_SIZE),
    }  # fmt: skip
    state_fields = {"past": ("past", "bits")}
    c_struct = "ef_taps"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            max(self.past, self.outputs) <= MAX_SIZE,
            f"{self.taps} taps of {self.size} values, {self.dilation} samples apart, need "
            f"{self.past} values: at most {MAX_SIZE} fit",
        )

    @property
    def outputs(self) -> int:
        return self.taps * self.size

    @property
    def past(self) -> int:
        """Values of the samples before x."""
        return (self.taps - 1) * self.dilation * self.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        whole = np.concatenate([state["past"], x], axis=1)
        samples = whole.reshape(-1, (self.taps - 1) * self.dilation + 1, self.size)
        y = samples[:, :: self.dilation].reshape(-1, self.taps * self.size)
        return y, {"past": whole[:, self.size :]}

"""A layer that plays samples back and ignores its input: it feeds the layer under measurement."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT16_MAX, Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import INT16, Node, State


@dataclass(frozen=True, eq=False, repr=False)
class Playback(Node):
    """``y = samples[t]``, then ``t' = (t + 1) mod steps``.

    Parameters
    ----------
    name : str
    samples : int16 array [steps * width]
    width : int
    steps : int
    bits : int
        Declared width of the samples, 2..16.
    reads : int
        Number of input values, which are ignored.
    """

    samples: NDArray[np.int16]
    width: int
    steps: int
    bits: int
    reads: int

    op_type = "Playback"
    x_field = ("reads", 16)
    y_field = ("width", "bits")
    array_fields = {"samples": INT16}
    int_fields = {
        "width": (1, MAX_SIZE), "steps": (1, INT16_MAX), "bits": (2, 16), "reads": (1, MAX_SIZE),
    }  # fmt: skip
    state_fields = {"time": (1, 16)}

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        samples, time = self.samples.astype(np.int64), state["time"]
        row = samples.reshape(self.steps, self.width)[time].reshape(-1, self.width)
        return row, {"time": (time + 1) % self.steps}

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        time = f"{state['time']}[0]"
        return (
            f"ef_copy_flash({y}, &{self.name}_samples[{time} * {self.width}], "
            f"{self.width} * sizeof *{y});\n"
            f"    {time} = (int16_t)(({time} + 1) % {self.steps});"
        )

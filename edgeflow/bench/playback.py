"""A layer that plays samples back, whatever it reads: it feeds the layer that is measured next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import INT16_MAX, Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import INT16, Node, Range, State, StateField


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
        Number of input values, which it does not look at.
    """

    samples: NDArray[np.int16]
    width: int
    steps: int
    bits: int
    reads: int

    op_type: ClassVar[str] = "Playback"
    array_fields: ClassVar[Mapping[str, Range]] = {"samples": INT16}
    int_fields: ClassVar[Mapping[str, Range]] = {
        "width": (1, MAX_SIZE), "steps": (1, INT16_MAX), "bits": (2, 16), "reads": (1, MAX_SIZE),
    }  # fmt: skip
    state_fields: ClassVar[Mapping[str, StateField]] = {"time": (1, 16)}

    @property
    def inputs(self) -> int:
        return self.reads

    @property
    def outputs(self) -> int:
        return self.width

    @property
    def input_bits(self) -> int:
        return 16

    @property
    def output_bits(self) -> int:
        return self.bits

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        samples = self.samples.reshape(self.steps, self.width).astype(np.int64)
        time = state["time"]
        return samples[time[:, 0]], {"time": (time + 1) % self.steps}

    def onnx_function(self) -> onnx.FunctionProto:
        b = fn.Body()
        time = b.cast("time")
        row = b.op("Mul", time, b.attribute("width"))
        columns = b.op("Range", b.const(0), b.attribute("width"), b.const(1))
        b.op("Gather", "samples", b.op("Add", row, columns), output="y")
        after = b.op("Mod", b.op("Add", time, b.const(1)), b.attribute("steps"))
        b.cast(after, onnx.TensorProto.INT16, "time_next")
        return self.as_function(b)

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        time = f"{state['time']}[0]"
        return (
            f"memcpy({y}, &{self.name}_samples[{time} * {self.width}], "
            f"{self.width} * sizeof *{y});\n"
            f"    {time} = (int16_t)(({time} + 1) % {self.steps});"
        )

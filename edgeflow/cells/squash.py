"""Sigmoid and tanh between layers."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells.cell import Layer
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.quantization import PREACTIVATION_SCALE, Calibration, Converted, Signal


def to_table(source: Signal) -> tuple[NDArray[np.int32], int]:
    """Return the multipliers [size] and the shift that bring values to a table's format, Q3.12."""
    ratio = source.scale / PREACTIVATION_SCALE
    shift = max(1, int(np.floor(np.log2(max(float(ratio.max()), 0.25)))) + 2)
    if shift > 15:
        raise CompressError("its values are far beyond the 8 at which it is level: scale them")
    return np.round(ratio * 2.0 ** (32 - shift)).astype(np.int32), shift


def convert(kind: Any, layer: Any, given: Calibration) -> Converted:
    """Bring each value to the table's format."""
    source = given.source
    if source.offset.any():
        raise CompressError("it reads the input: put a linear layer in front of it")
    multiplier, shift = to_table(source)
    node = kind(given.name, multiplier, source.bits, given.state_bits, shift)
    return Converted(node, given.state())


SIGMOID = Layer(nn.Sigmoid, partial(convert, nodes.Sigmoid))
TANH = Layer(nn.Tanh, partial(convert, nodes.Tanh))

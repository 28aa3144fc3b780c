"""Rectified linear unit, ``y = max(x, 0)``."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells.cell import Layer
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.nodes import ReLU
from edgeflow.quantization import Converted, Signal, Widths


def convert(
    name: str, layer: Any, source: Signal, real: NDArray[np.float32], widths: Widths
) -> Converted:
    """Rectify, and narrow to the width that matrices read by a shift from calibration.

    Raises
    ------
    CompressError
        If it reads values whose integer zero is not zero.
    """
    if source.offset.any():
        raise CompressError("it reads the input: put a linear layer in front of it")
    size, bits = len(source.scale), min(widths.state, source.bits)
    top = float((np.abs(real).max(axis=(0, 1)) / source.scale).max())
    shift = max(0, math.ceil(math.log2(max(top, 1.0) / symmetric_max(bits))))
    node = ReLU(name, size, source.bits, bits, min(shift, 15))
    return Converted(node, Signal(np.zeros(size), source.scale * 2.0**node.shift, bits, real))


LAYER = Layer(nn.ReLU, convert)

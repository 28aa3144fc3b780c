"""Rectified linear unit, ``y = max(x, 0)``."""

import math
from typing import Any

import numpy as np
from torch import nn

from edgeflow.cells.cell import Layer
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.nodes import ReLU
from edgeflow.quantization import Calibration, Converted


def convert(layer: Any, given: Calibration) -> Converted:
    """Rectify, and narrow to the width that matrices read by a shift from calibration."""
    source = given.source
    if source.offset.any():
        raise CompressError("it reads the input: put a linear layer in front of it")
    bits = min(given.state_bits, source.bits)
    top = float((np.abs(given.real).max(axis=(0, 1)) / source.scale).max())
    shift = max(0, math.ceil(math.log2(max(top, 1.0) / symmetric_max(bits))))
    node = ReLU(given.name, len(source.scale), source.bits, bits, min(shift, 15))
    return Converted(node, given.output(source.scale * 2.0**node.shift, bits))


LAYER = Layer(nn.ReLU, convert)

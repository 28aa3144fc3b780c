"""Fully connected layer, ``y = W x + b``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells.cell import Layer
from edgeflow.compress.convert import Converted, Signal, Widths, parameters, quantize_matrix
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes import Linear

#: Head room of the output over the largest value seen in calibration.
OUTPUT_MARGIN = 1.25


def convert(
    name: str, layer: Any, source: Signal, real: NDArray[np.float32], widths: Widths
) -> Converted:
    """Quantize; the output's scale comes from calibration."""
    weight, bias = parameters(layer.weight, layer.bias)
    scale = max(float(np.abs(real).max()) * OUTPUT_MARGIN, 1e-6) / INT16_MAX
    node = Linear(name, quantize_matrix(weight, bias, source, scale))
    size = node.outputs
    return Converted(node, Signal(np.zeros(size), np.full(size, scale), node.output_bits, real))


LAYER = Layer(nn.Linear, convert)

"""Fully connected layer, ``y = W x + b``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells.cell import Layer, copy_params, slice_rows
from edgeflow.program.fixedpoint import INT16_MAX, Ints
from edgeflow.program.nodes import Linear
from edgeflow.quantization import Affine, Converted, Floats, Signal, Widths, parameters, quantized

#: Head room of the output over the largest value seen in calibration.
OUTPUT_MARGIN = 1.25


def convert(
    name: str, layer: Any, source: Signal, real: NDArray[np.float32], widths: Widths
) -> Converted:
    """Quantize; the output's scale comes from calibration."""
    weight, bias = parameters(layer.weight, layer.bias)
    scale = max(float(np.abs(real).max()) * OUTPUT_MARGIN, 1e-6) / INT16_MAX
    products = {"matrix": Affine(weight, bias, source, scale)}
    node, size = Linear(name, **quantized(products, name, widths)), len(bias)
    output = Signal(np.zeros(size), np.full(size, scale), node.output_bits, real)
    return Converted(node, output, provenance=products)


def load_dequantized(layer: Any, real: Mapping[str, Floats]) -> None:
    """Give the layer these weights."""
    copy_params([layer.weight], real["matrix"])


@torch.no_grad()
def prune_units(layer: Any, inputs: Ints, units: Ints) -> nn.Linear:
    """Return a layer of these inputs and outputs."""
    smaller = nn.Linear(len(inputs), len(units), bias=layer.bias is not None)
    smaller.weight.copy_(slice_rows(layer.weight, units, inputs))
    if layer.bias is not None:
        smaller.bias.copy_(slice_rows(layer.bias, units))
    return smaller


LAYER = Layer(nn.Linear, convert, load_dequantized=load_dequantized, prune_units=prune_units)

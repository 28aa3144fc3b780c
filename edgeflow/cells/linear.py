"""Fully connected layer, ``y = W x + b``."""

from typing import Any

import torch
from torch import nn

from edgeflow.cells.cell import Layer, Weights, copy_params, slice_rows
from edgeflow.program.fixedpoint import INT16_MAX, Ints
from edgeflow.program.nodes import Linear
from edgeflow.quantization import Affine, Calibration, Converted, parameters, reach


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; the output's scale comes from calibration."""
    scale = reach(given.real) / INT16_MAX
    read = given.source
    weights = parameters(layer.weight, layer.bias)
    products = {"matrix": Affine(*weights, read, scale, compensate=read.lagged)}
    node = Linear(given.name, **given.matrices(products))
    return Converted(node, given.output(scale, node.output_bits), provenance=products)


def load_dequantized(layer: Any, real: Weights) -> None:
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

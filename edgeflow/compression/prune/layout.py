"""The matrices of the integer program as pruning sees them, from the float layers.

Blocks must lie where the kernels find them, so masks belong to the program's matrices. Which
parameters of a layer stand for a matrix, its cell tells by `Layer.load_dequantized`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.cells.cells import layer_of
from edgeflow.compression.convert import converted
from edgeflow.compression.input_range import equalized, input_format
from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune.mask import Bools
from edgeflow.quantization import Converted, Floats, Widths


def layers_converted(model: ChainModel, samples: NDArray[np.float32]) -> list[Converted]:
    """Return the integer form of each layer, calibrated on raw samples [n, time, channels]."""
    chain, widths = model.chain(), Widths()
    form = equalized(input_format(chain, samples, widths), chain)
    return [done for _, done in converted(chain, samples, widths, form)]


def trained_matrices(done: Converted) -> dict[str, Floats]:
    """Return the float weights [rows, cols] behind the matrices of a layer, by field."""
    return {field: affine.weight for field, affine in done.provenance.items()}


@torch.no_grad()
def dropped_parameters(layer: nn.Module, keep: Mapping[str, Bools]) -> list[Tensor]:
    """Return which values of each parameter go, given which weights of each matrix stay.

    A matrix whose parameters cannot be told, such as a product of two, loses none.
    """
    values = _values(layer)
    try:
        nothing, everything, chosen = (
            _assigned(layer, {field: make(mask) for field, mask in keep.items()})
            for make in (_zeros, _ones, np.float64)
        )
    finally:
        _restore(layer, values)
    return [
        (new == low) & (high != low)
        for low, high, new in zip(nothing, everything, chosen, strict=True)
    ]


@torch.no_grad()
def drop(layer: nn.Module, keep: Mapping[str, Bools], dropped: list[Tensor]) -> None:
    """Make the weights that go zero; `dropped` is of `dropped_parameters`."""
    values = _values(layer)
    zero = _assigned(layer, {field: _zeros(mask) for field, mask in keep.items()})
    # zero of a sum of parameters is not zero in each
    _restore(layer, [torch.where(d, z, v) for d, z, v in zip(dropped, zero, values, strict=True)])


@torch.no_grad()
def weights_of(layer: nn.Module) -> list[Tensor]:
    """Return the parameters [rows, cols] of a layer that matrices stand for."""
    if layer_of(layer).load_dequantized is None:
        return []
    return [parameter for parameter in layer.parameters() if parameter.dim() == 2]


def _zeros(mask: Bools) -> Floats:
    return np.zeros(mask.shape)


def _ones(mask: Bools) -> Floats:
    return np.ones(mask.shape)


def _values(layer: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in layer.parameters()]


def _restore(layer: nn.Module, values: list[Tensor]) -> None:
    for parameter, value in zip(layer.parameters(), values, strict=True):
        parameter.copy_(value)


@torch.no_grad()
def assigned(layer: nn.Module, matrices: Mapping[str, Any]) -> list[Tensor]:
    """Return what the parameters would be with these matrices; the layer is not changed."""
    values = _values(layer)
    try:
        return _assigned(layer, matrices)
    finally:
        _restore(layer, values)


def _assigned(layer: nn.Module, matrices: Mapping[str, Any]) -> list[Tensor]:
    """Return the parameters after giving the layer these matrices."""
    assign = layer_of(layer).load_dequantized
    if assign is not None:
        assign(layer, matrices)
    return _values(layer)

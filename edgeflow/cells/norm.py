"""Normalisation: that of the batch is part of a linear layer, that of a step is a layer itself."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells import linear
from edgeflow.cells.cell import Layer, Weights, copy_params
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import INT16_MAX, symmetric_max
from edgeflow.program.nodes.layer_norm import MAX_EPSILON
from edgeflow.quantization import Calibration, Converted, Floats


class NormedLinear(nn.Module):
    """``norm(W x)`` of x [..., inputs], with statistics over all but the last axis.

    Attributes
    ----------
    weight : Tensor [outputs, inputs]
        W times the normalisation's gain, of the running statistics.
    bias : Tensor [outputs]
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    @property
    def weight(self) -> Tensor:
        return self.linear.weight * affine(self.norm)[0][:, None]

    @property
    def bias(self) -> Tensor:
        return affine(self.norm)[1]

    def load_dequantized(self, real: Floats) -> None:
        """Make `weight` these values, by those of the linear map."""
        copy_params([self.linear.weight], real / affine(self.norm)[0].double().numpy()[:, None])

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        normed: Tensor = self.norm(y.flatten(0, -2))
        return normed.view_as(y)


def affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return gain and offset [channels] of a batch normalisation in evaluation mode."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None and var is not None
    gain = torch.rsqrt(var + norm.eps)
    if norm.weight is not None:
        gain = gain * norm.weight
    offset = -mean * gain
    return gain, offset if norm.bias is None else offset + norm.bias


def unsupported_norm(layer: Any) -> str | None:
    """Refuse statistics of the batch."""
    missing = "no running statistics: train it with track_running_stats=True"
    return missing if layer.running_mean is None else None


def convert_norm(layer: Any, given: Calibration) -> Converted:
    """Refuse: importers make a normalisation part of its neighbours."""
    raise CompressError("a batch normalisation without a linear layer beside it")


def unsupported_layer_norm(layer: Any) -> str | None:
    """Refuse a norm over more than the channels of a step."""
    reason = f"normalized_shape {list(layer.normalized_shape)}: use the number of channels"
    return reason if len(layer.normalized_shape) != 1 else None


@torch.no_grad()
def convert_layer_norm(layer: Any, given: Calibration) -> Converted:
    """Quantize; the output's scale comes from calibration."""
    source, bits = given.source, given.state_bits
    if source.offset.any() or np.ptp(source.scale) > 1e-6 * source.scale.max():
        raise CompressError("its channels have scales of their own: put a linear layer before it")
    size = len(source.scale)
    ones, zeros = torch.ones(size), torch.zeros(size)
    gain = (ones if layer.weight is None else layer.weight).double().numpy()
    bias = (zeros if layer.bias is None else layer.bias).double().numpy()
    unit = max(float(np.abs(given.real).max()), 1e-6) / symmetric_max(bits)
    top = float(np.abs(gain).max()) / unit
    shift = int(np.clip(np.floor(np.log2(INT16_MAX / max(top, 1e-9))), 0, 15))
    epsilon = round(layer.eps * size**2 / float(source.scale[0]) ** 2)
    node = nodes.LayerNorm(
        given.name,
        gain=np.clip(np.round(gain / unit * 2**shift), -INT16_MAX, INT16_MAX).astype(np.int16),
        bias=np.round(bias / unit * 2**shift).astype(np.int32),
        epsilon=min(max(epsilon, 1), MAX_EPSILON),
        source_bits=source.bits,
        state_bits=bits,
        shift=shift,
    )
    return Converted(node, given.output(unit, bits))


@torch.no_grad()
def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the layer these weights, normalisation included."""
    layer.load_dequantized(real["matrix"])


LAYER = Layer(NormedLinear, linear.convert, load_dequantized=load_dequantized)
BATCH_NORM = Layer(nn.BatchNorm1d, convert_norm, unsupported_reason=unsupported_norm)
LAYER_NORM = Layer(nn.LayerNorm, convert_layer_norm, unsupported_reason=unsupported_layer_norm)

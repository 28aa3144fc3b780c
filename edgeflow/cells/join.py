"""Layers that join branches, which they read side by side: sums and products."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import INT16_MAX, INT32_MAX, largest_magnitude, symmetric_max
from edgeflow.quantization import Calibration, Converted, Floats, reach

#: Bits of a sum of a single branch, which only changes units: those of an output.
_ALONE = 16


class Sum(nn.Module):
    """``y = bias + sum_b gain_b x_b`` of branches side by side, x [..., branches * size].

    Parameters
    ----------
    gain : Tensor [branches, size]
    bias : Tensor [size], optional
    """

    gain: Tensor
    bias: Tensor

    def __init__(self, gain: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("gain", gain.float())
        self.register_buffer("bias", torch.zeros(gain.shape[1]) if bias is None else bias.float())

    def forward(self, x: Tensor) -> Tensor:
        branches = x.unflatten(-1, tuple(self.gain.shape))
        return (branches * self.gain).sum(dim=-2) + self.bias


class Product(nn.Module):
    """``y = a b`` of two branches side by side, x [..., 2 * size]."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=-1)
        return a * b


def convert_sum(layer: Any, given: Calibration) -> Converted:
    """Bring each branch to the unit of the sum, which comes from calibration."""
    source, (branches, size) = given.source, layer.gain.shape
    bits = _ALONE if branches == 1 else given.state_bits
    unit = reach(given.real) / symmetric_max(bits)
    real = layer.gain.double().numpy().reshape(-1)
    moved = (real * source.offset).reshape(branches, size).sum(axis=0)
    gain = real * source.scale / unit
    bias = (layer.bias.double().numpy() + moved) / unit
    shift = shared_shift(gain.reshape(branches, size), bias, source.bits)
    node = nodes.Add(
        given.name,
        np.round(gain * 2.0**shift).astype(np.int16),
        np.round(bias * 2.0**shift).astype(np.int32),
        branches,
        source.bits,
        bits,
        shift,
    )
    return Converted(node, given.output(unit, bits))


def shared_shift(gain: Floats, bias: Floats, bits: int) -> int:
    """Return the most fractional bits of gains whose sums, rounded gains included, fit 32 bits."""
    most = (np.abs(gain).sum(axis=0) * largest_magnitude(bits) + np.abs(bias) + 0.5).max()
    rounded = len(gain) * largest_magnitude(bits) / 2 + 1
    for shift in range(30, 0, -1):
        if np.abs(gain).max() * 2.0**shift <= INT16_MAX and most * 2.0**shift + rounded < INT32_MAX:
            return shift
    raise CompressError(
        "a branch is more than 16,384 times as large as the sum of all: leave it out, or scale it"
    )


def convert_product(layer: Any, given: Calibration) -> Converted:
    """Bring the product to a unit from calibration."""
    source, bits = given.source, given.state_bits
    if source.offset.any():
        raise CompressError("it reads the input: put a linear layer in front of it")
    a, b = np.split(source.scale, 2)
    # not finer than half of what two units make
    unit = max(reach(given.real) / symmetric_max(bits), 2.001 * float((a * b).max()))
    multiplier = np.round(a * b / unit * 2.0**32).astype(np.int32)
    node = nodes.Multiply(given.name, multiplier, source.bits, bits)
    return Converted(node, given.output(unit, bits))


SUM = Layer(Sum, convert_sum)
PRODUCT = Layer(Product, convert_product)

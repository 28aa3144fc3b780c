"""Layers that turn samples into spikes, and neurons with normalised currents."""

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import copy_params
from edgeflow.cells.lif import LIF
from edgeflow.cells.norm import NormedLinear, affine
from edgeflow.cells.options import check_width
from edgeflow.cells.stack import Stack
from edgeflow.cells.taps import DelayLine
from edgeflow.quantization import Floats

#: Slope of the surrogate gradient: populations in a row need a wide one.
SLOPE = 5.0


class Population(nn.Module):
    """Normalised currents of some neurons per channel, each of which reads its own channel only.

    Maps x [..., taps * channels], as ``edgeflow.cells.taps.DelayLine`` lays samples out, to
    [..., channels * size].

    Attributes
    ----------
    weight : Tensor [channels * size, taps * channels]
        Those of the running statistics; zero but for a neuron's own channel.
    bias : Tensor [channels * size]
    """

    def __init__(self, channels: int, size: int, taps: int = 1) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.empty(channels, size, taps).uniform_(-1, 1))
        self.norm = nn.BatchNorm1d(channels * size)

    @property
    def weight(self) -> Tensor:
        own = torch.eye(len(self.gain))[:, None, None, :] * self.gain[..., None]
        return own.flatten(2).flatten(0, 1) * affine(self.norm)[0][:, None]

    @property
    def bias(self) -> Tensor:
        return affine(self.norm)[1]

    def load_dequantized(self, real: Floats) -> None:
        """Make `weight` these values, by those of `gain`."""
        channels, size, taps = self.gain.shape
        plain = real / affine(self.norm)[0].double().numpy()[:, None]
        by_channel = plain.reshape(channels, size, taps, channels)
        own = np.arange(channels)
        copy_params([self.gain], by_channel[own, :, :, own])

    def forward(self, x: Tensor) -> Tensor:
        channels, size, taps = self.gain.shape
        y = torch.einsum("...tc,cst->...cs", x.unflatten(-1, (taps, channels)), self.gain)
        normed: Tensor = self.norm(y.reshape(-1, channels * size))
        return normed.view(*x.shape[:-1], channels * size)


def neurons(kind: type[LIF], inputs: int, currents: Population | NormedLinear) -> LIF:
    """Return neurons without recurrence, with these currents of what they read."""
    layer = kind(inputs, currents.norm.num_features, recurrent=False, slope=SLOPE)
    layer.add_module("input", currents)
    if kind.synapse:  # it sums up 1 / (1 - alpha) of its current
        with torch.no_grad():
            currents.norm.weight.mul_(1 - layer.alpha)
    return layer


def input_module(kind: type[LIF], inputs: int, hidden: int, population: int, taps: int) -> Stack:
    """Return layers that turn samples [n, time, inputs] into spikes [n, time, hidden].

    Parameters
    ----------
    kind : type
        ``LIF`` or ``CubaLIF``.
    inputs, hidden : int
    population : int
        Neurons per channel in the first population; two fully connected ones follow.
    taps : int
        Last samples of its channel that a neuron of the first population reads.
    """
    wide = population * inputs
    check_width("population times channels", wide)
    check_width("kernel_size times channels", taps * inputs)
    delay: list[nn.Module] = [DelayLine(taps)] if taps > 1 else []
    return Stack(
        [
            *delay,
            neurons(kind, taps * inputs, Population(inputs, population, taps)),
            neurons(kind, wide, NormedLinear(wide, hidden)),
            neurons(kind, hidden, NormedLinear(hidden, hidden)),
        ]
    )

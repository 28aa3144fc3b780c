r"""LMUFormer: convolutional patch embedding, LMU and channel mixer; and its spiking version.

A layer, with BN for batch normalisation and LMU for the feed-forward one of
``edgeflow.cells.lmu``, is

.. math::
    e_t &= relu(BN(W_e [x_{t-k+1}, \ldots, x_t])) \\
    h_t &= LMU(e_t) \\
    y_t &= h_t + BN(W_2\, relu(BN(W_1 h_t)))

where only the first layer has the embedding. Everything reads the past only, and a step makes one
output of one sample. The spiking version has :math:`N_k`, ``LIF`` neurons of
``edgeflow.cells.lif`` without recurrence, in place of each activation:

.. math::
    e_t &= N_e(BN(W_e [x_{t-k+1}, \ldots, x_t])) \\
    y_t &= N_2(BN(W_2\, N_1(BN(W_1 LMU(e_t)))))

Z. Liu, G. Datta, A. Li, P. Beerel, LMUFormer: low complexity yet powerful spiking model with
Legendre Memory Units, ICLR 2024, arXiv 2402.04882. The embedding there has several convolutions,
and the LMU a residual connection of its own; here both are small enough for a microcontroller.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells import lif
from edgeflow.cells.cell import Cell, Weights
from edgeflow.cells.lif import LIF
from edgeflow.cells.lmu import LMU, ORDER, THETA, memories
from edgeflow.cells.norm import NormedLinear
from edgeflow.cells.options import check_width
from edgeflow.cells.spike_input import neurons
from edgeflow.cells.stack import Stack
from edgeflow.cells.taps import DelayLine
from edgeflow.errors import CompressError, TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.quantization import Affine, Calibration, Converted, centred, parameters

#: Samples that the embedding sees.
KERNEL_SIZE = 5
#: Hidden units of the mixer, in units of the layer's; those of the spiking one say less each.
EXPANSION, SPIKING_EXPANSION = 1, 2


class PatchEmbedding(nn.Module):
    """Causal convolution, batch normalisation and ReLU: [n, time, inputs] -> [n, time, hidden]."""

    def __init__(self, inputs: int, hidden: int, kernel_size: int = KERNEL_SIZE) -> None:
        super().__init__()
        self.taps = DelayLine(kernel_size)
        self.linear = NormedLinear(kernel_size * inputs, hidden)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return y and the state to go on from."""
        window, state = self.taps(x, state)
        return self.activation(self.linear(window)), state


class ChannelMixer(nn.Module):
    """``x + BN(W_2 relu(BN(W_1 x)))`` at each step.

    Attributes
    ----------
    up, down : NormedLinear [hidden, size], [size, hidden]
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.up, self.down = NormedLinear(size, hidden), NormedLinear(hidden, size)

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Return y [n, time, size] and no state."""
        return x + self.down(torch.relu(self.up(x))), None


def _build(
    spiking: bool,
    inputs: int,
    hidden: int,
    layers: int = 1,
    dropout: float = 0.0,
    *,
    kernel_size: int = KERNEL_SIZE,
    order: int = ORDER,
    theta: float = THETA,
    memory_size: int = 0,
    expansion: int = EXPANSION,
) -> nn.Module:
    """Return layers: x [n, time, inputs] -> (y [n, time, hidden], state).

    `kernel_size` is the samples that the embedding sees, at least 2; `expansion` the mixer's hidden
    units, in units of the layer's; the other options are those of ``edgeflow.cells.lmu``.
    """
    if expansion < 1:
        raise TrainError(f"expansion is {expansion}: it must be at least 1")
    check_width("expansion times units", expansion * hidden)
    check_width("kernel_size times channels", kernel_size * inputs)
    size, wide = memories(hidden, memory_size), expansion * hidden

    def spikes(inputs: int, outputs: int) -> LIF:
        return neurons(LIF, inputs, NormedLinear(inputs, outputs))

    def block() -> list[nn.Module]:
        memory = LMU(hidden, hidden, order, theta, size, feed_forward=True)
        if spiking:
            return [memory, spikes(hidden, wide), spikes(wide, hidden)]
        return [memory, ChannelMixer(hidden, wide)]

    blocks = [block() for _ in range(layers)]
    if spiking:
        blocks[0][:0] = [DelayLine(kernel_size), spikes(kernel_size * inputs, hidden)]
    else:
        blocks[0][:0] = [PatchEmbedding(inputs, hidden, kernel_size)]
    return Stack([Stack(layer) for layer in blocks], dropout)


@torch.no_grad()
def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; the scales of what is inside and of the output come from calibration."""
    source, bits = given.source, given.state_bits
    if source.offset.any():
        raise CompressError("it adds to what it reads: put a linear layer in front of it")
    x = torch.from_numpy(np.ascontiguousarray(source.real))
    inside = torch.relu(layer.up(x))
    branch = layer.down(inside).numpy()
    limit = symmetric_max(bits)
    unit_inside = max(float(inside.max()), 1e-6) / limit
    # the branch is added in the output's unit, and so is x
    top = max(float(np.abs(given.real).max()), float(np.abs(branch).max()), 1e-6)
    unit = max(top / limit, float(source.scale.max()) * 32768 / 32767)
    reading = centred(unit_inside, bits, inside.numpy())
    up, down = (parameters(linear.weight, linear.bias) for linear in (layer.up, layer.down))
    products = {
        "up": Affine(*up, source, unit_inside),
        "down": Affine(*down, reading, unit * 2.0 ** (bits - 16)),
    }
    node = nodes.ChannelMixer(
        given.name,
        **given.matrices(products),
        skip=np.round(source.scale / unit * 32768).astype(np.int16),
        hidden_bits=bits,
        state_bits=bits,
    )
    return Converted(node, given.output(unit, bits), provenance=products)


@torch.no_grad()
def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the mixer these weights, normalisation included."""
    layer.up.load_dequantized(real["up"])
    layer.down.load_dequantized(real["down"])


CELL = Cell(
    ChannelMixer,
    convert,
    build=partial(_build, False),
    readout="mean",
    load_dequantized=load_dequantized,
    name="lmuformer",
    about="convolutions, LMU and channel mixers",
)
SPIKING = Cell(
    LIF,
    lif.convert,
    build=partial(_build, True, expansion=SPIKING_EXPANSION),
    readout="mean",
    load_dequantized=lif.load_dequantized,
    name="lmuformer-snn",
    about="LMUFormer of spiking neurons",
)

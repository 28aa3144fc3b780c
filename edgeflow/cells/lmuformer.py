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

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.cells import lif
from edgeflow.cells.cell import Cell
from edgeflow.cells.lif import LIF
from edgeflow.cells.lmu import LMU, ORDER, THETA, memories
from edgeflow.cells.norm import NormedLinear
from edgeflow.cells.spike_input import neurons
from edgeflow.cells.stack import Stack
from edgeflow.cells.taps import DelayLine
from edgeflow.errors import CompressError, TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.quantization import Affine, Converted, Floats, Signal, Widths, parameters, quantized

#: Samples that the embedding sees.
KERNEL_SIZE = 5
#: Hidden units of the mixer, in units of the layer's; those of the spiking one say less each.
EXPANSION, SPIKING_EXPANSION = 1, 2


class PatchEmbedding(nn.Module):
    """Causal convolution, batch normalisation and ReLU: [n, time, inputs] -> [n, time, hidden].

    Parameters
    ----------
    inputs, hidden, kernel_size : int
    """

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
    """``x + BN(W_2 relu(BN(W_1 x)))``, each step by itself.

    Parameters
    ----------
    size, hidden : int

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


def build(
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
    """Return LMUFormer layers: x [n, time, inputs] -> (y [n, time, hidden], state).

    Parameters
    ----------
    inputs, hidden, layers : int
        At least 1.
    dropout : float
        Between layers, in [0, 1).
    kernel_size : int
        Samples that the embedding sees, at least 2.
    order, theta
        Of each memory, as in ``edgeflow.cells.lmu.LMU``.
    memory_size : int
        Memories of a layer; 0: one for every four units, at least one.
    expansion : int
        Hidden units of the mixer, in units of the layer's.
    """
    memory = _memory(hidden, order, theta, memory_size)
    wide = _wide(hidden, expansion)
    blocks = [[memory(), ChannelMixer(hidden, wide)] for _ in range(layers)]
    return _stack([PatchEmbedding(inputs, hidden, kernel_size)], blocks, dropout)


def build_spiking(
    inputs: int,
    hidden: int,
    layers: int = 1,
    dropout: float = 0.0,
    *,
    kernel_size: int = KERNEL_SIZE,
    order: int = ORDER,
    theta: float = THETA,
    memory_size: int = 0,
    expansion: int = SPIKING_EXPANSION,
) -> nn.Module:
    """Return layers of the spiking version: x [n, time, inputs] -> (spikes, state).

    The parameters are those of `build`.
    """
    memory = _memory(hidden, order, theta, memory_size)
    wide = _wide(hidden, expansion)

    def spiking(inputs: int, outputs: int) -> LIF:
        return neurons(LIF, inputs, NormedLinear(inputs, outputs))

    blocks = [[memory(), spiking(hidden, wide), spiking(wide, hidden)] for _ in range(layers)]
    embedding = [DelayLine(kernel_size), spiking(kernel_size * inputs, hidden)]
    return _stack(embedding, blocks, dropout)


def _memory(hidden: int, order: int, theta: float, memory_size: int) -> Callable[[], LMU]:
    size = memories(hidden, memory_size)
    return lambda: LMU(hidden, hidden, order, theta, size, feed_forward=True)


def _wide(hidden: int, expansion: int) -> int:
    if expansion < 1:
        raise TrainError(f"expansion is {expansion}: it must be at least 1")
    return expansion * hidden


def _stack(
    embedding: Sequence[nn.Module], blocks: Sequence[Sequence[nn.Module]], dropout: float
) -> nn.Module:
    cores = [Stack(block) for block in blocks]
    cores[0] = Stack([*embedding, *blocks[0]])
    return Stack(cores, dropout)


@torch.no_grad()
def convert(
    name: str, layer: Any, source: Signal, real: NDArray[np.float32], widths: Widths
) -> Converted:
    """Quantize; the scales of what is inside and of the output come from calibration.

    Raises
    ------
    CompressError
        If it reads values whose integer zero is not zero.
    """
    if source.offset.any():
        raise CompressError("it adds to what it reads: put a linear layer in front of it")
    x = torch.from_numpy(np.ascontiguousarray(source.real))
    inside = torch.relu(layer.up(x))
    branch = layer.down(inside).numpy()
    hidden, size, bits = layer.up.weight.shape[0], len(source.scale), widths.state
    limit = symmetric_max(bits)
    unit_inside = max(float(inside.max()), 1e-6) / limit
    # the branch is added in the output's unit, and so is x
    top = max(float(np.abs(real).max()), float(np.abs(branch).max()), 1e-6)
    unit = max(top / limit, float(source.scale.max()) * 32768 / 32767)
    reading = Signal(np.zeros(hidden), np.full(hidden, unit_inside), bits, inside.numpy())
    up, down = (parameters(linear.weight, linear.bias) for linear in (layer.up, layer.down))
    products = {
        "up": Affine(*up, source, unit_inside),
        "down": Affine(*down, reading, unit * 2.0 ** (bits - 16)),
    }
    node = nodes.ChannelMixer(
        name,
        **quantized(products, name, widths),
        skip=np.round(source.scale / unit * 32768).astype(np.int16),
        hidden_bits=bits,
        state_bits=bits,
    )
    output = Signal(np.zeros(size), np.full(size, unit), bits, real)
    return Converted(node, output, provenance=products)


@torch.no_grad()
def load_dequantized(layer: Any, real: Mapping[str, Floats]) -> None:
    """Give the mixer these weights, normalisation included."""
    layer.up.load_dequantized(real["up"])
    layer.down.load_dequantized(real["down"])


CELL = Cell(
    ChannelMixer,
    convert,
    build=build,
    readout="mean",
    load_dequantized=load_dequantized,
    name="lmuformer",
    about="convolutions, LMU and channel mixers",
)
SPIKING = Cell(
    LIF,
    lif.convert,
    build=build_spiking,
    readout="mean",
    load_dequantized=lif.load_dequantized,
    name="lmuformer-snn",
    about="LMUFormer of spiking neurons",
)

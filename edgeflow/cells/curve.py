"""Functions of single values between layers: ELU, GELU, SiLU, leaky ReLU and their like."""

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.cells.join import shared_shift
from edgeflow.cells.squash import to_table
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import INT16_MAX, TABLE_SIZE, symmetric_max
from edgeflow.program.nodes import Curve
from edgeflow.quantization import Calibration, Converted, Floats, reach

#: One for all channels, or one each.
Slope = float | Floats
#: Where a function is its two lines: their slopes are taken there.
_FAR = 64.0
#: What is left of it where the table ends, of the most that it is.
_LEVEL = 0.02
#: What a table adds to the lines, below which there is none.
_NOTHING = 1e-6


class ChannelPReLU(nn.Module):
    """``max(x, 0) + slope min(x, 0)`` of x [..., channels], as ``nn.PReLU`` over the last axis.

    K. He et al., Delving deep into rectifiers, ICCV 2015.

    Parameters
    ----------
    slope : float array [channels]
    """

    def __init__(self, slope: Floats) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)


def lines_and_rest(layer: nn.Module) -> tuple[Slope, Slope, Floats]:
    """Return the slopes of a function above and below 0, and what it is more at a table's nodes.

    Returns
    -------
    up, down : float, or float64 array [channels]
    rest : float64 array [257]
        At -8, -8 + 1/16, ..., 8.

    Raises
    ------
    CompressError
        If it has not come to its lines where the table ends.
    """
    if isinstance(layer, ChannelPReLU):
        slope = layer.slope.detach().double().numpy()
        return np.ones_like(slope), slope, np.zeros(TABLE_SIZE)

    def function(x: Floats) -> Floats:
        with torch.no_grad():
            y: Floats = copy.deepcopy(layer).double()(torch.from_numpy(x)).numpy()
        return y

    up, down = (
        np.diff(function(side * np.array([_FAR, _FAR + 1]))).item() * side for side in (1, -1)
    )
    nodes = (np.arange(TABLE_SIZE) - TABLE_SIZE // 2) / 16
    x = np.array([-_FAR, *nodes, _FAR])
    rest = function(x) - up * np.maximum(x, 0) - down * np.minimum(x, 0)
    if np.abs(np.diff(rest)[[0, -1]]).max() > _LEVEL * np.abs(rest).max() + _NOTHING:
        raise CompressError("it bends beyond +-8: scale what it reads")
    return up, down, rest[1:-1]


def convert(layer: Any, given: Calibration) -> Converted:
    """Write the function as two lines and a table; the unit of y comes from calibration."""
    source, bits = given.source, given.state_bits
    if source.offset.any():
        raise CompressError("it reads the input: put a linear layer in front of it")
    up, down, rest = lines_and_rest(layer)
    most = float(np.abs(rest).max())
    # values of the table, of which the largest has 15 or 16 bits
    amplitude = 2.0 ** math.ceil(math.log2(most)) if most > _NOTHING else 0.0
    unit = reach(given.real) / symmetric_max(bits)
    lines = np.stack([np.broadcast_to(v, len(source.scale)) for v in (up, down)])
    factors = np.stack([lines * (source.scale / unit),
                        np.full((2, len(source.scale)), amplitude / 32768 / unit)])  # fmt: skip
    fraction = shared_shift(np.abs(factors).max(axis=1), np.zeros(1), 16)
    integers = np.round(factors * 2.0**fraction).astype(np.int16)
    multiplier, shift = (
        to_table(source) if amplitude else (np.zeros(len(source.scale), np.int32), 1)
    )
    node = Curve(
        given.name,
        multiplier,
        *integers[0],
        integers[1, 0],
        source.bits,
        bits,
        shift,
        fraction,
        _table(rest / amplitude) if amplitude else None,
    )
    return Converted(node, given.output(unit, bits))


def _table(real: Floats) -> Any:
    return np.clip(np.round(real * 32768), -INT16_MAX, INT16_MAX).astype(np.int16)


ELU = Layer(nn.ELU, convert)
SELU = Layer(nn.SELU, convert)
GELU = Layer(nn.GELU, convert)
SILU = Layer(nn.SiLU, convert)
MISH = Layer(nn.Mish, convert)
SOFTPLUS = Layer(nn.Softplus, convert)
CELU = Layer(nn.CELU, convert)
PRELU = Layer(ChannelPReLU, convert)
LEAKY_RELU = Layer(nn.LeakyReLU, convert)
RELU6 = Layer(nn.ReLU6, convert)
HARDSWISH = Layer(nn.Hardswish, convert)
HARDSIGMOID = Layer(nn.Hardsigmoid, convert)

"""Functions of single values between layers: ELU, GELU, SiLU, leaky ReLU and their like."""

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import nn

from edgeflow.cells.cell import Layer
from edgeflow.cells.join import shared_shift
from edgeflow.cells.squash import to_table
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import INT16_MAX, TABLE_SIZE, symmetric_max
from edgeflow.program.nodes import Curve
from edgeflow.quantization import Calibration, Converted, Floats, reach

#: Where a function is its two lines: their slopes are taken there.
_FAR = 64.0
#: What is left of it where the table ends, of the most that it is.
_LEVEL = 0.02
#: What a table adds to the lines, below which there is none.
_NOTHING = 1e-6


def lines_and_rest(layer: nn.Module) -> tuple[float, float, Floats]:
    """Return the slopes of a function above and below 0, and what it is more at a table's nodes.

    Returns
    -------
    up, down : float
    rest : float64 array [257]
        At -8, -8 + 1/16, ..., 8.

    Raises
    ------
    CompressError
        If it has not come to its lines where the table ends.
    """

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
    factors = np.stack([np.multiply.outer((up, down), source.scale / unit),
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
LEAKY_RELU = Layer(nn.LeakyReLU, convert)
RELU6 = Layer(nn.ReLU6, convert)
HARDSWISH = Layer(nn.Hardswish, convert)
HARDSIGMOID = Layer(nn.Hardsigmoid, convert)

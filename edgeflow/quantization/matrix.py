"""Quantized weight matrices."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.matrix import Matrix
from edgeflow.quantization.rounding import round_compensated, second_moment
from edgeflow.quantization.signal import Floats, Signal

#: Bias, in accumulator units, that a row's scale must leave room for.
_BIAS_LIMIT = 1 << 24


@dataclass(frozen=True, eq=False, repr=False)
class Quantized(Matrix):
    """A matrix fresh from quantization.

    Parameters
    ----------
    real : float64 array [rows, cols]
        What its integers stand for: multipliers, and scales of input and output, included.
    exact : float64 array [rows, cols]
        The weights that were quantized, in the same unit.
    source : Signal
        What it reads.
    unit : float64 array [rows]
        Real value of one unit of y.
    """

    real: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    exact: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    source: Signal | None = None
    unit: Floats = field(default_factory=lambda: np.zeros(0))


def quantize_matrix(
    weight: Floats,
    bias: Floats,
    source: Signal,
    output_scale: Floats | float,
    bits: int = 8,
    *,
    compensate: bool = False,
) -> "Quantized":
    """Quantize ``W x + b`` whose input is `source` and whose output unit is `output_scale`.

    Parameters
    ----------
    weight : float64 array [rows, cols]
    bias : float64 array [rows]
    source : Signal
    output_scale : float
    bits : int
        Of the weights, 2..8: they are within ``+-(2**(bits - 1) - 1)``.
    compensate : bool
        Round so that errors of weights make up for each other on the values of `source`
        (`edgeflow.compression.rounding`): where small errors add up over time.

    Raises
    ------
    ProgramError
        If an accumulator could overflow.
    CompressError
        If a row's scale is out of reach.
    """
    bias = bias + weight @ source.offset
    exact, weight = weight, weight * source.scale
    unit = np.broadcast_to(np.asarray(output_scale, dtype=np.float64), bias.shape)
    # a row of zeros must not force a larger shift upon the others
    largest = np.abs(weight).max(axis=1) / symmetric_max(bits)
    finest = np.where(largest == 0, unit / 4, largest)
    # the smallest shift that fits keeps the most bits of the multiplier
    for shift in range(1, 16):
        # the bias must leave room for the weights in the shifted accumulator
        row_scale = np.maximum(finest, np.abs(bias) / min(_BIAS_LIMIT, 1 << (30 - shift)))
        multiplier = np.round(row_scale / unit * 2.0 ** (32 - shift))
        if multiplier.max() < 1 << 31:
            break
    else:
        row = int((row_scale / unit).argmax())
        raise CompressError(
            f"row {row} is {row_scale[row] / unit[row]:.3g} times its output's unit; the largest "
            f"is {1 << 14}: are its weights or biases meant to be that large?"
        )
    scale = row_scale[:, None]
    if compensate:
        read = (source.real.astype(np.float64) - source.offset) / source.scale
        whole = round_compensated(weight / scale, second_moment(read), symmetric_max(bits))
    else:
        whole = np.round(weight / scale)
    return Quantized(
        weight=whole.astype(np.int8),
        bias=np.round(bias / row_scale).astype(np.int32),
        multiplier=multiplier.astype(np.int32),
        shift=shift,
        input_bits=source.bits,
        real=whole * (multiplier * 2.0 ** (shift - 32) * unit)[:, None] / source.scale,
        exact=exact,
        source=source,
        unit=unit,
    )


def parameters(weight: Any, bias: Any) -> tuple[Floats, Floats]:
    """Return a layer's weight and bias (zeros for None) in float64."""
    w = weight.detach().cpu().numpy().astype(np.float64)
    if bias is None:
        return w, np.zeros(w.shape[0])
    return w, bias.detach().cpu().numpy().astype(np.float64)

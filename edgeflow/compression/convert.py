"""What a cell needs to turn its float layer into an integer node."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.rounding import round_compensated, second_moment
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import PREACTIVATION_FRACTION, symmetric_max
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node

Floats = NDArray[np.float64]

#: Real value of one unit of a gate's pre-activation.
PREACTIVATION_SCALE = 2.0**-PREACTIVATION_FRACTION
#: Bias, in accumulator units, that a row's scale must leave room for.
_BIAS_LIMIT = 1 << 24


@dataclass(frozen=True)
class Widths:
    """Bits of what a matvec reads, and of its weights.

    Parameters
    ----------
    input, state : int
        Of the program's input and of the states, 8..16.
    weight : int
        Of the weights, 2..8.
    matrices : mapping
        Of the weights of single matrices, by layer and field like ``{"rnn.recurrent": 4}``, or of
        all of a layer (``"rnn"``).

    Raises
    ------
    CompressError
        If a width is out of range.
    """

    input: int = 12
    state: int = 12
    weight: int = 8
    matrices: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, bits in (("input", self.input), ("state", self.state)):
            if not 8 <= bits <= 16:
                raise CompressError(f"{name} width {bits} is not in 8..16 bits")
        for name, bits in {"weights": self.weight, **self.matrices}.items():
            if not 2 <= bits <= 8:
                raise CompressError(f"{name}: a weight width of {bits} is not in 2..8 bits")

    def of(self, layer: str, matrix: str) -> int:
        """Return the bits of a matrix's weights, given its layer's name and its field."""
        whole = self.matrices.get(layer, self.weight)
        return self.matrices.get(f"{layer}.{matrix}", whole)


@dataclass(frozen=True)
class Signal:
    """What runs between two layers: ``real = offset + scale * integer``, a channel each.

    Parameters
    ----------
    offset, scale : float64 array [width]
    bits : int
    real : float32 array [n, time, width]
        The float model's values on the calibration data.
    """

    offset: Floats
    scale: Floats
    bits: int
    real: NDArray[np.float32]


@dataclass(frozen=True)
class Converted:
    """An integer node, its output, and shares of calibration steps in which a value saturates."""

    node: Node
    output: Signal
    saturation: dict[str, float] = field(default_factory=dict)


def state_signal(size: int, bits: int, real: NDArray[np.float32]) -> Signal:
    """Return the signal of a state within +-1: one unit is ``2**-(bits - 1)``."""
    return Signal(np.zeros(size), np.full(size, 2.0 ** -(bits - 1)), bits, real)


def share_beyond(values: NDArray[np.floating], limit: float = 8.0) -> float:
    """Return the share of `values` whose magnitude reaches `limit`."""
    return float((np.abs(values) >= limit).mean())


def delayed(real: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the state before each step, [n, time, size], given the state after it."""
    return np.concatenate([np.zeros_like(real[:, :1]), real[:, :-1]], axis=1)


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

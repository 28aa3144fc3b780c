"""Affine maps of float layers, and the integer matrices made of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.quantization.rounding import round_compensated, second_moment
from edgeflow.quantization.signal import PREACTIVATION_SCALE, Floats, Signal, centred, delayed
from edgeflow.quantization.widths import DEFAULT_STATE, EXACT_STATE, Widths

#: Weights [rows, cols] of a matrix, in units of its integers.
WeightOf = Callable[[Matrix], NDArray[Any]]
#: Bias, in accumulator units, that a row's scale must leave room for.
_BIAS_LIMIT = 1 << 24


@dataclass(frozen=True, eq=False)
class Affine:
    """A product ``W x + b`` of a float layer: the origin of a `Matrix` of its node.

    Parameters
    ----------
    weight : float64 array [rows, cols]
    bias : float64 array [rows]
    source : Signal
        x.
    unit : float64 array [rows], or float
        Real value of one unit of the matrix's output; default: of a gate's pre-activation.
    compensate : bool
        Round weights so that their errors compensate each other on the values of `source`
        (`edgeflow.quantization.rounding`): where small errors add up over time.
    """

    weight: Floats
    bias: Floats
    source: Signal
    unit: Floats | float = PREACTIVATION_SCALE
    compensate: bool = False

    def quantize(self, bits: int = 8) -> Matrix:
        """Return the integer product.

        Parameters
        ----------
        bits : int
            Width of the weights, 2..8: they are within ``+-(2**(bits - 1) - 1)``.

        Raises
        ------
        ProgramError
            If an accumulator could overflow.
        CompressError
            If a row's scale is out of reach.
        """
        source = self.source
        bias = self.bias + self.weight @ source.offset
        weight = self.weight * source.scale
        unit = np.broadcast_to(np.asarray(self.unit, dtype=np.float64), bias.shape)
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
                f"row {row} is {row_scale[row] / unit[row]:.3g} times its output's unit; the "
                f"largest is {1 << 14}: are its weights or biases meant to be that large?"
            )
        weight = weight / row_scale[:, None]
        if self.compensate:
            read = (source.real.astype(np.float64) - source.offset) / source.scale
            weight = round_compensated(weight, second_moment(read), symmetric_max(bits))
        return Matrix(
            weight=np.round(weight).astype(np.int8),
            bias=np.round(bias / row_scale).astype(np.int32),
            multiplier=multiplier.astype(np.int32),
            shift=shift,
            input_bits=source.bits,
        )

    def dequantize(self, matrix: Matrix, weight_of: "WeightOf | None" = None) -> Floats:
        """Return the weights, float64 [rows, cols], that `matrix` and its factor stand for.

        `weight_of` gives what is taken for the integers of a matrix, such as those of a chip.
        """
        weight_of = weight_of or _integers
        real = weight_of(matrix) * (gain_of(matrix) * self.unit)[:, None]
        if matrix.factor is not None:
            real = real @ (weight_of(matrix.factor) * gain_of(matrix.factor)[:, None])
        result: Floats = real / self.source.scale
        return result


def _integers(matrix: Matrix) -> NDArray[Any]:
    return matrix.weight


def gain_of(matrix: Matrix) -> Floats:
    """Return the output units of one unit of each row's accumulator."""
    return matrix.multiplier.astype(np.float64) * 2.0 ** (matrix.shift - 32)


def parameters(weight: Any, bias: Any = None) -> tuple[Floats, Floats]:
    """Return a layer's weight and bias (zeros for None) in float64."""
    w = weight.detach().cpu().numpy().astype(np.float64)
    if bias is None:
        return w, np.zeros(w.shape[0])
    return w, bias.detach().cpu().numpy().astype(np.float64)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Data and widths that the conversion of a float layer needs besides the layer.

    Parameters
    ----------
    name : str
        Of the node.
    source : Signal
        What the layer reads.
    real : float32 array [n, time, outputs]
        What it gives on the calibration data.
    widths : Widths
    """

    name: str
    source: Signal
    real: NDArray[np.float32]
    widths: Widths

    @property
    def state_bits(self) -> int:
        """Width of what matrices read of the layer's state, or of what the layer gives."""
        return DEFAULT_STATE if self.exact_state else self.widths.state_of(self.name)

    @property
    def exact_state(self) -> bool:
        """Whether the state is to keep what is below its width, if the layer has a form for it."""
        return self.widths.state_of(self.name) == EXACT_STATE

    @property
    def before(self) -> NDArray[np.float32]:
        """Output of the layer one step before, zeros at first."""
        return delayed(self.real)

    def matrices(self, products: Mapping[str, Affine]) -> dict[str, Matrix]:
        """Return the matrices of the layer's products, each of the width wanted for it."""
        return {
            field: affine.quantize(self.widths.of(self.name, field))
            for field, affine in products.items()
        }

    def output(self, scale: Floats | float, bits: int) -> Signal:
        """Return the layer's output signal, in units of `scale`."""
        return centred(scale, bits, self.real)

    def as_read(self) -> Signal:
        """Return the output signal of a layer that gives values of its source as they are."""
        return Signal(self.source.offset, self.source.scale, self.source.bits, self.real)

    def state(self) -> Signal:
        """Return the output signal of a layer that gives its state, within +-1."""
        bits = self.state_bits
        return self.output(2.0 ** -(bits - 1), bits)


@dataclass(frozen=True, eq=False)
class Converted:
    """The integer form of a layer.

    Parameters
    ----------
    node : Node
    output : Signal
    saturation : mapping
        By value, the share of calibration steps in which it does not fit its format.
    provenance : mapping
        What the node's matrices were made of, by field. It stays beside the node: a program holds
        integers only.
    notes : tuple of str
        What the integers lose, a line each, for the user.
    unfit : int
        How many units have a state that is small by the unit of all of them, or beyond the range.
    start : mapping
        Its states after a reset, int64 [size] by name; those that it has not are zeros.
    """

    node: Node
    output: Signal
    saturation: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Affine] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unfit: int = 0
    start: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def starts(self) -> dict[str, tuple[int, ...]]:
        """`start` as of `Program.start`."""
        return {f"{self.node.name}.{k}": tuple(v.tolist()) for k, v in self.start.items()}

"""Post-training quantization of a float chain into an integer program.

Weights are int8 with one symmetric scale a row. The input's scale and the output's come from
calibration data; the state of a GRU needs none, as it stays within +-1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeflow.errors import CompressError, ProgramError
from edgeflow.importers.chain import FloatChain
from edgeflow.program import GRU, InputFormat, Linear, Matrix, Node, Program
from edgeflow.program.fixedpoint import INT16_MAX, PREACTIVATION_FRACTION, symmetric_max

Floats = NDArray[np.float64]

#: Share of calibration samples of a channel that may be clipped at the input.
INPUT_CLIP = 1e-4
#: Head room of the output over the largest value seen in calibration.
OUTPUT_MARGIN = 1.25
_PREACTIVATION_SCALE = 2.0**-PREACTIVATION_FRACTION
#: Bias, in accumulator units, that a row's scale must leave room for.
_BIAS_LIMIT = 1 << 24


@dataclass(frozen=True)
class Widths:
    """Bits of what a matvec reads: the program's input and the states, 8..16."""

    input: int = 12
    state: int = 12


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


def quantize(
    chain: FloatChain, calibration: NDArray[np.float32], widths: Widths = Widths()
) -> Program:
    """Turn `chain` into integers.

    Parameters
    ----------
    chain : FloatChain
    calibration : float32 array [n, time, channels]
        Raw samples of training people.
    widths : Widths

    Returns
    -------
    Program
        Its metadata holds, under "saturation", the share of gate pre-activations in calibration
        that lie beyond the +-8 of Q3.12, by layer.

    Raises
    ------
    CompressError
        If calibration data is empty or not finite, or the model's parameters are not.
    ProgramError
        If an accumulator could overflow.
    """
    if calibration.ndim != 3 or calibration.size == 0:
        raise CompressError("calibration needs samples [n, time, channels], and at least one")
    if not np.isfinite(calibration).all():
        raise CompressError("calibration data holds NaN or infinite values")
    form = _input_format(chain, calibration, widths.input)
    activations = chain.activations(calibration)
    # the first layer reads normalised values, made of the input's integers
    signal = Signal(
        (form.offset.astype(np.float64) - chain.mean) / chain.std,
        form.scale.astype(np.float64) / chain.std,
        form.bits,
        activations[0],
    )
    nodes: list[Node] = []
    saturation: dict[str, float] = {}
    for (name, layer), real in zip(chain.layers, activations[1:], strict=True):
        if not all(bool(p.isfinite().all()) for p in layer.parameters()):
            raise CompressError(f"layer {name} has weights that are NaN or infinite")
        try:
            node, signal, share = _CONVERTERS[type(layer)](name, layer, signal, real, widths)
        except ProgramError as error:
            raise ProgramError(f"layer {name}: {error}") from error
        nodes.append(node)
        if share is not None:
            saturation[name] = share
    return Program(
        nodes=tuple(nodes),
        input=form,
        output_scale=float(signal.scale[0]),
        classes=chain.classes,
        window=chain.window,
        rate_hz=chain.rate_hz,
        metadata={"saturation": saturation, "data": chain.data, "source": chain.source},
    )


def _input_format(chain: FloatChain, x: NDArray[np.float32], bits: int) -> InputFormat:
    samples = x.reshape(-1, x.shape[-1]).astype(np.float64)
    offset = samples.mean(axis=0)
    reach = np.quantile(np.abs(samples - offset), 1 - INPUT_CLIP, axis=0)
    # a constant channel says nothing; any scale will do
    scale = np.where(reach > 0, reach, 1.0) / symmetric_max(bits)
    return InputFormat(offset.astype(np.float32), scale.astype(np.float32), bits, chain.channels)


def quantize_matrix(
    weight: Floats, bias: Floats, source: Signal, output_scale: Floats | float
) -> Matrix:
    """Quantize ``W x + b`` whose input is `source` and whose output unit is `output_scale`.

    Parameters
    ----------
    weight : float64 array [rows, cols]
    bias : float64 array [rows]
    source : Signal
    output_scale : float

    Raises
    ------
    ProgramError
        If an accumulator could overflow.
    CompressError
        If a row's scale is out of reach.
    """
    bias = bias + weight @ source.offset
    weight = weight * source.scale
    row_scale = np.abs(weight).max(axis=1) / 127
    row_scale = np.maximum(row_scale, np.abs(bias) / _BIAS_LIMIT)
    row_scale[row_scale == 0] = 1.0
    ratio = row_scale / output_scale
    ratio_limit = 2.0**15
    if ratio.max() >= ratio_limit:
        raise CompressError(
            f"row {int(ratio.argmax())} is {ratio.max():.3g} times its output's unit; the largest "
            f"is {ratio_limit:.0f}: are its weights or biases meant to be that large?"
        )
    # the smallest shift that fits keeps the most bits of the multiplier
    shift = 1
    while np.round(ratio.max() * 2.0 ** (32 - shift)) >= 1 << 31:
        shift += 1
    scale = row_scale[:, None]
    return Matrix(
        weight=np.round(weight / scale).astype(np.int8),
        bias=np.round(bias / row_scale).astype(np.int32),
        multiplier=np.round(ratio * 2.0 ** (32 - shift)).astype(np.int32),
        shift=shift,
        input_bits=source.bits,
    )


Converted = tuple[Node, Signal, float | None]


def _linear(
    name: str, layer: Any, source: Signal, real: NDArray[np.float32], widths: Widths
) -> Converted:
    weight, bias = _parameters(layer.weight, layer.bias)
    reach = max(float(np.abs(real).max()) * OUTPUT_MARGIN, 1e-6)
    scale = reach / INT16_MAX
    node = Linear(name, quantize_matrix(weight, bias, source, scale))
    width = node.outputs
    return node, Signal(np.zeros(width), np.full(width, scale), node.output_bits, real), None


def _gru(
    name: str, layer: Any, source: Signal, real: NDArray[np.float32], widths: Widths
) -> Converted:
    hidden = layer.hidden_size
    weight_x, bias_x = _parameters(layer.weight_ih_l0, layer.bias_ih_l0)
    weight_h, bias_h = _parameters(layer.weight_hh_l0, layer.bias_hh_l0)
    state = Signal(
        np.zeros(hidden), np.full(hidden, 1.0 / (1 << (widths.state - 1))), widths.state, real
    )
    before = np.concatenate([np.zeros_like(real[:, :1]), real[:, :-1]], axis=1)
    a = source.real @ weight_x.T.astype(np.float32) + bias_x.astype(np.float32)
    u = before @ weight_h.T.astype(np.float32) + bias_h.astype(np.float32)
    share = float((np.maximum(np.abs(a), np.abs(u)) >= 8.0).mean())
    # the gates r and z add both parts: their biases go into one
    both = np.where(np.arange(3 * hidden) < 2 * hidden, bias_h, 0.0)
    node = GRU(
        name,
        input=quantize_matrix(weight_x, bias_x + both, source, _PREACTIVATION_SCALE),
        recurrent=quantize_matrix(weight_h, bias_h - both, state, _PREACTIVATION_SCALE),
        state_bits=widths.state,
    )
    return node, state, share


def _parameters(weight: Any, bias: Any) -> tuple[Floats, Floats]:
    w = weight.detach().cpu().numpy().astype(np.float64)
    if bias is None:
        return w, np.zeros(w.shape[0])
    return w, bias.detach().cpu().numpy().astype(np.float64)


_CONVERTERS: dict[type, Callable[..., Converted]] = {nn.GRU: _gru, nn.Linear: _linear}

r"""Simple recurrent network, in the form of ``torch.nn.RNN``.

With input :math:`x_t` [inputs], state :math:`h_t` [hidden] and f either tanh or
:math:`\max(0, \cdot)`:

.. math::
    h_t = f(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

J. Elman, Finding structure in time, Cognitive Science 14(2), 1990.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.cells import gru
from edgeflow.cells.cell import Cell
from edgeflow.errors import TrainError
from edgeflow.program.nodes import RNN
from edgeflow.quantization import (
    PREACTIVATION_SCALE,
    Affine,
    Converted,
    Signal,
    Widths,
    clipped_fraction,
    delayed,
    parameters,
    quantized,
    state_signal,
)

NONLINEARITIES = ("tanh", "relu")
#: Head room of pre-activations and states of relu over the largest values seen in calibration.
MARGIN = 1.25


def build(
    inputs: int,
    hidden: int,
    layers: int = 1,
    dropout: float = 0.0,
    *,
    nonlinearity: str = "tanh",
) -> nn.RNN:
    """Return an RNN: x [n, time, inputs] -> (h [n, time, hidden], state [layers, n, hidden]).

    Parameters
    ----------
    inputs, hidden, layers : int
        At least 1.
    dropout : float
        Between layers, in [0, 1).
    nonlinearity : {"tanh", "relu"}
        With relu the recurrent weights start as the identity (Q. Le et al., A simple way to
        initialize recurrent networks of rectified linear units, arXiv 1504.00941).

    Raises
    ------
    TrainError
        If there is no such nonlinearity.
    """
    if nonlinearity not in NONLINEARITIES:
        raise TrainError(
            f"nonlinearity is '{nonlinearity}': use one of {', '.join(NONLINEARITIES)}"
        )
    rnn = nn.RNN(
        inputs,
        hidden,
        num_layers=layers,
        nonlinearity=nonlinearity,
        batch_first=True,
        dropout=dropout if layers > 1 else 0.0,
    )
    if nonlinearity == "relu":
        for k in range(layers):
            nn.init.eye_(getattr(rnn, f"weight_hh_l{k}"))
    return rnn


def relu_layer(inputs: int, hidden: int, batch_first: bool = True) -> nn.RNN:
    """Return a single layer with relu."""
    return nn.RNN(inputs, hidden, nonlinearity="relu", batch_first=batch_first)


def unstack(layer: Any) -> list[nn.Module]:
    """Return a stack as single layers, with zero biases where it has none."""
    return gru.unstack_layers(layer, nn.RNN if layer.nonlinearity == "tanh" else relu_layer)


def recur(
    layer: Any, x: Tensor, state: Tensor | None, read: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return h [n, time, hidden] and the last h [1, n, hidden]; the weights see ``read(h)``."""
    h = x.new_zeros(len(x), layer.hidden_size) if state is None else state[0]
    activate = torch.relu if layer.nonlinearity == "relu" else torch.tanh
    steps = []
    for a in functional.linear(x, layer.weight_ih_l0, layer.bias_ih_l0).unbind(1):
        h = activate(a + functional.linear(read(h), layer.weight_hh_l0, layer.bias_hh_l0))
        steps.append(h)
    return torch.stack(steps, 1), h[None]


def convert(
    name: str, layer: Any, source: Signal, real: NDArray[np.float32], widths: Widths
) -> Converted:
    """Quantize; a state of tanh needs no calibration, that of relu has no bound of its own."""
    weight_x, bias_x = parameters(layer.weight_ih_l0, layer.bias_ih_l0)
    weight_h, bias_h = parameters(layer.weight_hh_l0, layer.bias_hh_l0)
    bias = bias_x + bias_h
    a = source.real @ weight_x.T.astype(np.float32) + bias.astype(np.float32)
    u = delayed(real) @ weight_h.T.astype(np.float32)
    parts = np.maximum(np.maximum(np.abs(a), np.abs(u)), np.abs(a + u))
    relu = layer.nonlinearity == "relu"
    if relu:
        unit = max(float(parts.max()) * MARGIN, 1e-6) / 2.0**15
        limit = 2.0 ** (widths.state - 1)
        finest = max(float(real.max()) * MARGIN, 1e-6) / (limit * unit)
        shift = max(0, int(np.ceil(np.log2(finest))))
        scale = np.full(layer.hidden_size, unit * 2.0**shift)
        state = Signal(np.zeros(layer.hidden_size), scale, widths.state, real)
        saturation = {"state": clipped_fraction(real, limit * float(scale[0]))}
    else:
        unit, shift = PREACTIVATION_SCALE, 16 - widths.state
        state = state_signal(layer.hidden_size, widths.state, real)
        saturation = {"gates": clipped_fraction(parts)}
    products = {
        "input": Affine(weight_x, bias, source, unit),
        "recurrent": Affine(weight_h, 0 * bias, state, unit),
    }
    node = RNN(
        name,
        **quantized(products, name, widths),
        state_bits=widths.state,
        state_shift=shift,
        relu=int(relu),
    )
    return Converted(node, state, saturation, products)


CELL = Cell(
    nn.RNN,
    convert,
    unstack,
    gru.unsupported_reason,
    build=build,
    readout="mean",
    load_dequantized=gru.load_recurrent,
    recur=recur,
    prune_units=gru.prune_recurrent,
    name="rnn",
    about="Elman network, tanh or relu",
)

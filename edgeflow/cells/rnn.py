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
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.cells import gru
from edgeflow.errors import TrainError
from edgeflow.program.nodes import RNN
from edgeflow.quantization import (
    PREACTIVATION_SCALE,
    Affine,
    Calibration,
    Converted,
    clipped_fraction,
    delayed,
    own_reach,
    parameters,
    reach,
)

NONLINEARITIES = ("tanh", "relu")


def build(
    inputs: int,
    hidden: int,
    layers: int = 1,
    dropout: float = 0.0,
    *,
    nonlinearity: str = "tanh",
) -> nn.RNN:
    """Return an RNN: x [n, time, inputs] -> (h [n, time, hidden], state [layers, n, hidden]).

    With relu the recurrent weights start as the identity (Q. Le et al., A simple way to initialize
    recurrent networks of rectified linear units, arXiv 1504.00941).
    """
    if nonlinearity not in NONLINEARITIES:
        raise TrainError(
            f"nonlinearity is '{nonlinearity}': use one of {', '.join(NONLINEARITIES)}"
        )
    dropout = dropout if layers > 1 else 0.0
    rnn = nn.RNN(inputs, hidden, layers, nonlinearity, batch_first=True, dropout=dropout)
    if nonlinearity == "relu":
        for k in range(layers):
            nn.init.eye_(getattr(rnn, f"weight_hh_l{k}"))
    return rnn


#: A state whose standard deviation is fewer units says little.
FEW_UNITS = 4


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


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; a state of tanh needs no calibration, that of relu has no bound of its own.

    Neurons of relu have one unit or, where the width of the state says so (`EXACT_STATE`), 16 bits
    of their own.
    """
    weight_x, bias_x = parameters(layer.weight_ih_l0, layer.bias_ih_l0)
    weight_h, bias_h = parameters(layer.weight_hh_l0, layer.bias_hh_l0)
    source, real, bits, bias = given.source, given.real, given.state_bits, bias_x + bias_h
    a = source.real @ weight_x.T.astype(np.float32) + bias.astype(np.float32)
    u = delayed(real) @ weight_h.T.astype(np.float32)
    parts = np.maximum(np.maximum(np.abs(a), np.abs(u)), np.abs(a + u))
    relu = layer.nonlinearity == "relu"
    unit = np.full(layer.hidden_size, PREACTIVATION_SCALE)
    unfit = 0
    if relu:
        unit[:] = (own_reach(parts) if given.exact_state else reach(parts)) / 2.0**15
        bits = 16 if given.exact_state else bits
        limit = 2.0 ** (bits - 1)
        shift = max(0, int(np.ceil(np.log2(reach(real / (limit * unit))))))
        state = given.output(unit * 2.0**shift, bits)
        saturation = {"state": clipped_fraction(real / state.scale, limit)}
        unfit = int((real.std(axis=(0, 1)) < FEW_UNITS * state.scale).sum())
    else:
        shift, state = 16 - bits, given.state()
        saturation = {"gates": clipped_fraction(parts)}
    products = {
        "input": Affine(weight_x, bias, source, unit),
        "recurrent": Affine(weight_h, 0 * bias, state, unit),
    }
    matrices = given.matrices(products)
    node = RNN(given.name, **matrices, state_bits=bits, state_shift=shift, relu=int(relu))
    return Converted(node, state, saturation, products, unfit=unfit)


CELL = gru.torch_cell(
    nn.RNN,
    convert,
    build=build,
    readout="mean",
    recur=recur,
    name="rnn",
    about="Elman network, tanh or relu",
)

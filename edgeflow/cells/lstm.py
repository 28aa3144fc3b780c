r"""Long short-term memory, in the form of ``torch.nn.LSTM``.

With input :math:`x_t` [inputs], state :math:`h_t, c_t` [hidden], elementwise product
:math:`\odot`, logistic function :math:`\sigma`:

.. math::
    i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
    f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
    g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
    o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
    c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
    h_t &= o_t \odot \tanh(c_t)

The rows of ``weight_ih_l0`` [4 hidden, inputs] and ``weight_hh_l0`` [4 hidden, hidden] are in
the order i, f, g, o.

S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9(8), 1997; the
forget gate is that of F. Gers et al., Learning to forget, Neural Computation 12(10), 2000.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.cells import gru
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes import LSTM, WideLSTM
from edgeflow.program.nodes.wide_lstm import CELL_LIMIT
from edgeflow.quantization import (
    MARGIN,
    Affine,
    Calibration,
    Converted,
    Floats,
    clipped_fraction,
    parameters,
)

#: A cell state whose standard deviation is fewer units says little.
FEW_UNITS = 16


def build(inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> nn.LSTM:
    """Return an LSTM: x [n, time, inputs] -> (h [n, time, hidden], (h, c) [layers, n, hidden])."""
    lstm = nn.LSTM(inputs, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
    with torch.no_grad():
        for k in range(layers):
            # a new cell remembers (R. Jozefowicz et al., ICML 2015)
            getattr(lstm, f"bias_ih_l{k}")[hidden : 2 * hidden] += 1.0
    return lstm


def cell_state(gates: Floats, first: Floats | float = 0.0) -> Floats:
    """Return c [n, time, hidden] from a first one, given pre-activations [n, time, 4 hidden]."""
    i, f, g, _ = np.split(gates, 4, axis=-1)
    keep, new = _sigmoid(f), _sigmoid(i) * np.tanh(g)
    c = np.zeros_like(new)
    for t in range(c.shape[1]):
        c[:, t] = new[:, t] + keep[:, t] * (c[:, t - 1] if t else first)
    return c


def _sigmoid(x: Floats) -> Floats:
    result: Floats = 0.5 + 0.5 * np.tanh(0.5 * x)
    return result


def recur(
    layer: Any, x: Tensor, state: tuple[Tensor, Tensor] | None, read: Callable[[Tensor], Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return h [n, time, hidden] and the last (h, c); the recurrent weights see ``read(h)``."""
    zeros = x.new_zeros(len(x), layer.hidden_size)
    h, c = (zeros, zeros) if state is None else (state[0][0], state[1][0])
    steps = []
    for a in functional.linear(x, layer.weight_ih_l0, layer.bias_ih_l0).unbind(1):
        v = a + functional.linear(read(h), layer.weight_hh_l0, layer.bias_hh_l0)
        i, f, g, o = v.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        steps.append(h)
    return torch.stack(steps, 1), (h[None], c[None])


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; the unit of c comes from calibration, h needs none, as it stays within +-1."""
    weight_x, bias_x = parameters(layer.weight_ih_l0, layer.bias_ih_l0)
    weight_h, bias_h = parameters(layer.weight_hh_l0, layer.bias_hh_l0)
    state, bias = given.state(), bias_x + bias_h
    a, u = given.source.real @ weight_x.T + bias, given.before @ weight_h.T
    start = getattr(layer, "start", None)  # of edgeflow.cells.start
    first = 0.0 if start is None else start[1].detach().double().numpy()
    c = cell_state(a + u, first)
    reach = max(float(np.abs(c).max()), float(np.abs(first).max())) * MARGIN
    reach = max(reach, 2.0**-8)
    kind, limit = (WideLSTM, CELL_LIMIT) if given.exact_state else (LSTM, INT16_MAX)
    fraction = int(np.clip(np.floor(np.log2(limit / reach)), *kind.int_fields["cell_fraction"]))
    products = {
        "input": Affine(weight_x, bias, given.source),
        "recurrent": Affine(weight_h, 0 * bias, state),
    }
    matrices = given.matrices(products)
    node = kind(given.name, **matrices, state_bits=state.bits, cell_fraction=fraction)
    saturation = {
        "gates": clipped_fraction(np.maximum(np.abs(a), np.abs(u))),
        "cell state": clipped_fraction(c, (limit + 1) / 2.0**fraction),
    }
    units = np.abs(c).max(axis=(0, 1)) * 2.0**fraction
    unfit = (c.std(axis=(0, 1)) * 2.0**fraction < FEW_UNITS) | (units > limit)
    return Converted(node, state, saturation, products, unfit=int(unfit.sum()))


CELL = gru.torch_cell(
    nn.LSTM, convert, build=build, recur=recur, name="lstm", about="long short-term memory"
)

r"""Gated recurrent unit, in the form of ``torch.nn.GRU`` (reset after the product).

With input :math:`x_t` [inputs] and state :math:`h_t` [hidden], elementwise product
:math:`\odot`, logistic function :math:`\sigma`:

.. math::
    r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
    z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
    n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
    h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

The rows of ``weight_ih_l0`` [3 hidden, inputs] and ``weight_hh_l0`` [3 hidden, hidden] are in
the order r, z, n.

K. Cho et al., Learning phrase representations using RNN encoder-decoder, EMNLP 2014; the
reset-after form is that of cuDNN.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.cells.cell import Cell, Weights, copy_params, gate_rows, slice_rows
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes import GRU, SlowGRU
from edgeflow.quantization import Affine, Calibration, Converted, clipped_fraction, parameters


def build(inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> nn.GRU:
    """Return a GRU: x [n, time, inputs] -> (h [n, time, hidden], state [layers, n, hidden])."""
    return nn.GRU(inputs, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)


def unstack(layer: Any) -> list[nn.Module]:
    """Return an ``nn.GRU``, ``LSTM`` or ``RNN`` as single layers, with zeros for missing biases."""
    result: list[nn.Module] = []
    options = {"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}
    for k in range(layer.num_layers):
        size = layer.input_size if k == 0 else layer.hidden_size
        single = type(layer)(size, layer.hidden_size, batch_first=True, **options)
        with torch.no_grad():
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                target = getattr(single, f"{name}_l0")
                source = getattr(layer, f"{name}_l{k}", None)
                target.copy_(source.detach() if source is not None else torch.zeros_like(target))
        result.append(single.eval())
    return result


def unsupported_reason(layer: Any) -> str | None:
    """Refuse what needs the future, and projections."""
    if layer.proj_size:
        return "proj_size: projected states are not supported; use a smaller hidden_size"
    if layer.bidirectional:
        return "bidirectional: it needs the future, so use a forward layer"
    return None


def load_recurrent(layer: Any, real: Weights) -> None:
    """Give a single ``nn.GRU``, ``LSTM`` or ``RNN`` these weights."""
    copy_params([layer.weight_ih_l0], real["input"])
    copy_params([layer.weight_hh_l0], real["recurrent"])


@torch.no_grad()
def prune_recurrent(layer: Any, inputs: Ints, units: Ints) -> nn.Module:
    """Return a single ``nn.GRU``, ``LSTM`` or ``RNN`` of these inputs and units."""
    size = layer.hidden_size
    rows = gate_rows(units, layer.weight_hh_l0.shape[0] // size, size)
    smaller = copy.deepcopy(layer)
    smaller.input_size, smaller.hidden_size = len(inputs), len(units)
    for name, cols in (("weight_ih", inputs), ("weight_hh", units), ("bias_ih", None),
                       ("bias_hh", None)):  # fmt: skip
        kept = slice_rows(getattr(layer, f"{name}_l0"), rows, cols)
        setattr(smaller, f"{name}_l0", nn.Parameter(kept.contiguous()))
    smaller.flatten_parameters()
    return smaller


def recur(
    layer: Any, x: Tensor, state: Tensor | None, read: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return h [n, time, hidden] and the last h [1, n, hidden]; the weights see ``read(h)``."""
    h = x.new_zeros(len(x), layer.hidden_size) if state is None else state[0]
    steps = []
    for a in functional.linear(x, layer.weight_ih_l0, layer.bias_ih_l0).unbind(1):
        a_r, a_z, a_n = a.chunk(3, 1)
        u_r, u_z, u_n = functional.linear(read(h), layer.weight_hh_l0, layer.bias_hh_l0).chunk(3, 1)
        r, z = torch.sigmoid(a_r + u_r), torch.sigmoid(a_z + u_z)
        n = torch.tanh(a_n + r * u_n)
        h = n + z * (h - n)
        steps.append(h)
    return torch.stack(steps, 1), h[None]


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; the state needs no calibration, as it stays within +-1."""
    hidden, source, state = layer.hidden_size, given.source, given.state()
    weight_x, bias_x = parameters(layer.weight_ih_l0, layer.bias_ih_l0)
    weight_h, bias_h = parameters(layer.weight_hh_l0, layer.bias_hh_l0)
    a = source.real @ weight_x.T.astype(np.float32) + bias_x.astype(np.float32)
    u = given.before @ weight_h.T.astype(np.float32) + bias_h.astype(np.float32)
    # the gates r and z add both parts: their biases go into one
    both = np.where(np.arange(3 * hidden) < 2 * hidden, bias_h, 0.0)
    products = {
        "input": Affine(weight_x, bias_x + both, source),
        "recurrent": Affine(weight_h, bias_h - both, state),
    }
    kind = SlowGRU if given.exact_state else GRU
    node = kind(given.name, **given.matrices(products), state_bits=state.bits)
    saturation = {"gates": clipped_fraction(np.maximum(np.abs(a), np.abs(u)))}
    return Converted(node, state, saturation, products)


#: A cell in the form of ``nn.GRU``, ``LSTM`` or ``RNN``.
torch_cell = partial(
    Cell,
    unstack=unstack,
    unsupported_reason=unsupported_reason,
    load_dequantized=load_recurrent,
    prune_units=prune_recurrent,
)
CELL = torch_cell(
    nn.GRU, convert, build=build, recur=recur, name="gru", about="gated recurrent unit"
)

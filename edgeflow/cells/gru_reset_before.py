r"""Gated recurrent unit with the reset gate before the product with the state.

.. math::
    r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
    z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
    n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} (r_t \odot h_{t-1}) + b_{hn}) \\
    h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

It is Keras's ``GRU(reset_after=False)`` and ONNX's ``linear_before_reset=0``. The weights cannot
be rewritten as those of ``torch.nn.GRU``.

K. Cho et al., Learning phrase representations using RNN encoder-decoder, EMNLP 2014,
arXiv 1406.1078v3.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.cells.cell import Layer, Weights, copy_params
from edgeflow.program import nodes
from edgeflow.quantization import Affine, Calibration, Converted, clipped_fraction, parameters


class GRUResetBefore(nn.Module):
    """One layer, batch-first, with parameters named, shaped and ordered as in ``torch.nn.GRU``."""

    def __init__(self, input_size: int, hidden_size: int, batch_first: bool = True) -> None:
        super().__init__()
        if not batch_first:
            raise ValueError("GRUResetBefore reads [n, time, inputs] only")
        self.input_size, self.hidden_size = input_size, hidden_size
        rows, reach = 3 * hidden_size, hidden_size**-0.5

        def uniform(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-reach, reach))

        self.weight_ih_l0, self.weight_hh_l0 = uniform(rows, input_size), uniform(rows, hidden_size)
        self.bias_ih_l0, self.bias_hh_l0 = uniform(rows), uniform(rows)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (h [n, time, hidden], last h [n, hidden]) for x [n, time, inputs]."""
        h = x.new_zeros(x.shape[0], self.hidden_size) if h is None else h
        split = 2 * self.hidden_size
        gates, candidate = self.weight_hh_l0.split([split, self.hidden_size])
        result = []
        bias = self.bias_ih_l0 + self.bias_hh_l0
        for a in functional.linear(x, self.weight_ih_l0, bias).unbind(1):
            r, z = torch.sigmoid(a[:, :split] + h @ gates.T).chunk(2, dim=1)
            n = torch.tanh(a[:, split:] + (r * h) @ candidate.T)
            h = n + z * (h - n)
            result.append(h)
        return torch.stack(result, dim=1), h


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; the state needs no calibration, as it stays within +-1."""
    hidden, state = layer.hidden_size, given.state()
    weight_x, bias_x = parameters(layer.weight_ih_l0, layer.bias_ih_l0)
    weight_h, bias_h = parameters(layer.weight_hh_l0, layer.bias_hh_l0)
    bias, zeros = bias_x + bias_h, np.zeros(3 * hidden)
    gates, candidate = np.split(weight_h, [2 * hidden])
    a = given.source.real @ weight_x.T.astype(np.float32) + bias.astype(np.float32)
    before = given.before
    u = before @ gates.T.astype(np.float32)
    r = 0.5 + 0.5 * np.tanh(0.5 * (a[..., :hidden] + u[..., :hidden]))
    u = np.concatenate([u, (r * before) @ candidate.T.astype(np.float32)], axis=-1)
    products = {
        "input": Affine(weight_x, bias, given.source),
        "recurrent": Affine(gates, zeros[: 2 * hidden], state),
        "candidate": Affine(candidate, zeros[:hidden], state),
    }
    node = nodes.GRUResetBefore(given.name, **given.matrices(products), state_bits=state.bits)
    saturation = {"gates": clipped_fraction(np.maximum(np.abs(a), np.abs(u)))}
    return Converted(node, state, saturation, products)


def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the layer these weights."""
    copy_params([layer.weight_ih_l0], real["input"])
    copy_params([layer.weight_hh_l0], np.concatenate([real["recurrent"], real["candidate"]]))


LAYER = Layer(GRUResetBefore, convert, load_dequantized=load_dequantized)

r"""Minimal gated recurrent unit: a GRU whose gates do not read the state.

With input :math:`x_t` [inputs], state :math:`h_t` [hidden], elementwise product :math:`\odot`,
logistic function :math:`\sigma`:

.. math::
    z_t &= \sigma(W_z x_t + b_z) \\
    \tilde h_t &= W_h x_t + b_h \\
    h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot \tilde h_t

The rows of ``linear.0.weight`` [2 hidden, inputs] are in the order z, h.

L. Feng et al., Were RNNs all we needed?, arXiv 2410.01201, 2024, section 3.1. One layer weighs
samples by what they are; it takes two or more to weigh them by what came before.
"""

import torch
from torch import Tensor

from edgeflow.cells.min_rnn import MinRNN, min_cell
from edgeflow.program import nodes


class MinGRU(MinRNN):
    """x [n, time, inputs] -> (h [n, time, hidden], state [layers, n, hidden])."""

    blocks = 2

    def rates(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        return torch.sigmoid(-gates), torch.sigmoid(gates)


CELL = min_cell(MinGRU, nodes.MinGRU, name="mingru", about="GRU whose gates read the input only")

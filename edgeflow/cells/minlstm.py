r"""Minimal long short-term memory: an LSTM whose gates do not read the state.

With input :math:`x_t` [inputs], state :math:`h_t` [hidden], elementwise product :math:`\odot`,
logistic function :math:`\sigma`:

.. math::
    f_t &= \sigma(W_f x_t + b_f) \\
    i_t &= \sigma(W_i x_t + b_i) \\
    \tilde h_t &= W_h x_t + b_h \\
    h_t &= \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot \tilde h_t

The division is :math:`i / (f + i) = \sigma(\ln i - \ln f)`. The rows of ``linear.0.weight``
[3 hidden, inputs] are in the order f, i, h.

L. Feng et al., Were RNNs all we needed?, arXiv 2410.01201, 2024, section 3.2.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from edgeflow.cells.min_rnn import MinRNN, min_cell
from edgeflow.program import nodes


class MinLSTM(MinRNN):
    """x [n, time, inputs] -> (h [n, time, hidden], state [layers, n, hidden])."""

    blocks = 3

    def rates(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        f, i = gates.chunk(2, dim=-1)
        difference = logsigmoid(i) - logsigmoid(f)
        return torch.sigmoid(-difference), torch.sigmoid(difference)


CELL = min_cell(
    MinLSTM, nodes.MinLSTM, name="minlstm", about="LSTM whose gates read the input only"
)

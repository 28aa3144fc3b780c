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

from torch import nn


def build(inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> nn.GRU:
    """Return a GRU: x [n, time, inputs] -> (h [n, time, hidden], state [layers, n, hidden]).

    Parameters
    ----------
    inputs, hidden, layers : int
        At least 1.
    dropout : float
        Between layers, in [0, 1).
    """
    return nn.GRU(
        inputs, hidden, num_layers=layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
    )

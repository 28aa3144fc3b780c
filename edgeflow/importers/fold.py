"""Maps of channels as part of the layers around them."""

from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.gru_reset_before import GRUResetBefore

#: Layers that a map of their inputs can become part of.
FOLDABLE = (nn.Linear, nn.GRU, nn.LSTM, nn.RNN, GRUResetBefore)


@torch.no_grad()
def scale_output(layer: nn.Linear, a: Tensor, b: Tensor) -> None:
    """Make a linear layer give ``a y + b``; both float64 [outputs]."""
    _set_bias(layer, b if layer.bias is None else layer.bias.double() * a + b)
    layer.weight.mul_(a[:, None])


@torch.no_grad()
def scale_input(layer: Any, a: Tensor, b: Tensor) -> None:
    """Make a layer do on x what it did on ``a x + b``; both float64 [inputs]."""
    if isinstance(layer, nn.Linear):
        moved = layer.weight.double() @ b
        _set_bias(layer, moved if layer.bias is None else layer.bias.double() + moved)
        layer.weight.mul_(a)
    else:
        layer.bias_ih_l0.add_(layer.weight_ih_l0.double() @ b)
        layer.weight_ih_l0.mul_(a)


def _set_bias(layer: nn.Linear, bias: Tensor) -> None:
    layer.bias = nn.Parameter(bias.float())

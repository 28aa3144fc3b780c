"""Maps of channels and batch normalisations as part of the layers around them."""

from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.chain import FloatChain
from edgeflow.cells.norm import affine
from edgeflow.errors import CompressError

_RECURRENT = (nn.GRU, nn.LSTM, nn.RNN)


@torch.no_grad()
def fold_norms(chain: FloatChain) -> None:
    """Remove each ``nn.BatchNorm1d`` from a chain, whose other layers change.

    A norm goes into a linear layer before it, else a linear, GRU, LSTM or RNN layer after it; at
    the start of a chain, into the normalisation of the input.

    Raises
    ------
    CompressError
        If there is no such layer.
    """
    layers = chain.layers
    while norms := [(k, m) for k, (_, m) in enumerate(layers) if isinstance(m, nn.BatchNorm1d)]:
        k, norm = norms[0]
        name, _ = layers.pop(k)
        gain, offset = (t.double() for t in affine(norm))
        before = layers[k - 1][1] if k else None
        after = layers[k][1] if k < len(layers) else None
        if isinstance(before, nn.Linear):
            scale_output(before, gain, offset)
        elif before is None and bool((gain > 0).all()):
            mean, std = chain.mean.astype("f8"), chain.std.astype("f8")
            shift, factor = (offset / gain).numpy(), gain.numpy()
            chain.mean = (mean - shift * std).astype("f4")
            chain.std = (std / factor).astype("f4")
        elif isinstance(after, (nn.Linear, *_RECURRENT)):
            scale_input(after, gain, offset)
        else:
            raise CompressError(
                f"{name} (BatchNorm1d) has no linear layer beside it: put one before it, or leave "
                "it out"
            )


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

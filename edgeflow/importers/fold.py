"""Batch normalisation becomes part of the layers around it."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.chain import FloatChain
from edgeflow.cells.norm import affine
from edgeflow.errors import CompressError

_RECURRENT = (nn.GRU, nn.LSTM, nn.RNN)


@torch.no_grad()
def fold_norms(chain: FloatChain) -> None:
    """Remove each ``nn.BatchNorm1d`` from a chain; layers that change are copied.

    It goes into a linear layer before it, else into a linear, GRU, LSTM or RNN layer after it; at
    the start of a chain, into the normalisation of the input.

    Raises
    ------
    CompressError
        If there is no such layer.
    """
    layers = list(chain.layers)
    while (k := _first_norm(layers)) is not None:
        name, norm = layers.pop(k)
        assert isinstance(norm, nn.BatchNorm1d)
        gain, offset = (t.double() for t in affine(norm))
        before = layers[k - 1][1] if k else None
        after = layers[k][1] if k < len(layers) else None
        if isinstance(before, nn.Linear):
            layers[k - 1] = layers[k - 1][0], _scaled_output(before, gain, offset)
        elif before is None and bool((gain > 0).all()):
            mean, std = chain.mean.astype("f8"), chain.std.astype("f8")
            shift, factor = (offset / gain).numpy(), gain.numpy()
            chain.mean = (mean - shift * std).astype("f4")
            chain.std = (std / factor).astype("f4")
        elif isinstance(after, (nn.Linear, *_RECURRENT)):
            layers[k] = layers[k][0], _scaled_input(after, gain, offset)
        else:
            raise CompressError(
                f"{name} (BatchNorm1d) has no linear layer beside it: put one before it, or leave "
                "it out"
            )
    chain.layers = layers


def _first_norm(layers: Sequence[tuple[str, nn.Module]]) -> int | None:
    return next((k for k, (_, m) in enumerate(layers) if isinstance(m, nn.BatchNorm1d)), None)


def _scaled_output(layer: nn.Linear, gain: Tensor, offset: Tensor) -> nn.Linear:
    """Return a linear layer that gives ``gain y + offset``."""
    bias = torch.zeros_like(gain) if layer.bias is None else layer.bias.double() * gain
    return _linear(layer.weight.double() * gain[:, None], bias + offset)


def _scaled_input(layer: Any, gain: Tensor, offset: Tensor) -> nn.Module:
    """Return a layer that does on x what `layer` does on ``gain x + offset``."""
    if isinstance(layer, nn.Linear):
        weight = layer.weight.double()
        bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.double()
        return _linear(weight * gain, bias + weight @ offset)
    result = copy.deepcopy(layer)
    weight = layer.weight_ih_l0.double()
    result.weight_ih_l0.copy_(weight * gain)
    result.bias_ih_l0.copy_(layer.bias_ih_l0.double() + weight @ offset)
    return result


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).eval()
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer

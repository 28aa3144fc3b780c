"""Layers of torch made of weights, or copied, for a chain under construction."""

import copy

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from edgeflow.errors import CompressError
from edgeflow.importers.messages import one_line
from edgeflow.quantization import Floats


def copied(name: str, layer: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, without the hooks: the integers will have none either."""
    try:
        copy_of = copy.deepcopy(layer)
    except Exception as error:  # whatever the layer holds
        raise CompressError(f"layer {name} cannot be copied: {one_line(error)}") from error
    for part in copy_of.modules():
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks):
            hooks.clear()
    return copy_of.eval()


@torch.no_grad()
def linear_layer(weight: Floats, bias: ArrayLike | None) -> nn.Linear:
    """Return ``W x + b`` with W [outputs, inputs]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.copy_(torch.from_numpy(weight.copy()))
    b = np.asarray(0.0 if bias is None else bias, dtype=np.float64).reshape(-1)
    layer.bias.copy_(torch.from_numpy(np.broadcast_to(b, len(weight)).copy()))
    return layer

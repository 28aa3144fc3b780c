"""A float chain as one torch module, so that it can be trained."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.chain import FloatChain, steps_of


class ChainModel(nn.Module):
    """A trainable copy of a `FloatChain`.

    The module stays in evaluation mode: the statistics of a batch normalisation are part of the
    weights, and training sees the values that compression converts.

    Attributes
    ----------
    names : list of str
        Of the layers; a method that replaces layers keeps both lists in step.
    layers : nn.ModuleList
        Single, batch-first layers of ``edgeflow.cells``.
    target : Task or None
        What the outputs are for, if it is not `classes`.
    classes, channels, window, output
        As of the chain.
    mean, std : Tensor [channels]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, chain: FloatChain) -> None:
        super().__init__()
        self._form = copy.copy(chain)
        self.target, self.window, self.output = chain.task, chain.window, chain.output
        self.classes, self.channels = list(chain.classes), list(chain.channels)
        self.names = [name for name, _ in chain.layers]
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _, layer in chain.layers)
        self.register_buffer("mean", torch.from_numpy(chain.mean.copy()))
        self.register_buffer("std", torch.from_numpy(chain.std.copy()))
        for parameter in self.parameters():
            parameter.requires_grad_(True)
        self.eval()

    def train(self, mode: bool = True) -> "ChainModel":
        """Stay in evaluation mode."""
        super().train(False)
        return self

    def layer(self, name: str) -> nn.Module:
        """Return a layer by name."""
        return self.layers[self.names.index(name)]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n, time, classes] of x [n, time, channels] in raw units."""
        return self.stream(x)[0]

    def stream(self, x: Tensor, state: Any = None) -> tuple[Tensor, list[Any]]:
        """Return logits [n, time, classes] and the layers' states to go on from (None: zeros)."""
        found = [*steps_of(self.layers, self._form.reads, (x - self.mean) / self.std, state)]
        return found[-1][0], [following for _, following in found]

    def chain(self) -> FloatChain:
        """Return the chain of the layers as they are, not copied."""
        chain = copy.copy(self._form)
        chain.layers = list(zip(self.names, self.layers, strict=True))
        return chain

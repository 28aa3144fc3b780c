"""Recurrent layers one above the other, for cells that do not stack themselves."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from torch import Tensor, nn


class Stack(nn.Module):
    """Layers in sequence, each with a state of its own.

    Parameters
    ----------
    layers : sequence of nn.Module
        Each maps (x [n, time, inputs], state or None) to (h [n, time, outputs], state).
    dropout : float
        Between layers, in [0, 1).
    """

    def __init__(self, layers: Sequence[nn.Module], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, states: Any = None) -> tuple[Tensor, list[Any]]:
        """Return the last layer's output and the states of all."""
        following = []
        for number, layer in enumerate(self.layers):
            x = self.dropout(x) if number else x
            x, state = layer(x, None if states is None else states[number])
            following.append(state)
        return x, following


def stacked(make: Callable[..., nn.Module], *, bare: bool = False) -> Callable[..., nn.Module]:
    """Return a cell's ``build``, given what makes a layer of inputs, hidden units and options.

    A single layer stands by itself if `bare`, else in a stack of one: files of weights know which.
    """

    @wraps(make)
    def build(
        inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0, **options: Any
    ) -> nn.Module:
        made = [make(width, hidden, **options) for width in [inputs] + [hidden] * (layers - 1)]
        return made[0] if bare and layers == 1 else Stack(made, dropout)

    return build

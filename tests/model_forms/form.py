"""A form, and the small modules that forms are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CHANNELS, HIDDEN, CLASSES, STEPS = 3, 5, 4, 20


class Made(nn.Module):
    """A module whose children, parameters and buffers are given, and its ``forward``, too."""

    def __init__(self, compute: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.compute = compute
        for name, part in parts.items():
            if isinstance(part, Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, *given: Tensor) -> Any:
        return self.compute(self, *given)


@dataclass(frozen=True)
class Form:
    """A model as users write it.

    Parameters
    ----------
    name : str
    build : callable
        Returns a new module.
    refused : str
        A pattern of the refusal; "": it is taken.
    notes : str
        A pattern of the notes of a chain; "": there is none.
    arguments : callable
        From samples x [n, time, channels] to what the module is given.
    output : callable
        From what the module returns to the outputs that the chain must give.
    chain : callable
        From the chain's outputs to what `output` gives.
    classes : tuple of str
        Of the data.
    other : dict of str to str
        Refusals at single doors.
    alone : bool
        The module is one step: it is given a sample [n, channels] and states, and returns outputs
        and the next states.
    doors : str
        Those that there are: "module", "pt2", "onnx", "dynamo"; an exporter refuses the rest.
    why : str
        For the table in ``docs/import.md``: why it is refused, at all doors or at some, and what to
        do instead.
    """

    name: str
    build: Callable[[], nn.Module]
    refused: str = ""
    notes: str = ""
    arguments: Callable[[Tensor], tuple[Tensor, ...]] = lambda x: (x,)
    output: Callable[[Any], Tensor] = lambda y: y
    chain: Callable[[Tensor], Tensor] = lambda y: y
    classes: tuple[str, ...] = ()
    other: tuple[tuple[str, str], ...] = ()
    alone: bool = False
    doors: str = "module pt2 onnx dynamo"
    why: str = ""

    def taken(self, door: str) -> bool | None:
        """Tell whether a door takes it; None if it does not get there."""
        if door not in self.doors.split():
            return None
        return not dict(self.other).get(door, self.refused)


def gru(inputs: int = CHANNELS, size: int = HIDDEN, *, kind: Any = nn.GRU, **options: Any) -> Any:
    """Return a recurrent layer that reads [n, time, inputs]."""
    return kind(inputs, size, **{"batch_first": True, **options})


def head(inputs: int = HIDDEN, outputs: int = CLASSES) -> nn.Linear:
    """Return a linear layer."""
    return nn.Linear(inputs, outputs)


def net(compute: Callable[..., Any], **parts: Any) -> Made:
    """Return a module of a recurrent layer `rnn`, a head `out` and other parts."""
    parts = {"rnn": gru(), "out": head(), **parts}
    return Made(compute, **{name: part for name, part in parts.items() if part is not None})


def zeros(x: Tensor) -> Tensor:
    """Return a first state."""
    return torch.zeros(1, len(x), HIDDEN)

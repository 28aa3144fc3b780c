"""Spikes and membranes of a forward pass, for regularisation and measurements."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Activity:
    """Forward pass of one population, [n, time, neurons], with gradients if they are taken.

    Attributes
    ----------
    spikes : Tensor
        0 or 1.
    membrane : Tensor
        In units of each neuron's threshold.
    """

    spikes: Tensor
    membrane: Tensor


class Spiking:
    """A layer that shows its populations' forward passes; a mixin of its torch module."""

    _watched: list[Activity] | None = None

    def show(self, spikes: Tensor, membrane: Tensor, threshold: Tensor) -> None:
        """Show a population's forward pass, if somebody watches."""
        if self._watched is not None:
            self._watched.append(Activity(spikes, membrane / threshold))


@contextmanager
def watch(model: nn.Module) -> Iterator[list[Activity]]:
    """Collect the forward passes of the populations of `model`, in their order."""
    found: list[Activity] = []
    layers = [module for module in model.modules() if isinstance(module, Spiking)]
    for layer in layers:
        layer._watched = found
    try:
        yield found
    finally:
        for layer in layers:
            layer._watched = None

"""Chains of float layers in the order in which a sample passes them; every importer makes one."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.overlap import Overlap
from edgeflow.tasks import OutputFormat, Task


def output_of(layer: nn.Module, x: Tensor) -> Tensor:
    """Return a layer's output [n, time, outputs] of x from zeros, without the state beside it."""
    output = layer(x)
    return output[0] if isinstance(output, tuple) else output


@dataclass
class FloatChain:
    """Layers applied to each sample of a sequence, the state carried along.

    Parameters
    ----------
    layers : list of (str, nn.Module)
        Names (C identifiers) and layers of ``edgeflow.cells``, single and batch-first.
    mean, std : float32 array [channels]
        Normalisation of raw samples before the first layer.
    channels, classes : tuple of str
    units : tuple of str
        Of the channels, "" where it is not known; (): none is.
    window : int
        Samples per decision; 0 for streaming.
    hop : int
        Samples from one decision to the next, of windows that overlap; 0: they do not.
    rate_hz : float
    warmup : int or None
        Streaming: first samples after a reset whose decisions do not count; None: not known.
    data : str
        Data set it was trained on, "" if unknown.
    task : Task or None
        What it was trained for; None: classification, or not known.
    output : OutputFormat or None
        Real values of the outputs, which training normalised; None: they are real values.
    notes : tuple of str
        What its importer guessed or left out, a line each, for the user.
    """

    layers: list[tuple[str, nn.Module]]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    channels: tuple[str, ...]
    classes: tuple[str, ...] = ()
    window: int = 0
    rate_hz: float = 0.0
    data: str = ""
    source: str = field(default="model")
    task: Task | None = None
    notes: tuple[str, ...] = ()
    warmup: int | None = None
    units: tuple[str, ...] = ()
    output: OutputFormat | None = None
    hop: int = 0

    @property
    def overlap(self) -> Overlap | None:
        """How its windows overlap, if they do."""
        return Overlap(self.window, self.hop) if self.hop else None

    def activations(self, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return each layer's input and, last, the output, for raw x [n, time, channels].

        Each is float32 [n, time, width]; the first is the normalised input.
        """
        return list(self.by_layer(x))

    def by_layer(self, x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yield what `activations` returns, each when its layer has run."""
        value: Tensor = torch.from_numpy((x - self.mean) / self.std)
        yield value.numpy()
        for _, layer in self.layers:
            with torch.no_grad():
                value = output_of(layer, value)
            yield value.numpy()

    def run(self, x: NDArray[np.float32], batch: int = 512) -> NDArray[np.float32]:
        """Return the output [n, time, outputs] for raw x [n, time, channels]."""
        return np.concatenate(
            [self.activations(x[i : i + batch])[-1] for i in range(0, len(x), batch)]
        )

"""Float layers in the order in which a sample passes them; every importer makes a chain of them.

Or a graph: a layer may read what several layers before it give.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.cells.rate import ZeroOrderHold
from edgeflow.overlap import Overlap
from edgeflow.tasks import OutputFormat, Task


def output_of(layer: nn.Module, x: Tensor) -> Tensor:
    """Return a layer's output [n, time, outputs] of x from zeros, without the state beside it."""
    output = layer(x)
    return output[0] if isinstance(output, tuple) else output


def joined(values: Mapping[int, Tensor], row: Sequence[int]) -> Tensor:
    """Return what a layer reads of values [n, time, width]: those of its row side by side."""
    if len(row) == 1:
        return values[row[0]]
    return torch.cat([values[k] for k in row], dim=-1)


def steps_of(
    layers: Iterable[nn.Module], reads: Sequence[tuple[int, ...]], x: Tensor,
    states: Sequence[Any] | None = None,
) -> Iterator[tuple[Tensor, Any]]:  # fmt: skip
    """Yield what each layer gives for normalised samples x [n, time, channels], and its state.

    `states` has those to go on from; None: zeros.
    """
    last = {k: number for number, row in enumerate(reads) for k in row}
    values = {0: x}
    for number, (layer, row) in enumerate(zip(layers, reads, strict=True)):
        before = None if states is None else states[number]
        y, following = _stepped(layer, joined(values, row), before, x.shape[1])
        yield y, following
        values[number + 1] = y
        values = {k: value for k, value in values.items() if last.get(k, -1) > number}


def _stepped(layer: nn.Module, x: Tensor, state: Any, time: int) -> tuple[Tensor, Any]:
    """Return what a layer gives for x, and its next state; a sequence has `time` samples."""
    if isinstance(layer, ZeroOrderHold):
        held: tuple[Tensor, Any] = layer(x, state, time)
        return held
    if not x.shape[1]:  # no step of its clock is among the samples: for its width, one of zeros
        return output_of(layer, x.new_zeros(len(x), 1, x.shape[2]))[:, :0], state
    output = layer(x) if state is None else layer(x, state)
    return output if isinstance(output, tuple) else (output, None)


def values_of(
    layers: Iterable[nn.Module], reads: Sequence[tuple[int, ...]], x: Tensor
) -> Iterator[Tensor]:
    """Yield normalised samples x [n, time, channels], then what each layer gives, in order."""
    yield x
    for y, _ in steps_of(layers, reads, x):
        yield y


@dataclass
class FloatChain:
    """Layers applied to each sample of a sequence, the state carried along.

    Each reads the layer before it, or what its sources are.

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
    counts : tuple of float
        Int16 counts of the sensor of one unit of each channel; (): not known.
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
    sources : tuple of tuple of int
        What each layer reads, side by side: 0 is the normalised input, k what the k-th layer
        gives. Empty for a chain; `reads` has them always. The last layer gives the output.
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
    sources: tuple[tuple[int, ...], ...] = ()
    counts: tuple[float, ...] = ()

    @property
    def overlap(self) -> Overlap | None:
        """How its windows overlap, if they do."""
        return Overlap(self.window, self.hop) if self.hop else None

    @property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """What each layer reads: `sources`, or those of a chain."""
        return self.sources or tuple((number,) for number in range(len(self.layers)))

    @property
    def program_sources(self) -> tuple[tuple[int, ...], ...]:
        """`sources` of the program that is made of a node for each layer."""
        return (*self.sources, (len(self.layers),)) if self.sources else ()

    def activations(self, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the normalised input and what each layer gives, for raw x [n, time, channels].

        Each is float32 [n, time, width]; the last is the output.
        """
        return list(self.by_layer(x))

    def by_layer(self, x: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yield what `activations` returns, each when its layer has run."""
        value: Tensor = torch.from_numpy((x - self.mean) / self.std)
        layers = values_of((layer for _, layer in self.layers), self.reads, value)
        while True:
            with torch.no_grad():  # not while the caller works
                found = next(layers, None)
            if found is None:
                return
            yield found.numpy()

    def run(self, x: NDArray[np.float32], batch: int = 512) -> NDArray[np.float32]:
        """Return the output [n, time, outputs] for raw x [n, time, channels]."""
        return np.concatenate(
            [self.activations(x[i : i + batch])[-1] for i in range(0, len(x), batch)]
        )

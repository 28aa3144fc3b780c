r"""Layers that change the rate: strides, and what brings their values back to every sample.

.. math:: y_j = x_{first + j\, stride}

A layer behind a `Decimate` reads fewer steps. A `ZeroOrderHold` at the end of a model gives the
last of its values at each sample.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.program.clocks import EVERY_STEP, Clock
from edgeflow.quantization import Calibration, Converted


class Decimate(nn.Module):
    """x [n, time, size] -> (y [n, steps, size], the steps until the next that is passed on).

    Parameters
    ----------
    first : int
        The first step that is passed on, counted from 0.
    stride : int
        Steps from one to the next.
    """

    def __init__(self, first: int, stride: int) -> None:
        super().__init__()
        self.first, self.stride = first, stride

    def forward(self, x: Tensor, state: int | None = None) -> tuple[Tensor, int]:
        wait = self.first if state is None else state
        y = x[:, wait :: self.stride]
        return y, wait + y.shape[1] * self.stride - x.shape[1]


class ZeroOrderHold(nn.Module):
    """x [n, steps, size] -> (y [n, time, size], state): the last x at every sample, zeros first.

    Parameters
    ----------
    first : int
        The sample of the first x, counted from 0.
    period : int
        Samples from one to the next.
    """

    def __init__(self, first: int, period: int) -> None:
        super().__init__()
        self.first, self.period = first, period

    def forward(
        self, x: Tensor, state: tuple[Tensor, int] | None = None, time: int | None = None
    ) -> tuple[Tensor, tuple[Tensor, int]]:
        """Return the values at `time` samples; None: at as many as x can be of, at most."""
        last, wait = state or (x.new_zeros(len(x), 1, x.shape[2]), self.first)
        steps = x.shape[1]
        time = wait + steps * self.period if time is None else time
        whole = torch.cat([last, x], dim=1)
        read = (torch.arange(time, device=x.device) - wait).div(self.period, rounding_mode="floor")
        following = whole[:, -1:], wait + steps * self.period - time
        return whole[:, (read + 1).clamp(min=0)], following


def clock_after(layer: nn.Module, clock: Clock) -> Clock:
    """Return the clock of what a layer gives that reads values of a clock."""
    if isinstance(layer, ZeroOrderHold):
        return EVERY_STEP
    if not isinstance(layer, Decimate):
        return clock
    return clock.divided(layer.first, layer.stride)


def clocks_of(layers: Iterable[nn.Module], reads: Sequence[tuple[int, ...]]) -> list[Clock]:
    """Return the clock of the samples, and of what each layer gives; that of its first source."""
    clocks = [EVERY_STEP]
    for layer, row in zip(layers, reads, strict=True):
        clocks.append(clock_after(layer, clocks[row[0]]))
    return clocks


def convert_decimate(layer: Any, given: Calibration) -> Converted:
    """Make the node; its values are those of the source."""
    source, samples = given.source, given.source.real.shape[1]
    if not given.real.shape[1]:
        raise CompressError(
            f"its first value needs {layer.first + 1} steps, and windows have {samples} here: make "
            "them longer"
        )
    node = nodes.Decimate(given.name, len(source.scale), source.bits, layer.first, layer.stride)
    return Converted(node, given.as_read())


def convert_hold(layer: Any, given: Calibration) -> Converted:
    """Make the node; before the first value it gives zeros."""
    source = given.source
    if source.offset.any():
        raise CompressError("it holds the input: put a linear layer in front of it")
    node = nodes.ZeroOrderHold(given.name, len(source.scale), source.bits)
    return Converted(node, given.as_read())


DECIMATE = Layer(Decimate, convert_decimate)
HOLD = Layer(ZeroOrderHold, convert_hold)

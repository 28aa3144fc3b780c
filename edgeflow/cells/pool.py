r"""Pooling over time: the largest, or the mean, of the last steps, or the largest of all so far.

.. math:: y_t = \max(x_{t-k+1}, \ldots, x_t), \qquad y_t = (x_{t-k+1} + \cdots + x_t) / k

with zeros before the first step. A `edgeflow.cells.rate.Decimate` behind it makes it
``nn.MaxPool1d`` or ``nn.AvgPool1d``.
"""

from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.program import nodes
from edgeflow.program.nodes.moving_mean import reciprocal
from edgeflow.quantization import Calibration, Converted


class _Moving(nn.Module):
    """x [n, time, size] -> (y [n, time, size], the last ``steps - 1`` of x).

    Parameters
    ----------
    steps : int
        Of a window, at least 2.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        past = x.new_zeros(len(x), self.steps - 1, x.shape[2]) if state is None else state
        whole = torch.cat([past, x], dim=1)
        return self.reduced(whole.unfold(1, self.steps, 1)), whole[:, x.shape[1] :]

    def reduced(self, windows: Tensor) -> Tensor:
        """Return what becomes of windows [..., steps]."""
        raise NotImplementedError


class MovingMax(_Moving):
    """Largest of the last steps."""

    def reduced(self, windows: Tensor) -> Tensor:
        return windows.amax(dim=-1)


class MovingMean(_Moving):
    """Mean of the last steps."""

    def reduced(self, windows: Tensor) -> Tensor:
        return windows.mean(dim=-1)


class RunningMax(nn.Module):
    """Largest value so far: x [n, time, size] -> (y [n, time, size], that at the end [n, size])."""

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        y = x.cummax(dim=1).values
        y = y if state is None else torch.maximum(y, state[:, None])
        return y, y[:, -1]


def convert_max(layer: Any, given: Calibration) -> Converted:
    """Make the node; its unit is that of the source."""
    source = given.source
    node = nodes.MovingMax(given.name, len(source.scale), source.bits, layer.steps)
    return Converted(node, given.as_read())


def convert_running_max(layer: Any, given: Calibration) -> Converted:
    """Make the node; its unit is that of the source."""
    source = given.source
    node = nodes.RunningMax(given.name, len(source.scale), source.bits)
    return Converted(node, given.as_read())


def convert_mean(layer: Any, given: Calibration) -> Converted:
    """Make the node; its unit is that of the source."""
    source, steps = given.source, layer.steps
    node = nodes.MovingMean(given.name, len(source.scale), source.bits, steps, reciprocal(steps))
    return Converted(node, given.as_read())


MAX = Layer(MovingMax, convert_max, pads=True)
RUNNING_MAX = Layer(RunningMax, convert_running_max)
MEAN = Layer(MovingMean, convert_mean, pads=True)

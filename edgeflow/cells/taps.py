r"""Delay line: each step gives the last samples, side by side.

.. math:: y_t = [x_{t - (k - 1) d}, \ldots, x_{t - d}, x_t]

with `k` taps, `d` samples apart, and zeros before the first sample. A linear layer, or neurons,
that read it are a causal convolution: that is how ``nn.Conv1d`` runs on a stream, with a
`edgeflow.cells.rate.Decimate` in between where it has a stride.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.cells.rate import Decimate
from edgeflow.errors import CompressError, TrainError
from edgeflow.program import nodes
from edgeflow.quantization import Calibration, Converted, Signal


class DelayLine(nn.Module):
    """x [n, time, size] -> (y [n, time, taps * size], state), the oldest sample first.

    Parameters
    ----------
    taps : int
        Samples that a step gives, at least 2.
    dilation : int
        Distance between two of these samples, at least 1.

    Raises
    ------
    TrainError
        If one is too small.
    """

    def __init__(self, taps: int, dilation: int = 1) -> None:
        super().__init__()
        for name, value, least in (("taps", taps, 2), ("dilation", dilation, 1)):
            if value < least:
                raise TrainError(f"{name} is {value}: it must be at least {least}")
        self.taps, self.dilation = taps, dilation

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return y and the last ``(taps - 1) * dilation`` samples, [n, those, size]."""
        past = (self.taps - 1) * self.dilation
        if state is None:
            state = x.new_zeros(len(x), past, x.shape[2])
        whole, time = torch.cat([state, x], 1), x.shape[1]
        starts = range(0, past + 1, self.dilation)
        y = torch.cat([whole[:, start : start + time] for start in starts], 2)
        return y, whole[:, time:]


def dense_kernel(weight: Tensor, groups: int) -> Tensor:
    """Return the kernel [outputs, inputs, taps] of one in groups, with zeros between them."""
    outputs, each, taps = weight.shape
    dense = weight.new_zeros(outputs, groups * each, taps)
    rows = outputs // groups
    for group in range(groups):
        at = slice(group * rows, (group + 1) * rows)
        dense[at, group * each : (group + 1) * each] = weight[at]
    return dense


def unstack_conv(layer: Any) -> list[nn.Module]:
    """Return an ``nn.Conv1d`` as a delay line, a rate divider and a linear layer."""
    kernel = dense_kernel(layer.weight.detach(), layer.groups)
    outputs, inputs, taps = kernel.shape
    linear = nn.Linear(inputs * taps, outputs)
    with torch.no_grad():
        linear.weight.copy_(kernel.transpose(1, 2).flatten(1))
        linear.bias.zero_()
        if layer.bias is not None:
            linear.bias.copy_(layer.bias)
    linear.eval()
    (stride,), (dilation,) = layer.stride, layer.dilation
    past = (taps - 1) * dilation
    first = past if layer.padding in ("valid", (0,)) else 0
    return [
        *([DelayLine(taps, dilation)] if taps > 1 else []),
        *([Decimate(first, stride)] if stride > 1 else []),
        linear,
    ]


def unsupported_conv(layer: Any) -> str | None:
    """Refuse what reads the future."""
    if layer.padding_mode != "zeros":
        return f"padding_mode '{layer.padding_mode}': pad with zeros"
    past = (layer.kernel_size[0] - 1) * layer.dilation[0]
    if layer.padding not in ("valid", (0,), (past,)):
        return (
            f"padding {layer.padding!r} reads the future: pad {past} zeros on the left only, with "
            f"nn.functional.pad(x, ({past}, 0)) and padding=0, or with padding={past} and the last "
            f"{past} outputs cut off"
        )
    return None


def convert(layer: Any, given: Calibration) -> Converted:
    """Make the node; its values are those of the source."""
    source = given.source
    if source.offset.any():
        raise CompressError("it reads zeros before the first sample, and 0 is none of its integers")
    node = nodes.Taps(given.name, len(source.scale), source.bits, layer.taps, layer.dilation)
    offset, scale = (np.tile(v, layer.taps) for v in (source.offset, source.scale))
    return Converted(node, Signal(offset, scale, source.bits, given.real, lagged=True))


def convert_conv(layer: Any, given: Calibration) -> Converted:
    """Refuse what was not expanded."""
    raise CompressError("a convolution must be expanded first")


LAYER = Layer(DelayLine, convert, pads=True)
CONV = Layer(nn.Conv1d, convert_conv, unstack_conv, unsupported_conv)

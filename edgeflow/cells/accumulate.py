r"""Read-outs that sum a classifier's outputs over time, for cells whose state says little at once.

.. math:: y_t = d\, y_{t-1} + g\, x_t

"mean" has :math:`d = 1, g = 1 / window`: at the last step of a window, y is the mean of x. "leaky"
has a learned decay d, :math:`g = 1 - d`: an average of the recent past, also without windows.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.errors import CompressError, TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.quantization import MARGIN, Calibration, Converted

#: Read-outs of a classifier; "last" is none.
READOUTS = ("last", "mean", "leaky")
#: Time constant of a new leaky read-out, in steps.
TIME_CONSTANT = 10.0


class Accumulate(nn.Module):
    """Sum over time: x [n, time, size], state [n, size] -> (y [n, time, size], state).

    Parameters
    ----------
    window : int
        Steps whose mean is the last output; 0: leaky, with a learned decay.
    """

    def __init__(self, window: int = 0) -> None:
        super().__init__()
        self.window = window
        logit = math.log(TIME_CONSTANT - 1)
        self.decay_logit = nn.Parameter(torch.tensor(logit)) if window == 0 else None

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return the decay and the gain."""
        if self.decay_logit is None:
            return torch.tensor(1.0), torch.tensor(1 / self.window)
        decay = torch.sigmoid(self.decay_logit)
        return decay, 1 - decay

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        decay, gain = self.factors()
        y = torch.zeros_like(x[:, 0]) if state is None else state
        if self.window:
            whole = y[:, None] + gain * x.cumsum(dim=1)
            return whole, whole[:, -1]
        steps = []
        for value in x.unbind(dim=1):
            y = decay * y + gain * value
            steps.append(y)
        return torch.stack(steps, dim=1), y


def build_readout(name: str, window: int) -> Accumulate | None:
    """Return a read-out by name; None for "last".

    Raises
    ------
    TrainError
        If there is no such read-out, or "mean" has no window.
    """
    if name not in READOUTS:
        raise TrainError(f"there is no readout '{name}': use one of {', '.join(READOUTS)}")
    if name == "mean" and window < 1:
        raise TrainError("readout 'mean' needs windows: use 'leaky' for streaming")
    return None if name == "last" else Accumulate(window if name == "mean" else 0)


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; the sum's unit is that of the input, so that values add as they are."""
    source = given.source
    if source.offset.any():
        raise CompressError("it can only sum values whose integer zero is zero")
    decay, gain = (float(factor.detach()) for factor in layer.factors())
    # the gain of the rounded decay, so that the sum settles where the float one does
    kept = round(decay * 32768) if decay >= 1 else min(round(decay * 32768), 32767)
    unit = (gain if decay >= 1 else 1 - kept / 32768) * source.scale
    top = np.abs(given.real).max(axis=(0, 1)) * MARGIN / (unit * INT16_MAX)
    shift = max(0, math.ceil(math.log2(max(float(top.max()), 1e-9))))
    node = nodes.Accumulate(given.name, len(unit), source.bits, kept, min(shift, 15))
    return Converted(node, given.output(unit * 2.0**node.shift, 16))


LAYER = Layer(Accumulate, convert)

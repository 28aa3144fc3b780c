r"""Several samples a step: what follows runs at a fraction of the rate.

.. math:: y_j = [x_{jk}, x_{jk + 1}, \ldots, x_{jk + k - 1}]

A recurrent cell behind it takes one step for `k` samples: its products, most of a model's work, are
taken `k` times less often. In a program it is a delay line and a rate divider
(`edgeflow.cells.taps`, `edgeflow.cells.rate`), which an ``nn.Conv1d`` with stride is made of, too.
"""

from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.cells.rate import Decimate
from edgeflow.cells.taps import DelayLine
from edgeflow.errors import CompressError, TrainError
from edgeflow.quantization import Calibration, Converted


class SampleStack(nn.Module):
    """x [n, time, size] -> (y [n, steps, samples * size], the samples of the step to come).

    Parameters
    ----------
    samples : int
        Of a step, at least 2; side by side, the oldest first.

    Raises
    ------
    TrainError
        If there are fewer.
    """

    def __init__(self, samples: int) -> None:
        super().__init__()
        if samples < 2:
            raise TrainError(f"a stack of {samples} samples: it must be of at least 2")
        self.samples = samples

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        whole = x if state is None else torch.cat([state, x], dim=1)
        n, time, size = whole.shape
        steps = time // self.samples
        taken = steps * self.samples
        y = whole[:, :taken].reshape(n, steps, self.samples * size)
        return y, whole[:, taken:]


def unstack(layer: Any) -> list[nn.Module]:
    """Return the delay line and the rate divider that it is made of."""
    return [DelayLine(layer.samples), Decimate(layer.samples - 1, layer.samples)]


def convert(layer: Any, given: Calibration) -> Converted:
    """Refuse what was not expanded."""
    raise CompressError("a stack of samples must be expanded first")


LAYER = Layer(SampleStack, convert, unstack)

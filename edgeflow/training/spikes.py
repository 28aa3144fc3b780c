r"""Activity regularisation of spiking layers: fewer spikes, as a spike costs a column of weights.

To the loss comes, with weight :math:`\lambda`, a mean over the neurons of all populations that
fire at a higher rate :math:`r` (spikes per neuron and step) than the wanted :math:`r^*`:

.. math::
    \text{l1:}\quad r - r^* \qquad\qquad
    \text{hoyer:}\quad \frac{1}{n} \frac{(\sum |z|)^2}{\sum z^2},\quad z = clip(u / \theta, 0, 1)

L1 counts spikes, with the surrogate gradient. The Hoyer-square pushes the smaller of the n
membranes u under their thresholds and leaves the larger ones alone; of spikes it would be
their number.

F. Zenke and T. Vogels, The remarkable robustness of surrogate gradient learning for instilling
complex function in spiking neural networks, Neural Computation 33(4), 2021 (L1 above a bound).
H. Yang, W. Wen, H. Li, DeepHoyer: learning sparser neural network with differentiable
scale-invariant sparsity measures, ICLR 2020, arXiv 1908.09979; G. Datta, Z. Liu, P. Beerel, Hoyer
regularizer is all you need for ultra low-latency spiking neural networks, arXiv 2212.10170.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from edgeflow.cells.cells import cells_with
from edgeflow.cells.spikes import Activity, Spiking, watch
from edgeflow.errors import TrainError
from edgeflow.training.batches import Batch
from edgeflow.training.method import Method

#: Their weight in the loss by default: Hoyer's does not fade near the wanted rate.
REGULARIZERS = {"l1": 3.0, "hoyer": 0.3}
#: Rate, in units of the wanted one, below which an epoch may be the best one.
REACHED = 1.2


class SpikeRate(Method):
    """Make the populations of a model fire at a wanted rate at most.

    Parameters
    ----------
    rate : float
        Spikes per neuron and step, in [0, 1).
    regularizer : str
        "l1" or "hoyer".
    strength : float, optional
        Weight in the loss, positive; None: that of `REGULARIZERS`.

    Raises
    ------
    TrainError
        If a value is out of range.
    """

    def __init__(
        self, rate: float, *, regularizer: str = "l1", strength: float | None = None
    ) -> None:
        if not 0 <= rate < 1:
            raise TrainError(f"spike rate is {rate:g}: it must be in [0, 1)")
        if regularizer not in REGULARIZERS:
            known = ", ".join(REGULARIZERS)
            raise TrainError(f"spike regularizer is '{regularizer}': use one of {known}")
        strength = REGULARIZERS[regularizer] if strength is None else strength
        if not 0 < strength < float("inf"):
            raise TrainError(f"strength of the spike regularizer is {strength:g}: use more than 0")
        self.rate, self.regularizer, self.strength = rate, regularizer, strength
        self._activity: list[Activity] = []
        self._spikes = self._steps = 0.0

    def describe(self) -> dict[str, Any]:
        return {
            "method": "spike-rate",
            "rate": self.rate,
            "regularizer": self.regularizer,
            "strength": self.strength,
        }

    def prepare(self, model: nn.Module) -> None:
        """Check that there are neurons.

        Raises
        ------
        TrainError
            If no layer spikes.
        """
        if not any(isinstance(module, Spiking) for module in model.modules()):
            raise TrainError(f"a spike rate is of spiking cells: use one of {cells_with(Spiking)}")

    def before_epoch(self, model: nn.Module, progress: float) -> None:
        """Set the counters to zero."""
        self._spikes = self._steps = 0.0

    @contextmanager
    def during_step(self, model: nn.Module) -> Iterator[None]:
        """Watch the populations."""
        with watch(model) as self._activity:
            yield
        self._activity = []

    def losses(self, model: nn.Module, batch: Batch, logits: Tensor, losses: Tensor) -> Tensor:
        """Add the regulariser."""
        # passes without gradients, such as a calibration, are not the batch's
        seen = [part for part in self._activity if part.spikes.requires_grad]
        self._activity.clear()
        neurons = sum(part.spikes.shape[-1] for part in seen)
        for part in seen:
            rate = part.spikes.mean()
            self._spikes += float(rate.detach()) * part.spikes.numel()
            self._steps += part.spikes.numel()
            if rate > self.rate:
                share = part.spikes.shape[-1] / neurons
                penalty = rate - self.rate if self.regularizer == "l1" else hoyer(part.membrane)
                losses = losses + self.strength * share * penalty
        return losses

    def settled(self, progress: float) -> bool:
        """Wait until the epoch's rate is about the wanted one, or the training ends."""
        reached = self._steps > 0 and self._mean <= REACHED * self.rate
        return progress >= 1 or reached

    def row(self, model: nn.Module) -> dict[str, float]:
        """Return the mean rate over neurons and steps of the epoch's training windows."""
        return {"spike_rate": self._mean}

    @property
    def _mean(self) -> float:
        return self._spikes / max(self._steps, 1.0)


def hoyer(membrane: Tensor) -> Tensor:
    """Return the Hoyer-square of membranes in units of their thresholds, a share in [0, 1]."""
    z = membrane.clamp(0, 1)
    result: Tensor = z.sum().square() / z.square().sum().clamp(min=1e-12) / z.numel()
    return result

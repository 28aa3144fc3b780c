"""Hooks of the training loop: all that a run does besides making the loss small.

Quantization-aware training, pruning, delta thresholds and distillation are each a `Method`. Several
work together; each hook is called for all of them, in their order.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor

from edgeflow.training.batches import Batch


class Method:
    """Hooks that do nothing; a method overrides what it needs.

    The model of the hooks is the one that is trained, or its moving average. It has
    ``stream(x, state)``; in ``edgeflow.compression.finetune`` it is a ``ChainModel``.

    Attributes
    ----------
    by_person : bool
        Whether batches of a new model's windows must have several windows of a person's class.
    """

    by_person: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the name and settings as JSON values: the run's record, and what resuming checks.

        Must have the entry "method".
        """
        return {"method": type(self).__name__.lower()}

    def prepare(self, model: Any) -> None:
        """Change the model before its optimiser is made; it may replace layers.

        Called again when a run goes on, before the weights are loaded: it must make the same of
        the same model.
        """

    def before_epoch(self, model: Any, progress: float) -> None:
        """Begin an epoch; `progress` is the share of the epochs that are over, in [0, 1)."""

    def during_step(self, model: Any) -> AbstractContextManager[Any]:
        """Return the context of the forward and backward pass, which ends before the optimiser.

        Parameters that it replaces (``parameter.data``) get the gradient at the replaced values,
        which then changes the original ones: a straight-through estimator.
        """
        return nullcontext()

    def outputs(self, model: Any, batch: Batch, logits: Tensor) -> Tensor:
        """Return the outputs [n, time, size] that the loss sees."""
        return logits

    def losses(self, model: Any, batch: Batch, logits: Tensor, losses: Tensor) -> Tensor:
        """Return the losses [n, time], of which the weighted mean is made small."""
        return losses

    def constrain(self, model: Any) -> None:
        """Put the weights back where they belong, such as zeros of a mask.

        Called without gradients after each step, for the model and for its moving average.
        """

    def settled(self, progress: float) -> bool:
        """Tell whether an epoch that ends at `progress`, in [0, 1], may be the best one.

        0 is before the first epoch: the model as it came.
        A pruning schedule says no until its sparsity is reached. Must be True at 1.
        """
        return True

    def row(self, model: Any) -> dict[str, float]:
        """Return the entries to add to an epoch's row of the history."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return the state that an interruption must keep: tensors and plain values."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to a state of `state`, after `prepare`."""

    def finish(self, model: Any) -> None:
        """Change the best model once training is over, such as removing dead units.

        Equal weights must give equal results.
        """

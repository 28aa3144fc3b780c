r"""Prototypical loss of each person's windows: states that a few labels tell apart.

Windows are decided as `edgeflow compress --adapt` will decide those of a new person: by what the
same person's other windows of each class are like. With the state x that the read-out reads at a
window's end, and the means m of that person's *other* windows of each class in the batch, the loss
of a window of class k is

.. math:: -\log softmax_k(-t\, |x - m_i|^2)

which is added to that of the trained read-out, with a weight. J. Snell, K. Swersky, R. Zemel,
Prototypical networks for few-shot learning, NeurIPS 2017, arXiv 1703.05175; a window is left out of
its own mean, as in neighbourhood component analysis, so that no windows are kept aside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.errors import TrainError
from edgeflow.tasks import Classification
from edgeflow.training.batches import Batch
from edgeflow.training.method import Method

#: t: what a squared distance of states counts.
SHARPNESS = 2.0


class Prototypical(Method):
    """Let windows be told apart by the means of the same person's others, besides the read-out.

    Parameters
    ----------
    strength : float
        Weight in the loss, positive.

    Raises
    ------
    TrainError
        If it is not.
    """

    by_person = True

    def __init__(self, strength: float = 1.0) -> None:
        if not 0 < strength < float("inf"):
            raise TrainError(f"strength of the loss by person is {strength:g}: use more than 0")
        self.strength = strength
        self._read: list[Tensor] = []

    def describe(self) -> dict[str, Any]:
        return {"method": "prototypical", "strength": self.strength}

    def prepare(self, model: nn.Module) -> None:
        """Check that the model decides once a window, among classes.

        Raises
        ------
        TrainError
            If it does not.
        """
        task, window = getattr(model, "task", None), getattr(model, "window", 0)
        if not isinstance(task, Classification) or not window or not hasattr(model, "dropout"):
            raise TrainError(
                "the loss by person is for training new classifiers that decide once a window: "
                "leave it out, or --mode streaming"
            )

    @contextmanager
    def during_step(self, model: nn.Module) -> Iterator[None]:
        """Note what the read-out reads, before dropout."""
        handle = model.get_submodule("dropout").register_forward_pre_hook(
            lambda _, given: self._read.append(given[0])
        )
        try:
            yield
        finally:
            handle.remove()
            self._read.clear()

    def losses(self, model: nn.Module, batch: Batch, logits: Tensor, losses: Tensor) -> Tensor:
        """Add the loss by person, where a window's class has others of that person."""
        (read,), person = self._read, batch.person
        assert person is not None  # of windows, as `prepare` made sure
        found = by_others(read[:, -1], batch.y, person, logits.shape[-1])
        return losses if found is None else losses + self.strength * found


def by_others(x: Tensor, label: Tensor, person: Tensor, classes: int) -> Tensor | None:
    """Return the mean loss of windows by their persons' others; None: no window has such.

    Parameters
    ----------
    x : Tensor [n, inputs]
    label, person : Tensor int64 [n]
    classes : int
    """
    of_class = nn.functional.one_hot(label, classes).to(x.dtype)
    others = (person[:, None] == person).to(x.dtype).fill_diagonal_(0.0)
    count = others @ of_class
    means = torch.einsum("ij,jc,jh->ich", others, of_class, x) / count.clamp(min=1)[..., None]
    distance = (x[:, None] - means).square().sum(dim=-1)
    scores = (-SHARPNESS * distance).masked_fill(count == 0, -torch.inf)
    known = count.gather(1, label[:, None])[:, 0] > 0
    if not known.any():
        return None
    return nn.functional.cross_entropy(scores[known], label[known])

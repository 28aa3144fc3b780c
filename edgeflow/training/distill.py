r"""Distillation: a student learns the outputs of trained teachers.

With outputs y of the student, the mean z of the teachers' outputs, temperature T and share a, the
loss of a step is ``(1 - a) loss(y) + a imitation(y, z, T)``, with the task's
:meth:`edgeflow.tasks.Task.imitation`. That of class probabilities is

.. math:: T^2\, KL\big(softmax(z / T)\,\|\,softmax(y / T)\big)

G. Hinton, O. Vinyals, J. Dean, Distilling the knowledge in a neural network, arXiv 1503.02531.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells import SequenceClassifier, load_model
from edgeflow.errors import TrainError
from edgeflow.training.batches import Batch
from edgeflow.training.method import Method
from edgeflow.training.resume import weights_hash


class Distillation(Method):
    """Learn from teachers.

    Parameters
    ----------
    teachers : sequence of path
        Folders or ``model.pt`` of ``edgeflow train``, of any cell.
    temperature : float
        T, positive.
    share : float
        a, in (0, 1].

    Raises
    ------
    TrainError
        If there is no teacher, one cannot be loaded, or a number is out of range.
    """

    def __init__(
        self, teachers: Sequence[str | Path], *, temperature: float = 2.0, share: float = 0.5
    ) -> None:
        if not teachers:
            raise TrainError("distillation needs at least one teacher")
        if not 0 < temperature < float("inf"):
            raise TrainError(f"temperature is {temperature}: it must be positive")
        if not 0 < share <= 1:
            raise TrainError(f"share of the teachers is {share}: it must be in (0, 1]")
        self.paths = [str(path) for path in teachers]
        self.teachers: list[SequenceClassifier] = [load_model(path) for path in teachers]
        self.temperature, self.share = float(temperature), float(share)
        self._states: list[Any] = [None] * len(self.teachers)

    def describe(self) -> dict[str, Any]:
        return {
            "method": "distillation",
            "teachers": self.paths,
            "hashes": [weights_hash(teacher.state_dict()) for teacher in self.teachers],
            "temperature": self.temperature,
            "share": self.share,
        }

    def prepare(self, model: nn.Module) -> None:
        """Check that the teachers do what the student is to learn.

        Raises
        ------
        TrainError
            If classes, task, channels or windows differ.
        """
        for path, teacher in zip(self.paths, self.teachers, strict=True):
            # a chain of another origin does not say what it is for
            task = getattr(model, "target", None) or teacher.target
            if teacher.target != task:
                raise TrainError(f"{path}: the teacher was trained for another task")
            for what in ("classes", "channels"):
                theirs, ours = list(getattr(teacher, what)), list(getattr(model, what))
                if theirs != ours:
                    raise TrainError(
                        f"{path}: the teacher's {what} are {', '.join(theirs)}, the student's "
                        f"{', '.join(ours)}: use a teacher that was trained on the same data"
                    )
            window: Any = model.window
            if teacher.window and window and teacher.window != window:
                raise TrainError(
                    f"{path}: the teacher decides after {teacher.window} samples, the student "
                    f"after {window}: use a teacher with the same window"
                )

    def losses(self, model: nn.Module, batch: Batch, logits: Tensor, losses: Tensor) -> Tensor:
        """Return the mixture [n, time]."""
        task, target = self.teachers[0].task, self.target(batch)
        imitation = task.imitation(logits, target, self.temperature, self.share)
        return (1 - self.share) * losses + imitation

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """Return the mean of the teachers' outputs [n, time, size]."""
        outputs = []
        for k, teacher in enumerate(self.teachers):
            before = self._states[k] if batch.keep else None
            y, self._states[k] = teacher.stream(batch.x, before)
            outputs.append(y)
        return torch.stack(outputs).mean(dim=0)

r"""Classification: one output per class, of which the largest is the decision.

The margin loss is that of a linear support vector machine on each class against the rest, with
squared hinges ("L2-SVM"): for labels :math:`t_c = \pm 1`,

.. math:: \frac{1}{C} \sum_c \max(0, 1 - t_c\, y_c)^2

Y. Tang, Deep learning using linear support vector machines, arXiv 1306.0239; on a GRU: A. F.
Agarap, arXiv 1709.03082. Weight decay takes the place of its penalty of the weights.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.errors import DataError
from edgeflow.tasks.classes import Classes
from edgeflow.tasks.task import Extreme, Heatmap, Loss, Metric, Scores, Table, Task

if TYPE_CHECKING:
    from torch import Tensor

ACCURACY = Metric("accuracy", "accuracy", "%")
MACRO_F1 = Metric("macro_f1", "macro-F1")


def cross_entropy(logits: "Tensor", y: "Tensor") -> "Tensor":
    """Return the cross-entropy [n, time], in nats."""
    from torch.nn import functional

    target = y if y.ndim == 2 else y[:, None].expand(logits.shape[:2])
    return functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")


def l2_svm(logits: "Tensor", y: "Tensor") -> "Tensor":
    """Return the mean squared hinge over the classes [n, time]."""
    from torch.nn import functional

    steps = y if y.ndim == 2 else y[:, None]
    sign = 2 * functional.one_hot(steps, logits.shape[2]) - 1
    return functional.relu(1 - sign * logits).square().mean(dim=2)


@dataclass(frozen=True)
class Classification(Classes):
    """One of several classes, for each window or, without windows, for each sample.

    Parameters
    ----------
    classes : tuple of str
        One per output. Targets are their numbers, int64 [n].
    """

    name: ClassVar[str] = "classification"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, MACRO_F1)
    more_metrics: ClassVar[tuple[Metric, ...]] = (Metric("mcc", "MCC"),)
    selection: ClassVar[Metric | None] = MACRO_F1
    losses: ClassVar[Mapping[str, Loss]] = {"cross-entropy": cross_entropy, "l2-svm": l2_svm}

    def targets(self, y: Any) -> list[Any]:
        found = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
        names = ", ".join(self.classes)
        if found.ndim != 1 or found.dtype.kind not in "iuUO":
            raise DataError(f"y must be [n]: names of classes ({names}) or their numbers")
        numbers = {name: number for number, name in enumerate(self.classes)}
        labels = found.tolist()
        for label in labels:
            known = label in numbers if isinstance(label, str) else label in range(self.size)
            if not known:
                raise DataError(
                    f"y has the label {label!r}: use a name ({names}), or its number from 0 to "
                    f"{self.size - 1}"
                )
        return [numbers[label] if isinstance(label, str) else label for label in labels]

    def aligned(self, y: NDArray[Any], source: Task, data: str) -> NDArray[Any]:
        if not isinstance(source, Classification):
            return super().aligned(y, source, data)
        unknown = set(source.classes) - set(self.classes)
        if unknown:
            raise DataError(
                f"data set '{data}' has the class '{sorted(unknown)[0]}', which the model "
                f"does not know (it knows {', '.join(self.classes)}): give it the model's name, or "
                "leave out its recordings"
            )
        number = np.array([self.classes.index(name) for name in source.classes], np.int64)
        return number[y]

    def target_text(self, target: Any) -> str:
        return self.classes[target]

    def right(self, outputs: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.decide(outputs) == truth.reshape(
            -1, *(1,) * (outputs.ndim - 2)
        )
        return found

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        matrix = metrics.confusion(truth, decided, self.size)
        return {"accuracy": metrics.accuracy(matrix), "macro_f1": metrics.macro_f1(matrix)}

    def counts(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, Any]:
        return {"confusion": metrics.confusion(truth, decided, self.size).tolist()}

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        matrix = metrics.confusion(truth, decided, self.size)
        shares = zip(self.classes, metrics.recall(matrix).tolist(), strict=True)
        found = super().scores(truth, decided, subjects)
        found["overall"] |= {
            "mcc": metrics.mcc(matrix),
            "recall": {name: None if math.isnan(share) else share for name, share in shares},
        }
        return found

    def criterion(self, outputs: NDArray[Any], truth: NDArray[Any]) -> float:
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(axis=1))
        return float((log_sum - shifted[np.arange(len(truth)), truth]).mean())

    def imitation(
        self, outputs: "Tensor", teacher: "Tensor", temperature: float, weight: float
    ) -> "Tensor":
        from torch.nn import functional

        divergence = functional.kl_div(
            functional.log_softmax(outputs / temperature, dim=2),
            functional.log_softmax(teacher / temperature, dim=2),
            reduction="none",
            log_target=True,
        ).sum(dim=2)
        return weight * temperature * temperature * divergence

    def extremes(self, overall: Mapping[str, Any]) -> list[Extreme]:
        found = metrics.lowest_recall(overall.get("recall", {}))
        label = "lowest recall of a class"
        return [Extreme("lowest_class", "lowest class", label, found, ACCURACY)]

    def tables(self, run: Mapping[str, Any]) -> list[Table]:
        recalls = run["metrics"]["overall"]["recall"].items()
        windows = [sum(row) for row in run["confusion"]]
        rows = [[name, f"{n:,}"] for (name, _), n in zip(recalls, windows, strict=True)]
        bars = [None if share is None else 100 * share for _, share in recalls]
        return [Table("Recall by class", ["class", "windows", "recall"], rows, bars)]

    def heatmap(self, run: Mapping[str, Any]) -> Heatmap | None:
        if not run["classes"]:
            return None
        counts = np.array(run["confusion"])
        labels = run["classes"]
        return Heatmap("Confusion matrix", counts, labels, "decision of the board", "true class")

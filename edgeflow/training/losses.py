r"""What training makes small, for logits [n, time, classes] and labels [n].

The margin loss is that of a linear support vector machine on each class against the rest, with
squared hinges ("L2-SVM"): for labels :math:`t_c = \pm 1`,

.. math:: \frac{1}{C} \sum_c \max(0, 1 - t_c\, y_c)^2

Y. Tang, Deep learning using linear support vector machines, arXiv 1306.0239; on a GRU: A. F.
Agarap, arXiv 1709.03082. Weight decay takes the place of its penalty of the weights. The decision
is the largest logit with both losses.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy [n, time], in nats."""
    target = y[:, None].expand(logits.shape[:2])
    return functional.cross_entropy(logits.transpose(1, 2), target, reduction="none")


def l2_svm(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared hinge over the classes [n, time]."""
    sign = 2 * functional.one_hot(y, logits.shape[2]) - 1
    return torch.relu(1 - sign[:, None] * logits).square().mean(dim=2)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": cross_entropy,
    "l2-svm": l2_svm,
}

"""A recurrent cell between input normalisation and a linear head."""

from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.cells import build_cell
from edgeflow.errors import TrainError


class SequenceClassifier(nn.Module):
    """Classify every step of a sequence of raw sensor samples.

    .. math:: y_t = W\\, h_t + b, \\qquad h_t = cell\\big((x_t - mean) / std,\\; h_{t-1}\\big)

    Parameters
    ----------
    cell : str
        Name in ``edgeflow.cells.CELLS``.
    classes, channels : list of str
    hidden, layers : int
    dropout : float
        On what the head reads, and between layers, in [0, 1); in training only.
    rate_hz : float
        Samples a second.
    window : int
        Samples a decision; 0 if the model decides at every step.
    data : str
        Name of the data set.
    seed : int

    Attributes
    ----------
    rnn : nn.Module
        The cell, e.g. ``nn.GRU``.
    head : nn.Linear
        [classes, hidden].
    mean, std : Tensor [channels]
        Of the training people's samples, in the data set's units.

    Raises
    ------
    TrainError
        If the cell is unknown or a size is out of range.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        cell: str,
        classes: list[str],
        channels: list[str],
        *,
        hidden: int = 32,
        layers: int = 1,
        dropout: float = 0.0,
        rate_hz: float = 0.0,
        window: int = 0,
        data: str = "",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if len(classes) < 2:
            raise TrainError(f"{len(classes)} classes: a classifier needs at least 2")
        self.cell = cell
        self.classes = list(classes)
        self.channels = list(channels)
        self.hyper: dict[str, Any] = {"hidden": hidden, "layers": layers, "dropout": dropout}
        self.rate_hz = float(rate_hz)
        self.window = int(window)
        self.data = data
        self.seed = seed
        self.rnn = build_cell(cell, len(channels), hidden, layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, len(classes))
        self.register_buffer("mean", torch.zeros(len(channels)))
        self.register_buffer("std", torch.ones(len(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n, time, classes] of x [n, time, channels] in raw units.

        The last step's are the decision of a window.
        """
        return self.stream(x)[0]

    def stream(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return logits [n, time, classes] and the state to go on from (None: from zeros)."""
        hidden, state = self.rnn((x - self.mean) / self.std, state)
        return self.head(self.dropout(hidden)), state

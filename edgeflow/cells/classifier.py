"""A recurrent cell between input normalisation and a linear head."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.accumulate import build_readout
from edgeflow.cells.cells import CELLS, build_cell
from edgeflow.cells.options import option_defaults
from edgeflow.errors import TrainError
from edgeflow.names import same_name
from edgeflow.tasks import OutputFormat, Task, task_of


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
        Samples per second.
    window : int
        Samples per decision; 0 if the model decides at every step.
    hop : int
        Samples from one decision to the next, of windows that overlap; 0: they do not.
    data : str
        Name of the data set.
    warmup : int, optional
        Without windows: first samples after a reset whose decisions do not count; None: not known.
    units : list of str, optional
        One per channel, "" where it is not known; None: none is.
    seed : int
    readout : str, optional
        "last": the outputs as they are; "mean": their mean so far over the window; "leaky": their
        leaky average (``edgeflow.cells.accumulate``). None: the cell's.
    options : mapping, optional
        Of the cell (``edgeflow.cells.options``).
    target : Task, optional
        What the outputs are for, if they are not `classes`.
    output : OutputFormat, optional
        Real values of the outputs, which training normalised; None: they are real values.

    Attributes
    ----------
    rnn : nn.Module
        The cell, e.g. ``nn.GRU``.
    head : nn.Linear
        [classes, hidden].
    readout : Accumulate or None
    mean, std : Tensor [channels]
        Of the training subjects' samples, in the data set's units.

    Raises
    ------
    TrainError
        If the cell or an option is unknown, or a value is out of range.
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
        hop: int = 0,
        data: str = "",
        seed: int = 0,
        readout: str | None = None,
        options: Mapping[str, Any] | None = None,
        target: Task | None = None,
        warmup: int | None = None,
        units: list[str] | None = None,
        output: OutputFormat | None = None,
    ) -> None:
        super().__init__()
        if target is None and len(classes) < 2:
            raise TrainError(f"{len(classes)} classes: a classifier needs at least 2")
        for what, names in (("classes", classes), ("channels", channels)):
            if (twice := same_name(names)) is not None:
                raise TrainError(f"two {what} have the name '{twice}': rename one")
        self.cell = cell
        self.classes = list(classes)
        self.channels = list(channels)
        self.hyper: dict[str, Any] = {"hidden": hidden, "layers": layers, "dropout": dropout}
        self.rate_hz = float(rate_hz)
        self.window = int(window)
        self.hop = int(hop)
        self.data = data
        self.seed = seed
        self.target, self.output = target, output
        self.warmup = warmup
        self.units = None if units is None else list(units)
        self.task = task_of(classes) if target is None else target
        self.rnn = build_cell(cell, len(channels), hidden, layers, dropout, options)
        # with the defaults, which another version may change
        self.hyper["options"] = {**option_defaults(CELLS[cell]), **(options or {})}
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, self.task.size)
        if readout is None:
            readout = CELLS[cell].readout
            readout = "leaky" if readout == "mean" and not window else readout
        self.hyper["readout"] = readout
        self.readout = build_readout(readout, self.window)
        self.register_buffer("mean", torch.zeros(len(channels)))
        self.register_buffer("std", torch.ones(len(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n, time, classes] of x [n, time, channels] in raw units.

        The last step's are the decision of a window.
        """
        return self.stream(x)[0]

    def stream(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return logits [n, time, classes] and the state to go on from (None: from zeros)."""
        x = (x - self.mean) / self.std
        if self.readout is None:
            hidden, state = self.rnn(x, state)
            return self.head(self.dropout(hidden)), state
        before, total = (None, None) if state is None else state
        hidden, before = self.rnn(x, before)
        logits, total = self.readout(self.head(self.dropout(hidden)), total)
        return logits, (before, total)

"""A recurrent cell between input normalisation and a linear head."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from edgeflow.cells.accumulate import build_readout
from edgeflow.cells.cells import CELLS, build_cell
from edgeflow.cells.front_text import front_of, split_stack
from edgeflow.cells.options import option_defaults
from edgeflow.cells.rate import ZeroOrderHold
from edgeflow.cells.sample_stack import SampleStack
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
    front : str
        Front ends before the cell, like ``magnitude,gravity=0.3hz,stack:2`` (`front_text`); "":
        none.

    Attributes
    ----------
    rnn : nn.Module
        The cell, e.g. ``nn.GRU``.
    head : nn.Linear
        [classes, hidden].
    readout : Accumulate or None
    front : nn.ModuleList
        Front ends, which read raw samples; the last one normalises.
    stack : SampleStack or None
        Behind them, where the cell runs at a fraction of the rate.
    mean, std : Tensor [channels]
        Of the training subjects' samples, in the data set's units; for models without front ends.

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
        front: str = "",
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
        before, samples = split_stack(front)
        if self.window % samples:
            raise TrainError(
                f"front '{front}': the last {self.window % samples} of a window's {self.window} "
                f"samples would not be read: use windows of {self.window // samples * samples} or "
                f"{(self.window // samples + 1) * samples}"
            )
        self.front = front_of(before, channels, self.rate_hz)
        if front:
            self.hyper["front"] = front
        last: Any = self.front[-1] if self.front else None
        width = last.outputs if self.front else len(channels)
        self.stack = SampleStack(samples) if samples > 1 else None
        self.hold = ZeroOrderHold(samples - 1, samples)
        self.rnn = build_cell(cell, samples * width, hidden, layers, dropout, options)
        # with the defaults, which another version may change
        self.hyper["options"] = {**option_defaults(CELLS[cell]), **(options or {})}
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, self.task.size)
        if readout is None:
            readout = CELLS[cell].readout
            readout = "leaky" if readout == "mean" and not window else readout
        self.hyper["readout"] = readout
        self.readout = build_readout(readout, self.window // samples)
        self.register_buffer("mean", torch.zeros(len(channels)))
        self.register_buffer("std", torch.ones(len(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n, time, classes] of x [n, time, channels] in raw units.

        The last step's are the decision of a window.
        """
        return self.stream(x)[0]

    def stream(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return logits [n, time, classes] and the state to go on from (None: from zeros)."""
        if not self.front:
            return self._after_front((x - self.mean) / self.std, state)
        fronts, state = ([None] * len(self.front), None) if state is None else state
        following = []
        for layer, before in zip(self.front, fronts, strict=True):
            x, after = layer(x, before)
            following.append(after)
        y, state = self._after_front(x, state)
        return y, (following, state)

    def _after_front(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        if self.stack is None:
            return self._after_stack(x, state)
        waiting, held, state = (None, None, None) if state is None else state
        steps, waiting = self.stack(x, waiting)
        if steps.shape[1]:
            y, state = self._after_stack(steps, state)
        else:  # which no layer of torch takes
            y = x.new_zeros(len(x), 0, self.task.size)
        y, held = self.hold(y, held, x.shape[1])
        return y, (waiting, held, state)

    def _after_stack(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        if self.readout is None:
            hidden, state = self.rnn(x, state)
            return self.head(self.dropout(hidden)), state
        before, total = (None, None) if state is None else state
        hidden, before = self.rnn(x, before)
        logits, total = self.readout(self.head(self.dropout(hidden)), total)
        return logits, (before, total)

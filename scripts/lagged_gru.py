"""A forecaster of two paths, for ``breathing.py`` and ``uav.py``.

A linear one from the last samples is most of a forecast; a GRU beside it corrects it:

    z_t = P x_t + p,    f_t = W (z_{t-k} - z_t)_{k = 1..K} + V h_t + b,    y_t = B f_t

What changes is read and given: a level that no training data had changes the linear path nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import edgeflow as ef
from edgeflow.cells import build_cell
from edgeflow.cells.taps import DelayLine
from edgeflow.data import Dataset
from edgeflow.data.sequences import SIDE_BY_SIDE, sequences_of
from edgeflow.program import Program
from edgeflow.tasks import Forecast, OutputFormat

#: Batches of one epoch: z [n, time, inner], and f as it should be [n, time, outputs].
Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]


class Forecaster(nn.Module):
    """z [n, time, inner] -> f [n, time, outputs].

    Parameters
    ----------
    inner, outputs, hidden : int
        Series, forecasts, units of the GRU.
    past : int
        Samples before the present one that the linear path reads.
    level : bool
        Whether it reads the present sample too, such as a velocity.
    cell : str
        What is in the GRU's place: a name of `edgeflow.cells.CELLS`.
    """

    def __init__(
        self, inner: int, outputs: int, hidden: int, past: int, level: bool = False,
        cell: str = "gru",
    ) -> None:  # fmt: skip
        super().__init__()
        self.inner, self.past, self.level = inner, past, level
        self.cell = build_cell(cell, inner, hidden, layers=1, dropout=0.0)
        self.lags = DelayLine(past + 1)
        self.linear = nn.Linear(inner * (past + level), outputs)
        self.correction = nn.Linear(hidden, outputs, bias=False)
        for parameter in (*self.linear.parameters(), *self.correction.parameters()):
            nn.init.zeros_(parameter)

    def read(self, z: Tensor) -> Tensor:
        """Return how far the last samples were from the present one, [n, time, past * inner].

        With `level`, the present one stands behind them.
        """
        last = self.lags(z)[0]
        apart = last[..., : -self.inner] - z.repeat(1, 1, self.past)
        return torch.cat([apart, z], -1) if self.level else apart

    def forward(self, z: Tensor) -> Tensor:
        forecast: Tensor = self.linear(self.read(z)) + self.correction(self.cell(z)[0])
        return forecast

    @property
    def by_sample(self) -> Tensor:
        """Weights of the linear path by sample [outputs, (past + 1) * inner], the oldest first."""
        apart, level = self.linear.weight.split(
            [self.past * self.inner, self.level * self.inner], dim=1
        )
        present = -apart.unflatten(1, (self.past, self.inner)).sum(dim=1)
        return torch.cat([apart, present + level if self.level else present], dim=1)

    def fit(
        self, batches: Batches, epochs: int, lr: float, decay: float, skip: int,
        weights: Tensor | float = 1.0,
    ) -> None:  # fmt: skip
        """Train on squared errors times `weights` [outputs], but for a batch's first `skip`."""
        trained = [one for one in self.parameters() if one.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
        for _ in range(epochs):
            for z, wanted in batches():
                error = ((self(z) - wanted) * weights)[:, skip:]
                optimiser.zero_grad()
                error.square().mean().backward()
                nn.utils.clip_grad_norm_(trained, 1.0)
                optimiser.step()
            schedule.step()

    def solve(self, pairs: Sequence[tuple[Tensor, Tensor]], strength: float, skip: int) -> None:
        """Move the linear path to recordings, by a ridge regression that pulls to what it is.

        So a short recording changes what it is sure of. `strength` is the deviation expected of a
        weight's change, for inputs and errors of deviation 1; 0: only the bias moves.
        """
        with torch.no_grad():
            errors = [(wanted - self(z))[:, skip:].flatten(0, 1) for z, wanted in pairs]
            reads = [self.read(z)[:, skip:].flatten(0, 1) for z, _ in pairs]
            error, read = torch.cat(errors).double(), torch.cat(reads).double()
            size = read.square().mean().sqrt()
            x = torch.cat([strength * read / size, torch.ones(len(read), 1)], -1)
            gram = x.T @ x + len(x) * torch.eye(x.shape[1])
            change = torch.linalg.solve(gram, x.T @ error)
            self.linear.weight += (strength / size * change[:-1]).T.float()
            self.linear.bias += change[-1].float()


class Deployed(nn.Module):
    """The same in layers that compress: x [n, time, channels] -> y [n, time, outputs]."""

    def __init__(self, model: Forecaster, front: tuple[Any, Any], back: Any) -> None:
        super().__init__()
        self.front, self.back = _linear(*front), _linear(back)
        self.gru, self.lags = model.cell, model.lags
        weight = torch.cat([model.correction.weight, model.by_sample], dim=1)
        self.head = _linear(weight, model.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        z = self.front(x)
        y: Tensor = self.back(self.head(torch.cat([self.gru(z)[0], self.lags(z)[0]], -1)))
        return y


def _linear(weight: Any, bias: Any = None) -> nn.Linear:
    weight = torch.as_tensor(weight, dtype=torch.float32).detach()
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.zeros(len(weight)) if bias is None else torch.as_tensor(bias))
    return layer


def program_of(model: Deployed, calibration: Any, data: Dataset) -> Program:
    """Return the int8 program; its outputs are forecasts in the units of the data."""
    program = ef.compress(model.eval(), calibration, channels=data.channels, rate_hz=data.rate_hz)
    assert isinstance(data.task, Forecast)
    units = data.task.units * len(data.task.steps)
    real = OutputFormat((0.0,) * len(units), (1.0,) * len(units), units)
    metadata = {**program.metadata, "task": data.task.to_json()}
    return replace(program, output=real, metadata=metadata)


def scores(model: Any, data: Dataset, warmup: int, split: str = "test") -> dict[str, Any]:
    """Return the scores of a `Deployed` or a program on recordings that run from a reset."""
    found = sequences_of(data, split, window=0, warmup=warmup)
    if isinstance(model, Program):
        outputs = found.run(model.values, SIDE_BY_SIDE)
    else:
        with torch.no_grad():
            outputs = found.run(lambda x: model(torch.from_numpy(x)).numpy(), SIDE_BY_SIDE)
    whose = found.of_decisions(found.person)
    decided = np.concatenate([one[found.decisions] for one in outputs])
    return dict(data.task.scores(found.truth, decided, whose))

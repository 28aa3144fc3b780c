"""Anomalies of SKAB's pump: a forecast of the next sample, and `Residual` behind it.

python scripts/skab.py --root DATA [--hidden 16] [--board qemu-m4]

The forecast is the level of the beginning of a run, or that of a GRU, trained on the normal parts
of the training runs, with noise on what it reads, so that it does not follow an anomaly. Training
and validation runs choose smoothing and limit, training runs how much each sensor counts. Prints
F1, FAR and MAR of runs with anomalies.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from on_boards import profiled
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgeflow as ef  # noqa: E402
from edgeflow.compression.residual import with_residual  # noqa: E402
from edgeflow.data import Dataset, load_dataset  # noqa: E402
from edgeflow.program import InputFormat, Linear, Matrix, Program  # noqa: E402
from edgeflow.tasks import OutputFormat  # noqa: E402

#: Samples that a training window has, and of its beginning those that do not count.
LENGTH, WARMUP = 64, 8
#: Samples of each run that are taken as normal, as SKAB's own baselines do.
LEARN = 400


class Forecaster(nn.Module):
    """Forecasts of the next sample, in units of the training data's deviations."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, hidden, batch_first=True)
        self.head = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.gru(x)
        forecasts: torch.Tensor = self.head(states)
        return forecasts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--hidden", type=int, default=0, help="units of the GRU; 0: the level")
    parser.add_argument("--noise", type=float, default=1.0, help="in deviations of a channel")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-far", type=float, default=0.1)
    parser.add_argument("--board", default="", help="profile on these, with the test runs")
    parser.add_argument("--out", default="build-skab")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset("skab", root=given.root)
    normal = list(_normal(data))
    program = _forecaster(data, normal, given) if given.hidden else _level(data, normal)
    program = with_residual(program, data, max_far=given.max_far, learn=LEARN, weigh=True)
    print(program, program.metadata["residual"])
    for split in ("train", "val", "test"):
        _print_scores(program, data, split)
    for line in profiled(program, given.board, given.out, data):
        print(line, flush=True)


def _level(data: Dataset, normal: list[np.ndarray]) -> Program:
    """Return a program that forecasts always the same: `Residual` learns by how much it is off."""
    whole = np.concatenate(normal)
    low, high = whole.min(axis=0), whole.max(axis=0)
    offset, scale = (low + high) / 2, 1.25 * (high - low) / 2 / 2047
    form = InputFormat(
        offset.astype(np.float32), scale.astype(np.float32), 12, tuple(data.channels)
    )  # fmt: skip
    size = len(data.channels)
    nothing = Matrix(
        np.zeros((size, size), np.int8), np.zeros(size, np.int32), np.ones(size, np.int32), 1, 12
    )
    level = OutputFormat(tuple(offset.tolist()), (1.0,) * size, tuple(data.units))
    head = Linear("level", nothing)
    return Program((head,), form, 1e-4, rate_hz=data.rate_hz, output=level)


def _forecaster(data: Dataset, normal: list[np.ndarray], given: argparse.Namespace) -> Program:
    mean, std = np.concatenate(normal).mean(axis=0), np.concatenate(normal).std(axis=0)
    model = _trained([(x - mean) / std for x in normal], given)
    _read_raw(model, mean, std)
    windows = np.stack([x[s : s + LENGTH] for x in normal for s in _starts(x)])
    program = ef.compress(model, windows, channels=data.channels, rate_hz=data.rate_hz)
    output = OutputFormat(tuple(mean.tolist()), tuple(std.tolist()), tuple(data.units))
    return replace(program, output=output)


def _normal(data: Dataset) -> Iterator[np.ndarray]:
    """Yield what comes before the first anomaly of each training run."""
    for run in data.split("train"):
        flags = run.by_step()
        yield run.x[: flags.argmax() if flags.any() else len(run.x)]


def _starts(x: np.ndarray) -> range:
    return range(0, len(x) - LENGTH, 3 * LENGTH // 4)


def _trained(runs: list[np.ndarray], given: argparse.Namespace) -> Forecaster:
    torch.manual_seed(given.seed)
    pieces = np.stack([x[s : s + LENGTH + 1] for x in runs for s in _starts(x)])
    x, y = (torch.tensor(part, dtype=torch.float32) for part in (pieces[:, :-1], pieces[:, 1:]))
    model = Forecaster(x.shape[2], given.hidden)
    optimiser = torch.optim.Adam(model.parameters(), 8e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.96)
    for _ in range(given.epochs):
        for chosen in torch.randperm(len(x)).split(32):
            size = (len(chosen), 1, x.shape[2])
            # what stays over the window is what an anomaly looks like
            level = given.noise * torch.randn(size)
            seen = x[chosen] + level + 0.5 * given.noise * torch.randn_like(x[chosen])
            loss = (model(seen) - y[chosen])[:, WARMUP:].square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    return model.eval()


def _read_raw(model: Forecaster, mean: np.ndarray, std: np.ndarray) -> None:
    """Make the model read samples in the units of the data."""
    with torch.no_grad():
        weight = model.gru.weight_ih_l0
        weight /= torch.tensor(std, dtype=torch.float32)
        model.gru.bias_ih_l0 -= weight @ torch.tensor(mean, dtype=torch.float32)


def _print_scores(program: Program, data: Dataset, split: str) -> None:
    runs = [run for run in data.split(split) if run.by_step().any()]
    outputs = [program.run(program.quantize_input(run.x[None]))[0] for run in runs]
    truth = np.concatenate([run.by_step() for run in runs])
    whose = np.concatenate([[run.person] * len(run.x) for run in runs])
    found = program.task.scores(truth, program.task.decide(np.concatenate(outputs)), whose)
    print(split, len(runs), "runs:", {k: v and round(v, 3) for k, v in found["overall"].items()})


if __name__ == "__main__":
    main()

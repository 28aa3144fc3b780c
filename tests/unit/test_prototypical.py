"""The loss by person: its formula, its batches, what it refuses, that training with it resumes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.data import Windows
from edgeflow.errors import TrainError
from edgeflow.training import train
from edgeflow.training.batches import persons_together
from edgeflow.training.prototypical import SHARPNESS, Prototypical, by_others
from tests.unit.test_train import same_weights, waves

SMALL = {"hidden": 8, "batch": 16, "lr": 2e-2, "rotate": 0.0}


def test_the_loss_is_the_formula() -> None:
    """Fast. Only here: a window in its own mean, another person's windows, or a class of nobody."""
    rng = np.random.default_rng(0)
    x, label, person = rng.normal(size=(24, 3)), rng.integers(0, 4, 24), rng.integers(0, 3, 24)
    label[:8], person[:8] = 1, 1  # somebody has one class alone, more or less
    expected = []
    for i in range(24):
        distance = {}
        for k in range(5):
            same = (person == person[i]) & (label == k) & (np.arange(24) != i)
            if same.any():
                distance[k] = np.square(x[i] - x[same].mean(axis=0)).sum()
        if label[i] in distance:
            total = sum(np.exp(-SHARPNESS * d) for d in distance.values())
            expected.append(SHARPNESS * distance[label[i]] + np.log(total))
    assert 0 < len(expected) < 24
    found = by_others(torch.tensor(x), torch.tensor(label), torch.tensor(person), 5)
    assert found is not None
    assert float(found) == pytest.approx(np.mean(expected))
    alone = torch.arange(4)
    assert by_others(torch.randn(4, 3), alone, alone, 5) is None


def test_halves_of_a_batch_are_of_one_person() -> None:
    """Fast. Only here: batches of several people's windows, or with few of some class."""
    rng = np.random.default_rng(1)
    person = np.array(["a", "b", "c"])[rng.integers(0, 3, 200)]
    windows = Windows(np.zeros((200, 1, 1), np.float32), rng.integers(0, 4, 200), person)
    np.random.seed(2)
    order = persons_together(np.random.permutation(200), windows, 16)
    assert sorted(order) == list(range(200))
    # from a change of person on, whole runs
    start, runs = 0, []
    while start < 200:
        size = 16
        while len(set(person[order[start : start + size]])) > 1:
            size -= 1
        runs.append(windows.y[order[start : start + size]])
        start += size
    whole = [run for run in runs if len(run) == 16]
    assert len(whole) >= 9
    counts = np.array([np.bincount(run, minlength=4) for run in whole])
    assert np.median(counts.min(axis=1)) >= 3


def test_a_run_with_it_goes_on(tmp_path: Path) -> None:
    """Fast. Only here: an interrupted run with the loss that ends elsewhere, or without it."""
    data = waves("abcdef", length=60)

    def go(out: Path, stop: int = 0, strength: float = 1.0) -> None:
        def on_epoch(epoch: int, total: int, row: dict[str, float]) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        train(data, out=out, epochs=3, methods=[Prototypical(strength)], on_epoch=on_epoch, **SMALL)

    go(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "parts", stop=1)
    with pytest.raises(TrainError, match="methods"):
        go(tmp_path / "parts", strength=0.5)
    go(tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    train(data, out=tmp_path / "plain", epochs=3, **SMALL)
    assert not same_weights(tmp_path / "whole", tmp_path / "plain")


def test_what_it_refuses(tmp_path: Path) -> None:
    """Fast. Only here: a strength of nothing, and streams, whose batches have no persons."""
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(TrainError, match="use more than 0"):
            Prototypical(wrong)
    with pytest.raises(TrainError, match="or --mode streaming"):
        train(waves(), out=tmp_path, epochs=1, mode="streaming", methods=[Prototypical()], **SMALL)

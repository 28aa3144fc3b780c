"""Targets of each step reach training and scores at the step that they are of.

They alone would catch a target that is off by a sample or by the random start of a stream, and a
warm-up that counts.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgeflow.data import Dataset, Recording, sequences_of
from edgeflow.data.resample import resampled
from edgeflow.errors import DataError
from edgeflow.tasks import Task
from edgeflow.tasks.task import Metric
from edgeflow.training import train
from edgeflow.training.batches import streams, train_windows
from edgeflow.training.resume import fingerprint

#: Of a recording's number and a sample's.
APART = 1000


@dataclass(frozen=True)
class Follow(Task):
    """The first channel's sample, and minus it."""

    name = "follow"
    metrics = (Metric("rmse", "RMSE", higher_is_better=False),)

    @property
    def size(self) -> int:
        return 2

    @property
    def per_step(self) -> bool:
        return True

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        return {"rmse": float(((decided - truth) ** 2).mean() ** 0.5)}


def data(scale: float = 1.0, target: Task | None = None) -> Dataset:
    """Return recordings whose samples name themselves; targets are the sample and minus it."""
    recordings = []
    for i, person in enumerate("abcd" * 3):
        x = scale * (APART * i + np.arange(30 + 7 * i, dtype=np.float32))[:, None]
        recordings.append(Recording(x, 0, person, np.concatenate([x, -x], axis=1)))
    people = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    task = target or Follow()
    return Dataset("d", [], ["c"], [""], 10.0, recordings, people, 12, target=task)


def check(x: NDArray[Any], y: NDArray[Any], which: NDArray[Any] | slice = slice(None)) -> None:
    np.testing.assert_array_equal(y[which], np.concatenate([x, -x], axis=-1)[which])


def test_windows_and_their_batches() -> None:
    found = data().windows("train", length=9, stride=4, phase=3)
    assert found.by_step is not None and found.y.dtype == np.float32
    check(found.x, found.by_step)
    check(found.x[:, -1], found.y)
    for batch in train_windows(data(), 8, 5, 2):
        check(batch.x.numpy(), batch.y.numpy())


def test_streams_start_anywhere() -> None:
    torch.manual_seed(0)
    whole = data()
    for batch in streams(whole.split("train"), 8, 4, 3, shuffle=True, per_step=True):
        counts = batch.weight.numpy() > 0
        check(batch.x.numpy(), batch.y.numpy(), counts)


def test_sequences_count_after_the_warmup() -> None:
    found = sequences_of(data(), "test", window=0, warmup=5)
    outputs = found.run(lambda x: np.concatenate([x, -x], axis=-1), 2)
    np.testing.assert_array_equal(found.counted(outputs)[:, 0], found.truth)
    assert len(found.truth) == found.steps - 5 * len(found.x)
    np.testing.assert_array_equal(found.truth, np.concatenate([y[5:] for y in found.by_step or ()]))
    starts, truth = found.starts(outputs)
    np.testing.assert_array_equal(starts, truth)
    assert Follow().by_sample(starts, truth) == [0.0] * 12
    assert Follow().by_sample(starts + 1, truth) == [1.0] * 12
    some = found.first(2)
    assert some.by_step is not None and len(some.by_step) == 2
    windows = sequences_of(data(), "test", window=12)
    check(np.stack(windows.x)[:, -1], windows.truth)


def test_without_targets_the_label_is_that_of_each_step() -> None:
    labelled = dataclasses.replace(
        data(), recordings=[Recording(np.zeros((20, 1), np.float32), 0.5, p) for p in "abcd"]
    )
    windows = labelled.windows("test")
    assert windows.by_step is not None and windows.by_step.shape[:2] == (1, 12)
    assert (windows.by_step == 0.5).all()


def test_other_rates_keep_targets_in_step() -> None:
    half = resampled(data(), 5.0)
    for one in half.recordings:
        assert one.target is not None
        np.testing.assert_allclose(one.target[:, 0], one.x[:, 0], rtol=1e-5, atol=1e-2)
    tags = [Recording(np.zeros((9, 1), np.float32), 0, "a", np.arange(9) // 3)]
    found = resampled(dataclasses.replace(data(), recordings=tags), 20.0).recordings[0].target
    assert found is not None and found.dtype == np.int64
    np.testing.assert_array_equal(found, [0] * 5 + [1] * 6 + [2] * 7)


def test_targets_are_checked_and_part_of_the_data() -> None:
    whole = data()
    first = whole.recordings[0]
    with pytest.raises(DataError, match="30 samples and targets of 29"):
        dataclasses.replace(
            whole, recordings=[dataclasses.replace(first, target=np.zeros((29, 2)))]
        )
    others = [dataclasses.replace(one, target=2 * one.target) for one in whole.recordings]
    assert fingerprint(dataclasses.replace(whole, recordings=others)) != fingerprint(whole)


@pytest.mark.parametrize("mode", ["window", "streaming"])
def test_it_learns(mode: str, tmp_path: Any) -> None:
    rng = np.random.default_rng(0)

    def recording(person: str) -> Recording:
        x = rng.standard_normal((80, 1)).astype(np.float32)
        return Recording(x, 0, person, np.concatenate([x, -x], axis=1))

    noise = dataclasses.replace(data(), recordings=[recording(p) for p in "aaaabbbbcd"])
    found = train(
        noise, "gru", out=tmp_path, mode=mode, hidden=8, epochs=12, batch=4, lr=0.06,
        rotate=0.0, scale=0.0, noise=0.0, dropout=0.0, tail=1.0,
    )  # fmt: skip
    assert found.metrics["test"]["rmse"] < 0.5

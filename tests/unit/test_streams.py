"""A model without windows is scored on whole recordings, and the same way by every command."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.cells import load_model
from edgeflow.compression.evaluate import compress_model
from edgeflow.data import Dataset, choose_sequences, sequences_of
from edgeflow.data.sequences import STREAM_SAMPLES, Sequences
from edgeflow.errors import DataError
from edgeflow.program.firing import fired_shares
from edgeflow.training import train
from tests.parity.test_delta import changed
from tests.random_programs import random_program, samples
from tests.unit.test_train import SMALL, waves


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Recordings of 50 to 69 samples; windows have 20."""
    return waves(length=50)


@pytest.fixture(scope="module")
def folder(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    train(data, out=folder, mode="streaming", **(SMALL | {"epochs": 3}))
    return folder


def _expected(folder: Path, data: Dataset, warmup: int) -> tuple[int, int]:
    """Right decisions and all, recording by recording, with the model as it is on disk."""
    model, right, total = load_model(folder), 0, 0
    for one in data.split("test"):
        with torch.no_grad():
            decided = model(torch.from_numpy(one.x)[None])[0, warmup:].argmax(1).numpy()
        right, total = right + int((decided == one.label).sum()), total + len(decided)
    return right, total


def test_training_and_compression_score_every_step_of_whole_recordings(
    folder: Path, data: Dataset
) -> None:
    right, total = _expected(folder, data, warmup=10)
    trained = json.loads((folder / "metrics.json").read_text())["test"]
    assert (trained["decisions"], trained["accuracy"]) == (total, pytest.approx(right / total))
    found = compress_model(folder, data)
    scores, program = found.scores, found.program
    assert scores["windows"] == total and scores["recordings"] == len(data.split("test"))
    assert scores["accuracy_float"] == trained["accuracy"]
    integers = [
        program.run(program.quantize_input(one.x[None]))[0, 10:].argmax(1) == one.label
        for one in data.split("test")
    ]
    assert scores["accuracy_int"] == pytest.approx(np.concatenate(integers).mean())
    assert sum(one["windows"] for one in scores["people"].values()) == total
    assert len(scores["warmup"]["float"]["accuracy"]) == data.window
    assert program.metadata["warmup_samples"] == 10


def test_the_warmup_of_the_training_goes_with_the_model(data: Dataset, tmp_path: Path) -> None:
    """Other windows of the data, or none that are known, do not change what counts."""
    train(data, out=tmp_path, mode="streaming", warmup=3, **(SMALL | {"epochs": 1}))
    trained = json.loads((tmp_path / "metrics.json").read_text())["test"]
    other = dataclasses.replace(data, window=30)
    found = compress_model(tmp_path, other)
    assert found.scores["windows"] == trained["decisions"] == _expected(tmp_path, data, 3)[1]
    assert found.scores["accuracy_float"] == trained["accuracy"]
    chosen = choose_sequences(found.program, other, "test")
    assert (chosen.warmup, chosen.stream) == (3, True)


def test_files_without_a_warmup_take_half_a_window(folder: Path, data: Dataset) -> None:
    content = torch.load(folder / "model.pt", weights_only=True)
    assert content.pop("warmup") == 10
    torch.save(content, folder / "old.pt")
    found = compress_model(folder / "old.pt", data)
    assert found.program.metadata["warmup_samples"] == 10


def test_recordings_run_beside_others_as_they_do_alone() -> None:
    program = random_program(5, 3, [6], 4, 12, 12)
    rng = np.random.default_rng(0)
    parts = [samples(program, i, 1, int(n))[0] for i, n in enumerate(rng.integers(1, 40, 23))]
    found = Sequences(parts, np.zeros(23, int), np.array(["a"] * 23), 10, stream=True, warmup=5)
    sizes = []
    outputs = found.run(lambda x: sizes.append(len(x)) or program.run(x), 7)
    assert sizes == [7, 7, 7, 2]
    for x, y in zip(parts, outputs, strict=True):
        np.testing.assert_array_equal(y, program.run(x[None])[0])
    lengths = [max(len(x) - 5, 0) for x in parts]
    assert found.counted(outputs).shape == (sum(lengths), 1, 4)
    assert len(found.of_decisions(found.y)) == sum(lengths)
    starts, truth = found.starts(outputs)
    assert len(starts) == len(truth) == sum(len(x) >= 10 for x in parts)
    assert starts.shape[1] == 10


def test_long_recordings_run_alone() -> None:
    parts = [np.zeros((STREAM_SAMPLES // 2 + i, 1), np.float32) for i in range(3)]
    found = Sequences(parts, np.zeros(3, int), np.array(["a"] * 3), 10, stream=True)
    sizes = []
    found.run(lambda x: sizes.append(len(x)) or x, 512)
    assert sizes == [1, 1, 1]


def test_windows_are_those_of_the_data_set(data: Dataset) -> None:
    found, windows = sequences_of(data, "val", window=20), data.windows("val", length=20)
    np.testing.assert_array_equal(np.stack(found.x), windows.x)
    outputs = found.run(lambda x: x, 4)
    np.testing.assert_array_equal(found.counted(outputs), windows.x)
    np.testing.assert_array_equal(found.of_decisions(found.y), windows.y)


def test_a_bound_on_the_steps_takes_recordings_evenly(data: Dataset) -> None:
    program = dataclasses.replace(
        random_program(5, 3, [6], 2, 12, 12), window=0, classes=("slow", "fast")
    )
    program = dataclasses.replace(
        program, input=dataclasses.replace(program.input, channels=("ax", "ay", "az"))
    )
    whole = choose_sequences(program, data, "test")
    assert whole.steps == sum(len(one.x) for one in data.split("test"))
    some = choose_sequences(program, data, "test", 130)
    assert some.steps <= 130 and len(some.x) == 2
    np.testing.assert_array_equal(some.x[0], whole.x[0])
    np.testing.assert_array_equal(some.x[-1], whole.x[-1][: len(some.x[-1])])
    assert choose_sequences(program, data, "test", 7).steps == 7
    assert choose_sequences(program, data, "test", 10**6).steps == whole.steps
    with pytest.raises(DataError, match="0 steps: run at least one"):
        choose_sequences(program, data, "test", 0)


def test_recordings_shorter_than_the_warmup_are_refused(data: Dataset) -> None:
    with pytest.raises(DataError, match="longer than the first 500 samples, which do not count"):
        sequences_of(data, "test", window=0, warmup=500)


def test_shares_of_updated_columns_leave_out_what_stands_behind() -> None:
    program = changed(random_program(5, 3, [6], 4, 12, 12), threshold=300)
    parts = [samples(program, 1, 1, 30)[0], samples(program, 2, 1, 12)[0]]
    padded = np.zeros((2, 30, 3), np.int16)
    for row, part in zip(padded, parts, strict=True):
        row[: len(part)] = part
    found = fired_shares(program, padded, np.array([30, 12]))
    one, other = (fired_shares(program, part[None]) for part in parts)
    assert found == pytest.approx({k: (30 * one[k] + 12 * other[k]) / 42 for k in one})

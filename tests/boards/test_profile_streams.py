"""Profiles of a program without windows: whole recordings, scored as training and compression do."""

import json
from pathlib import Path

import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.compression.evaluate import Compressed, compress_model
from edgeflow.data import Dataset
from edgeflow.profiling.report import render
from edgeflow.profiling.result import ProfileResult
from edgeflow.profiling.run import profile
from edgeflow.training import train
from tests.unit.test_train import SMALL, waves


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Recordings of 50 to 69 samples; windows have 20."""
    return waves(length=50)


@pytest.fixture(scope="module")
def folder(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    train(data, out=folder, mode="streaming", **(SMALL | {"epochs": 4}))
    return folder


@pytest.fixture(scope="module")
def compressed(folder: Path, data: Dataset) -> Compressed:
    return compress_model(folder, data)


def test_training_compression_and_board_agree(
    folder: Path, compressed: Compressed, data: Dataset, tmp_path: Path
) -> None:
    trained = json.loads((folder / "metrics.json").read_text())["test"]
    scores, recordings = compressed.scores, data.split("test")
    result = profile(compile_program(compressed.program, "host", tmp_path), data)
    assert trained["accuracy"] == scores["accuracy_float"] == result.accuracy_float
    assert scores["accuracy_int"] == result.accuracy_oracle == result.accuracy_device
    assert 0.5 < result.accuracy_device < 1, "all the same says nothing"
    assert trained["decisions"] == scores["windows"] == result.windows
    assert result.accuracy_float_windows == result.windows
    assert result.mismatches == 0 and result.complete
    assert result.steps == sum(len(one.x) for one in recordings)
    assert (result.window, result.recordings) == (0, len(recordings))
    assert result.warmup is not None
    for kind, name in (("float", "accuracy_float"), ("int", "accuracy")):
        assert result.warmup[name] == scores["warmup"][kind]["accuracy"]
    page = render(result)
    assert f"{len(recordings)} whole recordings, {result.steps:,} samples" in page


def test_an_interrupt_keeps_the_recordings_that_ran(
    compressed: Compressed, data: Dataset, tmp_path: Path
) -> None:
    lengths = [len(one.x) for one in data.split("test")]

    def interrupt(done: int, total: int) -> None:
        assert total == sum(lengths)
        if done == sum(lengths[:2]):
            raise KeyboardInterrupt

    build = compile_program(compressed.program, "host", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        profile(build, data, progress=interrupt)
    result = ProfileResult.load(tmp_path / "profile.json")
    assert (result.complete, result.recordings, result.mismatches) == (False, 2, 0)
    assert result.steps == sum(lengths[:2])
    assert result.windows == result.steps - 2 * 10


@pytest.mark.board
def test_every_step_is_compared_and_counted_on_an_emulated_board(
    compressed: Compressed, data: Dataset, tmp_path: Path
) -> None:
    build = compile_program(compressed.program, "qemu-m4", tmp_path)
    result = profile(build, data, steps=100)
    assert result.mismatches == 0 and result.instructions_per_step is not None
    assert result.steps <= 100 and result.recordings == 1
    whole = profile(build, data)
    assert whole.mismatches == 0 and whole.accuracy_device == compressed.scores["accuracy_int"]


def test_a_step_that_differs_is_counted(
    compressed: Compressed, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeflow.device import Client

    steps = Client.steps

    def wrong(client: Client, x: object, reset: bool = False) -> object:
        found = steps(client, x, reset)  # type: ignore[arg-type]
        found.y[7] += 1
        return found

    monkeypatch.setattr(Client, "steps", wrong)
    result = profile(compile_program(compressed.program, "host", tmp_path), data)
    assert result.mismatches == len(data.split("test")), "one a recording, in its warm-up too"

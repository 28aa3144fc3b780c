"""Tasks: a new one is one file, its metrics decide; programs of other tasks are told apart.

They alone would catch a choice that takes the larger value for the better one where it is an
error, and a checkpoint, program or record that forgets what it is for.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeflow import tasks
from edgeflow.cells import load_model
from edgeflow.cli.compressed import show
from edgeflow.compression.anytime import with_cutoff
from edgeflow.compression.evaluate import compress_model
from edgeflow.compression.finetune import FineTuneOptions, finetune
from edgeflow.compression.record import make_record, save_record
from edgeflow.compression.sensitivity import choose_widths
from edgeflow.data import Dataset, Recording, choose_windows, from_arrays, sequences_of
from edgeflow.errors import CheckFailed, CompressError, DataError, ProgramError, TrainError
from edgeflow.importers import load_float_model
from edgeflow.profiling.compare import front, read_runs, tables
from edgeflow.program import Program
from edgeflow.quantization import Widths
from edgeflow.recipes.limits import Limits
from edgeflow.tasks import Classification, Task, Values
from edgeflow.tasks.task import Metric
from edgeflow.training import train
from edgeflow.training.distill import Distillation

LEVEL = '''
"""Level: the mean of a channel over a window."""

from dataclasses import dataclass

import numpy as np

from edgeflow.tasks.task import Metric, Task


@dataclass(frozen=True)
class Level(Task):
    """The mean of a channel."""

    unit: str = "V"
    channels: tuple = ("x",)

    name = "level"
    metrics = (Metric("rmse", "RMSE", "V", higher_is_better=False), Metric("r2", "R2"))

    @property
    def size(self):
        return 1

    def score(self, truth, decided):
        error = ((decided - truth) ** 2).mean()
        return {"rmse": float(error**0.5), "r2": float(1 - error / (truth.var() or 1))}
'''


@pytest.fixture(scope="module")
def level(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "level.py").write_text(LEVEL)
    tasks.__path__.append(str(folder))
    yield tasks.tasks()["level"]()
    tasks.__path__.remove(str(folder))
    sys.modules.pop("edgeflow.tasks.level")


@pytest.fixture(scope="module")
def levels(level: Task) -> Dataset:
    rng = np.random.default_rng(0)

    def recording(subject: str) -> Recording:
        value = rng.uniform(-1, 1)
        x = value + 0.3 * rng.standard_normal((40, 1))
        return Recording(x.astype(np.float32), value, subject)

    return Dataset(
        name="levels", classes=[], channels=["x"], units=["V"], rate_hz=10.0,
        recordings=[recording(subject) for subject in "abcdef" for _ in range(20)],
        people={"train": ["a", "b"], "val": ["c", "d"], "test": ["e", "f"]},
        window=20, target=level,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(levels: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    found = train(
        levels, "gru", out=folder, hidden=4, epochs=12, batch=16, rotate=0.0, scale=0.0, pace=0.0
    )
    assert found.metrics["arguments"]["loss"] == "squared-error"
    errors = [row["val_rmse"] for row in found.metrics["history"]]
    assert found.metrics["best_epoch"] == 1 + errors.index(min(errors)), "the least error is best"
    assert "RMSE" in repr(found) and found.metrics["test"]["rmse"] < 0.4
    return folder


def test_a_file_is_a_task(level: Task) -> None:
    assert set(tasks.tasks()) >= {"classification", "values", "level"}
    again = tasks.from_json(json.loads(json.dumps(level.to_json())))
    assert again == level and again.to_json()["channels"] == ("x",)
    for wrong in ({"name": "nothing"}, {"name": "level", "colour": 1}):
        with pytest.raises(ProgramError, match="task 'nothing'|task 'level'"):
            tasks.from_json(wrong)


def test_it_compresses_and_says_so(
    level: Task, levels: Dataset, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compress_model(trained, levels)
    program, scores = found.program, found.scores
    assert scores["rmse_float"] < 0.4 and abs(scores["rmse_int"] - scores["rmse_float"]) < 0.05
    assert set(scores["people"]) == {"e", "f"} and scores["agreement"] is None
    assert set(scores["r2"]) == {"float", "int"} and "accuracy_int" not in scores
    program.save(tmp_path / "model.onnx")
    loaded = Program.load(tmp_path / "model.onnx")
    assert loaded.task == program.task == level and loaded.hash == program.hash
    windows = choose_windows(loaded, levels, "test")
    decided = loaded.predict(windows.x)
    assert decided.shape == windows.y.shape and windows.y.dtype == np.float32
    assert level.score(windows.y, decided)["rmse"] == pytest.approx(scores["rmse_int"])
    arrays = from_arrays(windows.x, windows.y, channels=["x"], target=level, window=20)
    assert (choose_windows(loaded, arrays, "test").y == windows.y).all()
    stream = loaded.stream()
    answers = [stream.step(sample) for sample in windows.x[0]]
    assert answers[-1] == pytest.approx(decided[0])

    record = make_record(tmp_path / "model.onnx", "level", found, {})
    save_record(tmp_path / "model.onnx", record)
    show(tmp_path / "model.onnx", found, record, False)
    shown = capsys.readouterr().out
    for text in ("RMSE on 80 windows", "highest of a subject", "R2", f"{scores['rmse_int']:.3f} V"):
        assert text in shown
    assert "ccuracy" not in shown and "same decision" not in shown
    (run,) = read_runs([tmp_path / "model.onnx"])
    assert run.to_json()["rmse"] == scores["rmse_int"]
    assert run.to_json()["highest_subject"]["value"] == max(
        one["int"] for one in scores["people"].values()
    )
    assert tables([run])[0]["integer"] == f"{scores['rmse_int']:.3f} V"
    runs = [dataclasses.replace(run, score=score, bytes=1) for score in (0.1, 0.2)]
    assert front(runs, "bytes") == {0}, "the smaller error is on the front"
    worse = dataclasses.replace(found, scores={**scores, "rmse_int": 2 * scores["rmse_float"]})
    with pytest.raises(CheckFailed, match="RMSE rose by 100.00 points, more than --max-drop 5"):
        Limits(drop=5).check_drop(worse.program.task, worse.scores)


def test_steps_of_compression_ask_it(
    levels: Dataset, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibration = levels.windows("train").x
    chain = load_float_model(trained, calibration)
    assert chain.task == levels.task
    tuned = finetune(
        chain, levels, calibration, folder=tmp_path, methods=[Distillation([trained])],
        options=FineTuneOptions(epochs=1, batch=16),
    )  # fmt: skip
    assert set(tuned.history[0]) >= {"val_rmse", "val_r2"}
    validation = sequences_of(levels, "val", window=levels.window)
    widths, found = choose_widths(chain, calibration, validation, Widths(), max_drop=-200.0)
    assert widths == Widths() and len(found) == 3, "no width halves the error twice"
    widths, _ = choose_widths(chain, calibration, validation, Widths(), max_drop=1e6)
    assert len(widths.matrices) == 3
    with pytest.raises(CompressError, match="compares classes"):
        with_cutoff(compress_model(trained, levels).program, levels, 1.0)


def test_tasks_are_told_apart(level: Task, levels: Dataset, trained: Path) -> None:
    x, y = np.zeros((4, 20, 1), np.float32), [0, 1, 1, 0]
    classes = from_arrays(x, y, classes=["low", "high"], channels=["x"], window=20)
    program = compress_model(trained, levels).program
    with pytest.raises(DataError, match="'arrays' is for classification, the model for level"):
        choose_windows(program, classes, "test")
    everywhere = dataclasses.replace(classes, people={s: ["unknown"] for s in levels.people})
    with pytest.raises(CompressError, match=r"another task|0 classes"):
        compress_model(trained, everywhere)
    with pytest.raises(TrainError, match="loss is 'l2-svm': use one of squared-error"):
        train(levels, out="never", loss="l2-svm")
    other = dataclasses.replace(levels, target=dataclasses.replace(level, unit="mV"))  # type: ignore[call-arg]
    with pytest.raises(CompressError, match="another task"):
        compress_model(trained, other)
    for wrong in ([[np.nan]], ["a"], np.zeros((2, 2, 2))):
        with pytest.raises(DataError, match="finite numbers"):
            level.targets(wrong)
    assert load_model(trained).task == level


def test_a_program_without_classes_gives_values(trained: Path, levels: Dataset) -> None:
    program = dataclasses.replace(compress_model(trained, levels).program, metadata={})
    assert program.task == Values() and program.predict(levels.recordings[0].x).shape == (2, 1)
    with pytest.raises(DataError, match="nothing scores them"):
        _ = program.task.headline
    with pytest.raises(DataError, match="gives values, no classes"):
        program.task.targets([0])


@pytest.mark.parametrize(
    ("metric", "before", "after", "drop"),
    [
        (Metric("a", "a", "%"), 0.9, 0.8, 10.0),
        (Metric("a", "a", "%", higher_is_better=False), 0.1, 0.2, 10.0),
        (Metric("a", "a", "V", higher_is_better=False), 0.5, 0.6, 20.0),
        (Metric("a", "a"), -0.5, -0.6, 20.0),
        (Metric("a", "a"), 0.0, 0.0, 0.0),
        (Metric("a", "a"), 0.0, 0.5, -np.inf),
    ],
)
def test_a_drop_is_above_0_where_it_got_worse(
    metric: Metric, before: float, after: float, drop: float
) -> None:
    found = metric.drop(before, after)
    assert found == pytest.approx(drop) or before == 0
    assert (found > 0) == metric.better(before, after)
    values = {"before": before, "after": after}
    worst = metric.worst(values)
    assert worst is not None and not metric.better(worst[1], max(values.values(), key=metric.cost))


def test_imitation_of_equal_outputs_costs_nothing() -> None:
    outputs = torch.randn(2, 3, 4)
    for task in (Classification(tuple("abcd")), Values()):
        same: Any = task.imitation(outputs, outputs, 2.0, 0.5)
        other: Any = task.imitation(outputs, outputs.flip(2), 2.0, 0.5)
        assert same.shape == (2, 3) and same.abs().max() < 1e-6 < other.min()

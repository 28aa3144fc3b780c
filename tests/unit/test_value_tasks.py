"""Regression, forecasts and tagging: targets, scores, and real units down to the program.

They alone would catch a forecast that is scored against another time, a baseline that has seen
the future, and values that lose their offset or unit on the way to a program's file.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeflow import metrics
from edgeflow.cells import SequenceClassifier, load_model
from edgeflow.codegen.header import header
from edgeflow.codegen.plan import plan_library
from edgeflow.compression.evaluate import compress_model
from edgeflow.data import Dataset, Recording, choose_sequences
from edgeflow.data.forecasts import LAGS, forecasts, lagged
from edgeflow.data.purpose import for_purpose, for_task
from edgeflow.errors import DataError, ProgramError, TrainError
from edgeflow.program import Program
from edgeflow.targets.core import load_core
from edgeflow.tasks import Forecast, OutputFormat, Regression, Tagging, from_json
from edgeflow.training import train
from edgeflow.training.fit import Fit
from edgeflow.training.options import FitOptions
from tests.random_programs import random_program

PEOPLE = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}


def walks(people: str = "abcd", seed: int = 0) -> Dataset:
    """Three recordings each of two channels that swing, at a level of their own."""
    rng = np.random.default_rng(seed)
    recordings = []
    for person in 3 * people:
        phase = 0.3 * np.arange(160) + rng.uniform(0, 6)
        x = np.stack([np.sin(phase), 3 * np.cos(phase)], axis=1) + rng.normal(0, 0.3, 2)
        recordings.append(Recording((x + 0.02 * rng.normal(size=x.shape)).astype("f4"), 0, person))
    return Dataset("walks", [], ["p", "q"], ["m", "m"], 10.0, recordings, PEOPLE, 20)


# ---- metrics


def test_metrics_of_values_are_those_of_their_definitions() -> None:
    rng = np.random.default_rng(0)
    truth, found = rng.normal(size=50), rng.normal(size=50)
    error, spread = found - truth, truth - truth.mean()
    assert metrics.rmse(error) == pytest.approx(np.sqrt(np.mean(error**2)))
    assert metrics.mae(error) == pytest.approx(np.abs(error).mean())
    assert metrics.nrmse(error, spread) == pytest.approx(
        np.sqrt((error**2).sum() / (spread**2).sum())
    )
    assert metrics.r2(error, spread) == pytest.approx(1 - (error**2).mean() / truth.var())
    assert metrics.r2(np.zeros(3), np.zeros(3)) == 1 and metrics.rmse(np.zeros(0)) == 0


def test_segments_found_in_pieces_cost() -> None:
    truth = np.array([0] * 10 + [1] * 10 + [0] * 10)
    assert metrics.segmental_f1(truth, truth, 0.5) == 1
    late = np.roll(truth, 2)
    late[:2] = 0
    assert metrics.segmental_f1(truth, late, 0.5) == 1 > metrics.segmental_f1(truth, late, 0.9)
    pieces = truth.copy()
    pieces[15] = 0  # one of the two halves overlaps by half of the true one
    assert metrics.segmental_f1(truth, pieces, 0.1) == pytest.approx(2 * 3 / (3 + 5))
    assert metrics.segmental_f1(truth, np.zeros(30, int), 0.1) == pytest.approx(2 * 1 / (3 + 1))
    assert metrics.segmental_f1(truth[:0], truth[:0], 0.5) == 0


@given(st.lists(st.integers(0, 2), max_size=30), st.lists(st.integers(0, 2), max_size=30))
def test_segments_never_exceed_one(one: list[int], other: list[int]) -> None:
    n = min(len(one), len(other))
    truth, found = np.array(one[:n], int), np.array(other[:n], int)
    values = [metrics.segmental_f1(truth, found, share) for share in (0.1, 0.5)]
    assert 0 <= values[1] <= values[0] <= 1


# ---- forecasts


def test_targets_of_a_forecast_are_later_samples_of_the_same_recording() -> None:
    whole = walks()
    found = forecasts(whole, (0.5, 0.2))
    task = found.task
    assert isinstance(task, Forecast) and task.steps == (2, 5) and task.size == 4
    assert task.outputs == ("p in 0.2 s", "q in 0.2 s", "p in 0.5 s", "q in 0.5 s")
    for one, made in zip(whole.recordings, found.recordings, strict=True):
        n = len(one.x) - 5
        assert len(made.x) == n and made.target is not None
        later = np.concatenate([one.x[2 : n + 2], one.x[5:]], axis=1)
        np.testing.assert_allclose(made.target[:, :4] + np.tile(made.x, 2), later, atol=1e-4)
        np.testing.assert_allclose(made.target[:, 4:6], made.x - one.x.mean(axis=0), atol=1e-4)
    assert from_json(json.loads(json.dumps(task.to_json()))) == task
    assert for_task(whole, task).task == task and for_task(found, task) is found


def test_scores_of_a_forecast_stand_beside_the_baselines() -> None:
    found = forecasts(walks(), (0.5,))
    task, truth = found.task, found.recordings[3].by_step()
    change = truth[:, :2]
    assert task.score(truth, change)["nrmse"] == 0
    hold = task.score(truth, np.zeros_like(change))
    assert hold["nrmse"] == hold["nrmse_hold"] > 5 * hold["nrmse_linear"]
    scores = task.scores(truth, change + np.array([3, 4]), ["d"] * len(truth))
    assert scores["overall"]["rmse"] == pytest.approx(5) and scores["overall"]["mae"] == 5
    assert set(scores["subjects"]["d"]) >= {"nrmse", "rmse", "nrmse_hold", "nrmse_linear"}
    (table,) = task.tables({"metrics": scores})
    assert table.rows[0][0] == "0.5 s" and len(table.rows[0]) == len(table.columns)
    mixed = dataclasses.replace(task, units=("m", "rad"))
    assert "rmse" not in mixed.score(truth, change)


def test_the_linear_baseline_sees_the_past_of_training_subjects_only() -> None:
    series = np.arange(60.0)[:, None] ** 2
    rows = lagged(series)
    assert (lagged(series[:30]) == rows[:30]).all() and rows.shape == (60, LAGS + 1)
    first = forecasts(walks(), (0.3,)).recordings[0].by_step()
    changed = walks()
    test = changed.recordings[3]
    assert test.person == "d"
    changed.recordings[3] = dataclasses.replace(test, x=7 * test.x)
    again = forecasts(changed, (0.3,)).recordings[0].by_step()
    np.testing.assert_array_equal(first, again)


def test_horizons_that_cannot_be_are_refused() -> None:
    whole = walks()
    for horizon, match in (((0.01,), "a sample of 10 Hz or more"), ((99.0,), "forecast less far")):
        with pytest.raises(DataError, match=match):
            forecasts(whole, horizon)
    for task, horizon, match in (
        ("forecast", (), "say how far"), ("tagging", (), "no classes"), (None, (1.0,), "--task"),
        ("sing", (), "use one of forecast, tagging"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=match):
            for_purpose(whole, task, horizon)
    with pytest.raises(TrainError, match="let a model forecast it"):
        train(whole, "gru", out="never")


def test_targets_turn_and_scale_with_the_samples_all_through_a_stream(tmp_path: Path) -> None:
    """What is true of samples and changes, here that a change is 0.2 of a velocity, stays true."""
    names = ("vx", "vy", "vz")
    task = Forecast(names, ("m",) * 3, (2,), 10.0, along=True)
    whole = dataclasses.replace(walks(), channels=[*names], units=["m/s"] * 3, target=task)
    model = SequenceClassifier("gru", [], [*names], target=task)
    fit = Fit(
        model, FitOptions(rotate=60.0, scale=0.5, noise=0.0), whole, batches=lambda change: iter(()),
        evaluate=lambda model: {}, metric=task.headline, arguments={}, folder=tmp_path,
    )  # fmt: skip
    x = torch.randn(4, 5, 3)
    found = []
    for _ in range(2):
        turned, y = fit._changed(x, 0.2 * x)
        torch.testing.assert_close(y, 0.2 * turned)
        found.append(turned)
    assert not torch.allclose(found[0], found[1])
    lengths = (found[0].norm(dim=2) / x.norm(dim=2)).numpy()
    np.testing.assert_allclose(lengths, lengths[:, :1].repeat(5, 1), rtol=1e-4)


# ---- real units


def test_a_forecaster_keeps_real_units_down_to_the_program(tmp_path: Path) -> None:
    found = forecasts(walks(), (0.5,))
    result = train(
        found, "gru", out=tmp_path, mode="streaming", hidden=12, epochs=15, batch=3, lr=0.03,
        noise=0.01, dropout=0.0,
    )  # fmt: skip
    test = result.metrics["test"]
    assert test["nrmse"] < 0.7 * test["nrmse_hold"]
    model = load_model(tmp_path)
    assert model.output is not None and model.output.units == ("m", "m")
    scale = np.concatenate([one.by_step()[:, :2] for one in found.split("train")]).std(axis=0)
    np.testing.assert_allclose(model.output.scale, scale, rtol=1e-5)

    compressed = compress_model(tmp_path, found)
    program, scores = compressed.program, compressed.scores
    assert scores["nrmse_int"] == pytest.approx(scores["nrmse_float"], rel=0.05)
    assert scores["nrmse_float"] == pytest.approx(test["nrmse"], rel=1e-4)
    assert set(scores["people"]) == {"d"} and scores["horizons"]["0.5 s"]["rmse"]["int"] > 0
    program.save(tmp_path / "f.onnx")
    loaded = Program.load(tmp_path / "f.onnx")
    assert loaded.hash == program.hash and loaded.output == program.output
    assert loaded.task == found.task
    test_sequences = choose_sequences(loaded, walks(), "test")  # data as they are loaded
    values = [loaded.predict(x) for x in test_sequences.x]
    counted = np.concatenate([one[test_sequences.warmup :] for one in values])
    own = found.task.score(test_sequences.truth, counted)
    assert own["nrmse"] == pytest.approx(scores["nrmse_int"])
    x, stream = test_sequences.x[0], loaded.stream()
    np.testing.assert_array_equal(values[0], loaded.values(x))
    np.testing.assert_allclose([stream.step(one) for one in x[:5]], values[0][:5])


def test_formats_belong_to_the_meaning_of_a_program() -> None:
    program = dataclasses.replace(random_program(5, 3, [6], 2, 12, 12), classes=())
    form = OutputFormat((20.0, -1.5), (0.1, 3.0), ("degC", "m"))
    with_units = dataclasses.replace(program, output=form)
    other = dataclasses.replace(program, output=OutputFormat((20.0, -1.0), (0.1, 3.0), form.units))
    assert len({program.hash, with_units.hash, other.hash}) == 3
    assert OutputFormat.from_json(json.loads(json.dumps(form.to_json()))) == form
    y = np.array([[1, -2], [300, 7]], np.int16)
    np.testing.assert_allclose(form.times(0.5).real(y), [[20.05, -4.5], [35, 9]], rtol=1e-6)
    real = torch.tensor([[21.0, 1.5]])
    np.testing.assert_allclose(form.normal(real).numpy(), [[10, 1]], rtol=1e-5)
    with pytest.raises(ProgramError, match="formats of 1 outputs for 2"):
        dataclasses.replace(program, output=OutputFormat((0.0,), (1.0,), ("",)))
    for wrong in (
        {"scale": [0, 1]},
        {"offset": [1]},
        {"units": "m"},
        {"offset": [float("nan")] * 2},
    ):
        with pytest.raises(ProgramError):
            OutputFormat.from_json({**form.to_json(), **wrong})


def test_a_header_names_values_and_units() -> None:
    program = random_program(5, 3, [6], 2, 12, 12)
    form, task = (
        OutputFormat((20.0, -1.5), (0.1, 3.0), ("degC", "m")),
        Regression(("t", "h"), ("degC", "m")),
    )
    program = dataclasses.replace(
        program, classes=(), output=form, metadata={"task": task.to_json()}
    )
    text = header(plan_library(program, load_core("cortex-m4")), "model", False)
    assert "model_dequantize(const int16_t y[MODEL_OUTPUTS], float values[MODEL_OUTPUTS])" in text
    assert '"degC",' in text and '"h",' in text and "model_labels" not in text


# ---- regression and tags


def test_regression_scores_each_value_in_its_unit() -> None:
    task = Regression(("t", "h"), ("degC", "m"))
    truth = np.array([[1.0, 10], [2, 20], [3, 60]])
    found = task.scores(truth, truth + np.array([0.5, -3]), ["a", "a", "b"])
    assert found["overall"]["values"]["h"]["rmse"] == pytest.approx(3)
    assert task.headline.name == "nrmse" and "rmse" not in found["overall"]
    same = Regression(("x", "y"), ("m", "m"), steps=True)
    assert same.headline.unit == "m" and same.per_step
    assert same.score(truth, truth + np.array([0.5, -3]))["rmse"] == pytest.approx(
        np.sqrt((0.25 + 9) / 2)
    )
    one = Regression(("x",), ("m",))
    assert one.score(truth[:, 0], truth[:, 0] + 2)["mae"] == 2


def test_tags_are_classes_of_steps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def recording(person: str) -> Recording:
        tags = np.repeat(rng.integers(0, 2, 8), 15)
        x = tags[:, None] + 0.3 * rng.standard_normal((len(tags), 1))
        return Recording(x.astype(np.float32), 0, person, tags.astype(np.int64))

    data = Dataset(
        "tags", ["rest", "move"], ["a"], ["g"], 10.0, [recording(p) for p in "aaabbbcd"], PEOPLE,
        20, target=Tagging(("rest", "move")),
    )  # fmt: skip
    train(data, "gru", out=tmp_path, mode="streaming", hidden=6, epochs=8, batch=4, lr=0.03)
    found = compress_model(tmp_path, data).scores
    assert found["accuracy_int"] > 0.9 and found["f1_50"]["int"] > 0.4
    assert found["people"]["d"]["f1_10"]["int"] == found["f1_10"]["int"]
    labelled = dataclasses.replace(data, target=None)
    assert for_purpose(labelled, "tagging").task == data.task

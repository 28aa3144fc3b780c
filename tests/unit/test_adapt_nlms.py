"""Forecasts that learn by themselves, as ``--adapt nlms`` makes them: that it helps, and refusals.

Alone catches a learner whose units are not those of the forecasts, which then learns nothing.
"""

from dataclasses import replace

import numpy as np
import pytest

from edgeflow.compression.nlms import EVERY, LAGS, STEPS, with_nlms
from edgeflow.data import Dataset, from_arrays
from edgeflow.data.forecasts import forecasts
from edgeflow.errors import CompressError
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.recipes.recipe import make_recipe
from edgeflow.tasks import Forecast, OutputFormat

RATE, TIME, CHANNELS = 10.0, 240, 2


def breaths(horizons: tuple[float, ...]) -> Dataset:
    """Return waves of six people, each at a pace of their own, to be forecast."""
    rng = np.random.default_rng(0)
    pace = rng.uniform(0.25, 0.45, 6)[:, None, None]
    when = np.arange(TIME)[None, :, None] / RATE
    phase = np.array([0.0, 1.0])
    x = 10 * np.sin(2 * np.pi * pace * when + phase) + rng.normal(0, 0.1, (6, TIME, CHANNELS))
    people = [*"abcdef"]
    data = from_arrays(
        x.astype(np.float32), np.zeros(6, int), channels=["u", "v"], classes=("all",),
        person=np.array(people), rate_hz=RATE,
    )  # fmt: skip
    data = replace(data, people={"train": people[:2], "val": people[2:4], "test": people[4:]})
    return forecasts(data, horizons)


def forecaster(data: Dataset, seed: int = 0) -> Program:
    """Return a program that forecasts badly: random weights of the present sample."""
    assert isinstance(data.task, Forecast)
    outputs = len(data.task.steps) * CHANNELS
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (outputs, CHANNELS)).astype(np.int8)
    matrix = Matrix(weight, np.zeros(outputs, np.int32), np.full(outputs, 1 << 27, np.int32), 1, 12)
    scale = np.array([0.01, 0.02], np.float32)
    form = InputFormat(np.array([1.0, 0.0], np.float32), scale, 12, ("u", "v"))
    steps = len(data.task.steps)
    output = OutputFormat((0.5, -0.5) * steps, (2.0, 3.0) * steps, ("",) * outputs)
    metadata = {"task": data.task.to_json()}
    return Program((Linear("head", matrix),), form, 0.001, (), output=output, metadata=metadata)


def test_what_came_makes_forecasts_of_others_better() -> None:
    data = breaths((0.3, 0.6))
    program = forecaster(data)
    learned = with_nlms(program, data)
    chosen = learned.metadata["adapt"]
    assert chosen["learner"] == "nlms"
    assert (chosen["lags"], chosen["every"], chosen["step"]) in {
        (lags, every, step) for lags in LAGS for every in EVERY for step in STEPS
    }
    for split in ("val", "test"):
        assert chosen[split]["after"] < 0.6 * chosen[split]["before"]
    assert learned.adapts and not learned.learns
    x = program.quantize_input(data.recordings[0].x[None])
    y, state = learned.run_on(x)
    np.testing.assert_array_equal(y[:, :20], program.run(x)[:, :20])  # nothing has come yet
    forgotten = learned.reset(learned.forget(state))
    np.testing.assert_array_equal(learned.run_on(x, forgotten)[0], y)
    # what the record says is what the program does
    again = learned.values(data.recordings[4].x[None])[0]
    before = program.values(data.recordings[4].x[None])[0]
    wanted = data.recordings[4].by_step()[:, : program.outputs]
    assert np.square(again - wanted)[60:].mean() < np.square(before - wanted)[60:].mean() / 2


def test_what_cannot_learn_is_refused() -> None:
    data = breaths((0.3, 0.6))
    program = forecaster(data)
    with pytest.raises(CompressError, match="forecasts of the model's own channels"):
        with_nlms(replace(program, metadata={}), data)
    renamed = replace(program.input, channels=("u", "w"))
    with pytest.raises(CompressError, match="forecasts of the model's own channels"):
        with_nlms(replace(program, input=renamed), data)
    uneven = breaths((0.3, 0.5))
    with pytest.raises(CompressError, match="horizons of 3, 5 samples"):
        with_nlms(forecaster(uneven), uneven)
    far = breaths((7.0,))
    with pytest.raises(CompressError, match="too many for a learner"):
        with_nlms(forecaster(far), far)
    assert make_recipe({}, {"adapt": "nlms"}).adapt.learner == "nlms"
    with pytest.raises(CompressError, match="use either --adapt or --anomaly"):
        make_recipe({}, {"adapt": "nlms", "anomaly": 10, "learn": 60})

"""Tasks of streams: events, anomalies, counts, scored from outputs of each step."""

import math

import numpy as np
import pytest

from edgeflow.errors import TrainError
from edgeflow.tasks import from_json
from edgeflow.tasks.anomaly import Anomaly
from edgeflow.tasks.counting import Counting
from edgeflow.tasks.events import Events

WORDS = Events(("none", "yes", "no"), rate_hz=10.0)


def pulses(steps: dict[int, int], time: int) -> np.ndarray:
    """Return what `Detect` gives: a 1 for a class at some steps."""
    y = np.zeros((time, 3), np.int16)
    for step, label in steps.items():
        y[step, label] = 1
    return y


def test_fields_come_back_from_a_file() -> None:
    for task in (WORDS, Anomaly(2.0), Counting()):
        assert from_json(task.to_json()) == task


def test_events_of_pulses_and_of_scores_are_the_same() -> None:
    truth = np.zeros(36000, np.int64)
    truth[100:110], truth[200:205], truth[300:310] = 1, 2, 1
    detections = {
        104: 1,
        214: 2,
        5000: 1,
    }  # a second after the end of the second one, and a false one
    decided = WORDS.decide(pulses(detections, len(truth)))
    found = WORDS.scores(truth, decided, np.repeat(["a", "b"], 18000))
    assert found["overall"]["recall"] == 2 / 3 and found["overall"]["precision"] == 2 / 3
    assert found["overall"]["false_alarms_per_hour"] == 1
    assert found["overall"]["latency_ms_p50"] == (400 + 1400) / 2
    assert found["subjects"]["b"]["f1"] == 0 and found["subjects"]["a"]["recall"] == 2 / 3
    # scores that stay up for a while are one detection each
    long = np.zeros((len(truth), 3))
    for step, label in detections.items():
        long[step : step + 4, label] = 5.0
    assert WORDS.score(truth, WORDS.decide(long)) == WORDS.score(truth, decided)


def test_no_detection_has_no_latency() -> None:
    found = WORDS.scores(np.zeros(50, np.int64), np.zeros(50, np.int64), ["a"] * 50)["overall"]
    assert found["latency_ms_p50"] is None and found["f1"] == 0


def test_anomalies_have_delays_and_an_area() -> None:
    truth = np.array([0, 0, 1, 1, 1, 0])
    outputs = np.array([[1, 0], [2, 0], [1, 0], [7, 1], [8, 1], [3, 1]], np.int16)
    task = Anomaly(rate_hz=2.0)
    found = task.scores(truth, task.decide(outputs, 0.5), ["a"] * 6)["overall"]
    assert found["f1"] == 4 / 6 and found["far"] == 1 / 3 and found["mar"] == 1 / 3
    assert found["delay_s"] == 0.5 and found["detected"] == 1
    assert math.isclose(found["auc"], (3 + 3 + 0.5) / 9)
    assert task.right(outputs, truth).tolist() == [True, True, False, True, True, False]
    normal = task.scores(np.zeros(6), task.decide(outputs), ["a"] * 6)["overall"]
    assert normal["mar"] == 0 and normal["auc"] is None and normal["detected"] is None


def test_counts_are_scored_where_they_are_known() -> None:
    truth = np.full((2, 5, 1), np.nan, np.float32)
    truth[:, -1] = 20
    counted = np.array([[[1], [2], [3], [4], [19]], [[9], [9], [9], [9], [17]]], np.int16)
    task = Counting()
    found = task.score(truth.reshape(-1, 1), task.decide(counted.reshape(-1, 1)))
    assert found == {"within_one": 0.5, "count_mae": 2.0}
    assert task.score(truth[:, :4], task.decide(counted[:, :4]))["within_one"] == 0


def test_what_a_layer_behind_the_model_decides_is_not_trained() -> None:
    for task, instead in ((Anomaly(2.0), "a forecast"), (Counting(), "the phase")):
        for loss in (None, "squared-error"):
            with pytest.raises(TrainError, match=f"trained for {task.name} itself.*{instead}"):
                task.loss_name(loss)
    assert WORDS.loss_name(None) == "cross-entropy"

"""Figures of merit against their plain definitions."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.metrics import (
    accuracy,
    confusion,
    lowest_recall,
    macro_f1,
    mcc,
    recall,
    samples_to_enough,
)
from edgeflow.tasks import Classification

CLASSES = ("run", "sit", "walk")
#: True class, predicted class and subject of some windows.
DECISIONS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from("ab")), min_size=1, max_size=30
)


def arrays(decisions: list[tuple[int, int, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, predicted, subjects = zip(*decisions, strict=True)
    return np.array(truth), np.array(predicted), np.array(subjects)


def plain_f1(truth: list[int], predicted: list[int], number: int) -> float | None:
    """F1 as the harmonic mean of precision and recall; None of a class that never occurs."""
    hits = sum(t == p == number for t, p in zip(truth, predicted, strict=True))
    windows, predictions = truth.count(number), predicted.count(number)
    if windows + predictions == 0:
        return None
    if hits == 0:
        return 0.0
    precision, share = hits / predictions, hits / windows
    return 2 * precision * share / (precision + share)


@given(DECISIONS)
def test_figures_are_those_of_their_definitions(decisions: list[tuple[int, int, str]]) -> None:
    truth, predicted, subjects = arrays(decisions)
    matrix = confusion(truth, predicted, 3)
    for row in range(3):
        for column in range(3):
            assert matrix[row, column] == sum(t == row and p == column for t, p, _ in decisions)
    assert accuracy(matrix) == pytest.approx(sum(t == p for t, p, _ in decisions) / len(decisions))
    for number, share in enumerate(recall(matrix)):
        mine = [p == number for t, p, _ in decisions if t == number]
        assert math.isnan(share) if not mine else share == pytest.approx(sum(mine) / len(mine))
    ours = [plain_f1(truth.tolist(), predicted.tolist(), number) for number in range(3)]
    known = [value for value in ours if value is not None]
    assert macro_f1(matrix) == pytest.approx(sum(known) / len(known))

    task = Classification(CLASSES)
    found = task.scores(truth, predicted, subjects)
    assert list(found["subjects"]) == list(dict.fromkeys(subjects.tolist()))
    assert sum(one["windows"] for one in found["subjects"].values()) == len(decisions)
    for name, one in found["subjects"].items():
        mine = subjects == name
        alone = task.scores(truth[mine], predicted[mine], subjects[mine])["overall"]
        assert (one["accuracy"], one["macro_f1"]) == (alone["accuracy"], alone["macro_f1"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(DECISIONS)
def test_mcc_is_the_correlation_of_one_hot_codes(decisions: list[tuple[int, int, str]]) -> None:
    truth, predicted, _ = arrays(decisions)
    x, y = np.eye(3)[truth], np.eye(3)[predicted]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    spread = math.sqrt((x * x).sum()) * math.sqrt((y * y).sum())
    plain = (x * y).sum() / spread if spread > 1e-9 else 0
    found = mcc(confusion(truth, predicted, 3))
    assert found == pytest.approx(plain, abs=1e-9) and -1 <= found <= 1


def test_ends_of_the_ranges() -> None:
    truth = np.array([0, 1, 2, 2])
    right = confusion(truth, truth, 3)
    assert accuracy(right) == macro_f1(right) == 1 and mcc(right) == pytest.approx(1)
    assert recall(right).tolist() == [1, 1, 1]
    assert mcc(np.array([[0, 2], [2, 0]])) == pytest.approx(-1)
    assert mcc(np.array([[3, 0], [2, 0]])) == 0, "one class for all"
    empty = np.zeros((2, 2), np.int64)
    assert accuracy(empty) == macro_f1(empty) == mcc(empty) == 0
    # products of counts beyond 64 bits
    assert mcc(np.diag([10**6, 10**6, 10**6])) == pytest.approx(1)


def test_a_class_without_windows_has_no_recall() -> None:
    truth, decided = np.array([0, 0, 1]), np.array([0, 2, 1])
    scores = Classification(CLASSES).scores(truth, decided, ["a", "a", "b"])
    found = scores["overall"]
    assert found["recall"] == {"run": 0.5, "sit": 1.0, "walk": None}
    # but where others are taken for it, that is an error of it: F1 of 0
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["subjects"]["b"] == {"windows": 1, "accuracy": 1.0, "macro_f1": 1.0}
    assert lowest_recall(found["recall"]) == ("run", 0.5)
    assert lowest_recall({"run": None}) is None


def test_foreign_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not in 0\.\.2"):
        confusion(np.array([0, 3]), np.array([0, 1]), 3)
    with pytest.raises(ValueError, match=r"not in 0\.\.2"):
        confusion(np.array([0, 1]), np.array([-1, 1]), 3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_samples_to_enough_is_the_first_that_stays(values: list[float]) -> None:
    found = samples_to_enough(values)
    stays = [all(v >= 0.95 * values[-1] for v in values[i:]) for i in range(len(values))]
    assert found == 1 + stays.index(True)

"""Repetitions of sets of which only the number is known: borders, phases, counts as targets.

Unit tier: alone they would catch borders that do not follow the tempo of a movement.
"""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import Dataset, Recording, load_dataset
from edgeflow.data.phases import counted, phases, repetitions
from edgeflow.data.purpose import for_purpose, for_task
from edgeflow.errors import DataError, TrainError
from edgeflow.tasks import from_json
from edgeflow.tasks.counting import Counting
from edgeflow.tasks.phase import Phase, circle

RATE = 20.0


def exercise(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return samples [time, 2] of a movement that slows down, and the true repetitions [time]."""
    tempo = np.linspace(0.75, 1.25, count) * rng.uniform(0.9, 1.1, count)
    ends = np.cumsum(tempo * rng.uniform(1.5, 3))
    time = np.arange(0, ends[-1], 1 / RATE)
    through = np.interp(time, [0, *ends], np.arange(count + 1))
    angle = 2 * np.pi * through
    x = np.stack([1 - np.cos(angle), 0.8 * np.sin(2 * angle) + 0.3 * np.sin(angle)], axis=1)
    return (x + rng.normal(0, 0.1, x.shape)).astype(np.float32), through


def data_set(counts: dict[str, int]) -> Dataset:
    rng = np.random.default_rng(0)
    names = sorted({str(count) for count in counts.values()}, key=int)
    recordings = [
        Recording(exercise(rng, count)[0], names.index(str(count)), person)
        for person, count in counts.items()
    ]
    people = {"train": [*counts][:-2], "val": [[*counts][-2]], "test": [[*counts][-1]]}
    return Dataset(
        name="sets", classes=names, channels=["x", "y"], units=["g"] * 2, rate_hz=RATE,
        recordings=recordings, people=people, window=20,
    )  # fmt: skip


@pytest.mark.parametrize("told", [12, 13])
def test_borders_follow_the_tempo(told: int) -> None:
    """Also where someone miscounted by one: the movement says how often it was repeated."""
    rng, off, off_if_even = np.random.default_rng(1), 0.0, 0.0
    for _ in range(5):
        x, true = exercise(rng, 12)
        found = repetitions(x, told)
        assert (np.diff(found) >= 0).all() and found[0] == 0 and found[-1] == 12
        assert np.abs(found - true).max() < 0.3
        off += np.abs(found - true).mean()
        off_if_even += np.abs(np.linspace(0, 12, len(x)) - true).mean()
    assert off < off_if_even / 5


def test_the_cosine_rises_in_the_middle_of_a_repetition() -> None:
    cos, sin = circle(np.array([0, 0.25, 0.5, 0.75, 1.0])).T
    np.testing.assert_allclose(cos, [-1, 0, 1, 0, -1], atol=1e-6)
    np.testing.assert_allclose(sin, [0, -1, 0, 1, 0], atol=1e-6)


def test_labels_that_are_numbers_are_counts() -> None:
    plain = data_set({"a": 6, "b": 8, "c": 8, "d": 7})
    data = counted(plain)
    assert data.task == Counting() and data.classes == []
    for one, count in zip(data.recordings, (6, 8, 8, 7), strict=True):
        target = one.by_step()
        assert target[-1] == count and np.isnan(target[:-1]).all()
    found = for_purpose(plain, "phase")
    assert found.task == Phase() == from_json(Phase().to_json())
    for one, count in zip(found.recordings, (6, 8, 8, 7), strict=True):
        rises = [a < 0 <= b for a, b in itertools.pairwise(one.by_step()[:, 0])]
        assert sum(rises) == count
    # later commands read the file as the model needs it, and as its counter does
    assert for_task(plain, Phase()).task == for_task(data, Phase()).task == Phase()
    assert for_task(plain, Counting()).task == Counting() and counted(data) is data


def test_what_cannot_be_counted_is_refused() -> None:
    data = data_set({"a": 6, "b": 8, "c": 8, "d": 7})
    named = replace(data, classes=["walk", "run", "rest"])
    with pytest.raises(DataError, match=r"whole numbers: 'sets' is for classification, of the cl"):
        for_purpose(named, "phase")
    assert for_task(named, Counting()) is named
    with pytest.raises(DataError, match="has [0-9]+ samples: not 6000 counts"):
        counted(replace(data, classes=["6000", "7", "8"]))
    with pytest.raises(TrainError, match="train the phase of a repetition, with --task phase"):
        Counting().loss_name(None)
    with pytest.raises(DataError, match="no recording has 2 repetitions or more"):
        phases(replace(data, classes=["1", "0", "01"]))


def test_sets_of_one_count_alone(tmp_path: Path) -> None:
    """Of a file in which all sets have as many repetitions, the count is no class."""
    path = tmp_path / "sets.csv"
    swing = np.sin(np.arange(60) / 3)
    lines = [f"{who},8,{a:.2f}" for who in "abcde" for a in swing]
    path.write_text("# rate_hz: 20\nperson,label,x\n" + "\n".join(lines) + "\n")
    with pytest.raises(DataError, match="at least 2 are needed, or --task counting"):
        load_dataset(path, window=10)
    assert load_dataset(path, window=10, task="counting").task == Counting()
    assert load_dataset(path, window=10, task="phase").task == Phase()


def test_scores_say_by_how_much_counts_are_off() -> None:
    truth = np.full((6, 1), np.nan, np.float32)
    truth[[2, 4, 5], 0] = (20, 10, 5)
    decided = np.array([1.0, 9.0, 21.0, 4.0, 8.0, 5.0])
    found = Counting().scores(truth, decided, ["a", "a", "a", "b", "b", "b"])
    assert found["overall"] == {
        "within_one": 2 / 3, "count_mae": 1.0, "errors": {"-2": 1, "+0": 1, "+1": 1},
    }  # fmt: skip
    assert found["subjects"]["b"]["counts"] == 2
    errors, people = Counting().tables({"metrics": found})
    assert errors.rows == [["-2", "1"], ["+0", "1"], ["+1", "1"]]
    assert people.rows[0] == ["a", "1", "100.00%", "1.000 repetitions"]

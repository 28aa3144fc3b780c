"""Detectors, anomaly limits and counters that validation subjects choose, on made-up streams."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgeflow.compression.candidates import outputs_of
from edgeflow.compression.count import with_count
from edgeflow.compression.detect import with_detect
from edgeflow.compression.residual import with_residual
from edgeflow.data import Dataset, Recording
from edgeflow.data.select import choose_sequences
from edgeflow.data.words import of_words
from edgeflow.errors import CompressError, DataError
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes import Count, Detect, Residual
from edgeflow.tasks import OutputFormat, Task
from edgeflow.tasks.anomaly import Anomaly
from edgeflow.tasks.counting import Counting
from edgeflow.tasks.events import Events

PEOPLE = {"train": ["a", "b"], "val": ["c", "d"], "test": ["e"]}
WORDS = Events(("none", "yes", "no"), rate_hz=10.0)
#: A recording from random numbers.
Record = Callable[[np.random.Generator, str], Recording]


def passing(channels: int, scale: float = 0.01, offset: float = 0.0) -> Program:
    """Return a program whose outputs are its inputs, times 8."""
    form = InputFormat(
        np.full(channels, offset, np.float32), np.full(channels, scale, np.float32), 12,
        tuple(f"x{i}" for i in range(channels)),
    )  # fmt: skip
    ones = np.ones(channels, np.int64)
    eight = Matrix(
        weight=np.eye(channels, dtype=np.int8), bias=(0 * ones).astype(np.int32),
        multiplier=(ones << 30).astype(np.int32), shift=5, input_bits=12,
    )  # fmt: skip
    return Program((Linear("head", eight),), form, scale / 8)


def made(task: Task, record: Record, channels: int, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    recordings = [record(rng, name) for part in PEOPLE.values() for name in part]
    names = [f"x{i}" for i in range(channels)]
    return Dataset(
        name="made", classes=[], channels=names, units=[""] * channels, rate_hz=10.0,
        recordings=recordings, people=PEOPLE, window=20, target=task,
    )  # fmt: skip


def words(rng: np.random.Generator, person: str) -> Recording:
    """Scores: noise with spikes, and plateaus of a word every ten seconds."""
    labels = np.zeros(2000, np.int64)
    for start in range(50, 1950, 100):
        labels[start : start + 12] = rng.integers(1, 3)
    x = rng.normal(0, 1, (2000, 3))
    x[:, 0] += 3
    x[np.arange(2000), labels] += np.where(labels > 0, 6.0, 0.0)
    x[rng.integers(0, 2000, 20), 2] += 9  # a click, of one sample
    return Recording(x.astype(np.float32), 0, person, target=labels)


def test_candidates_are_layers() -> None:
    x = np.random.default_rng(0).integers(-500, 500, (60, 3)).astype(np.int16)
    node = Detect("d", *np.zeros((2, 3), np.int16), 3, 1, 1, 1, 2, 3)
    high = np.array([[10, 20, 30], [100, 0, 32767]])
    needed = np.array([[1], [2]])
    found = outputs_of(node, {"high": high, "needed": needed}, [x, x[::-1][:40]])
    for i in range(2):
        one = replace(node, high=high[i].astype(np.int16), needed=int(needed[i, 0]))
        program = replace(passing(3), nodes=(one,))
        np.testing.assert_array_equal(found[i, :60], program.run(x[None])[0])
        np.testing.assert_array_equal(found[i, 60:], program.run(x[None, ::-1][:, :40])[0])


class TestDetect:
    def test_the_bound_holds_on_validation_subjects(self) -> None:
        data = made(WORDS, words, 3)
        plain = passing(3)
        before = WORDS.score(*truth_and_decisions(plain, data, "val"))
        assert before["false_alarms_per_hour"] > 100
        found = with_detect(plain, data, max_false_alarms=10)
        after = WORDS.score(*truth_and_decisions(found, data, "val"))
        assert after == found.metadata["detect"]["val"]
        assert after["false_alarms_per_hour"] <= 10 and after["recall"] > 0.95
        assert found.task == WORDS and isinstance(found.nodes[-1], Detect)
        test = WORDS.score(*truth_and_decisions(found, data, "test"))
        assert test["recall"] > 0.9

    def test_thresholds_are_those_of_words_not_of_the_background(self) -> None:
        def record(rng: np.random.Generator, person: str) -> Recording:
            one = words(rng, person)
            quiet = one.by_step() == 0
            one.x[quiet, 0] += rng.uniform(10, 15, quiet.sum())  # far ahead of any word
            false = np.arange(2000) % 100 < 12  # as long as words, that lead by more
            one.x[false, 1] = one.x[false, 0] + 0.5
            return one

        found = with_detect(passing(3), made(WORDS, record, 3), max_false_alarms=0)
        assert found.metadata["detect"]["val"]["recall"] > 0.8

    def test_some_words_only_and_the_others_beside_them(self) -> None:
        whole = made(WORDS, words, 3)
        data = of_words(whole, ["yes"])
        found = with_detect(passing(3), data, max_false_alarms=10)
        assert isinstance(found.task, Events) and found.task.words == ("yes",)
        detector = found.nodes[-1]
        assert isinstance(detector, Detect)
        assert (detector.high == INT16_MAX).tolist() == [True, False, True]
        # the data as they come, which have other words, too
        read = choose_sequences(found, whole, "test")
        outputs = read.run(lambda x: found.run(found.quantize_input(x)), 8)
        decided = found.task.decide(np.concatenate(outputs))
        assert set(read.truth) == set(decided) == {0, 1}
        scores = found.task.score(read.truth, decided)
        assert scores["recall"] > 0.9 and scores["false_alarms_per_hour"] <= 40

    @pytest.mark.parametrize("names", [["maybe"], ["none"], ["yes", "yes"], [""]])
    def test_words_that_are_no_events(self, names: list[str]) -> None:
        with pytest.raises(DataError, match="--words: '.*' (is no event's name|stands twice)"):
            of_words(made(WORDS, words, 3), names)

    def test_words_of_another_task(self) -> None:
        data = made(Counting(), lambda rng, who: Recording(np.zeros((50, 3)), 2.0, who), 3)
        with pytest.raises(DataError, match="is for counting, not events"):
            of_words(data, ["yes"])

    def test_test_subjects_choose_nothing(self) -> None:
        data = made(WORDS, words, 3)
        silent = [replace(r, x=0 * r.x) if r.person == "e" else r for r in data.recordings]
        found = with_detect(passing(3), data, 10)
        assert found == with_detect(passing(3), replace(data, recordings=silent), 10)

    def test_a_detector_that_finds_nothing(self) -> None:
        noise = made(WORDS, words, 3)
        labels = [replace(r, target=0 * r.target) for r in noise.recordings]
        with pytest.raises(CompressError, match="no detector finds an event"):
            with_detect(passing(3), replace(noise, recordings=labels), 0)

    def test_refused(self) -> None:
        data = made(WORDS, words, 3)
        with pytest.raises(CompressError, match="give 0 or more"):
            with_detect(passing(3), data, -1)
        with pytest.raises(CompressError, match="a score for each of 3 classes"):
            with_detect(replace(passing(3), window=20), data, 1)
        with pytest.raises(CompressError, match="is for counting: it has no events"):
            with_detect(passing(3), replace(data, target=Counting()), 1)


def truth_and_decisions(program: Program, data: Dataset, split: str) -> tuple[np.ndarray, ...]:
    y = [program.run(program.quantize_input(r.x[None]))[0] for r in data.split(split)]
    truth = np.concatenate([r.by_step() for r in data.split(split)])
    return truth, program.task.decide(np.concatenate(y)) if program.metadata else (
        np.concatenate(y).argmax(axis=1)
    )


def pump(rng: np.random.Generator, person: str) -> Recording:
    """Levels that differ between runs; later one of them moves."""
    flags = np.zeros(1000, np.int64)
    flags[500:800] = 1
    level = rng.uniform(-5, 5, 2)
    x = level + rng.normal(0, 0.2, (1000, 2))
    x[:, 1] += 0.6 * flags
    return Recording(x.astype(np.float32), 0, person, target=flags)


class TestResidual:
    def test_levels_that_differ_between_runs_are_no_anomalies(self) -> None:
        data = made(Anomaly(1.0), pump, 2)
        # forecasts: always 0, in units of the data
        head = passing(2).nodes[0]
        assert isinstance(head, Linear)
        silent = replace(head, matrix=replace(head.matrix, weight=0 * head.matrix.weight))
        program = with_residual(
            replace(passing(2), nodes=(silent,)), data, max_far=0.05, learn=300
        )  # fmt: skip
        rates = program.metadata["residual"]["train_and_val"]
        assert rates["far"] <= 0.05 and rates["f1"] > 0.9
        node = program.nodes[-1]
        assert isinstance(node, Residual) and node.weight.sum() <= 1 << 15
        assert abs(int(node.weight[0]) - int(node.weight[1])) < 3000  # errors of one size
        score = Anomaly(1.0).score(*truth_and_decisions(program, data, "test"))
        assert score["f1"] > 0.85
        assert program.reads == ((0,), (1, 0), (2,))

    def test_a_value_that_says_nothing_of_anomalies_is_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Alone catches weights that are changed where nothing is gained by it."""
        monkeypatch.setattr("edgeflow.compression.residual.SHIFTS", (3,))

        def distracted(rng: np.random.Generator, person: str) -> Recording:
            one = pump(rng, person)
            x = one.x.copy()
            x[350:450, 0] += rng.choice([-1, 1])
            return replace(one, x=x)

        data = made(Anomaly(1.0), distracted, 2)
        head = passing(2).nodes[0]
        assert isinstance(head, Linear)
        silent = replace(head, matrix=replace(head.matrix, weight=0 * head.matrix.weight))
        program = replace(passing(2), nodes=(silent,))
        plain = with_residual(program, data, max_far=0.2, learn=300)
        weighed = with_residual(program, data, max_far=0.2, learn=300, weigh=True)
        before, after = (
            Anomaly(1.0).score(*truth_and_decisions(one, data, "test")) for one in (plain, weighed)
        )
        assert after["f1"] > before["f1"] + 0.1
        node = weighed.nodes[-1]
        assert isinstance(node, Residual) and node.weight[0] < 0.2 * node.weight[1]

    def test_a_perfect_reconstruction_has_no_error(self) -> None:
        """Forecasts come to count in the units of the input, whatever the model's own are."""
        data = made(Anomaly(1.0), pump, 2)
        # the outputs are the inputs less 1.5, in hundredths
        plain = passing(2, offset=1.5)
        x = plain.quantize_input(data.recordings[0].x[None])

        def errors(scale: float, change: bool = False) -> np.ndarray:
            output = OutputFormat((0.0 if change else 1.5,) * 2, (scale,) * 2, ("",) * 2)
            found = with_residual(
                replace(plain, output=output), data, max_far=1.0, learn=10, horizon=0, change=change
            )
            return found.run(x)[0, :, 0]

        assert errors(1.0).max() == 0 < errors(0.5).max()
        assert errors(1e-9, change=True).max() == 0  # nothing changes within no time

    def test_refused(self) -> None:
        data = made(Anomaly(1.0), pump, 2)
        with pytest.raises(CompressError, match="give a share, 0 to 1"):
            with_residual(passing(2), data, max_far=10, learn=300)
        with pytest.raises(CompressError, match="must end with a linear layer of as many outputs"):
            with_residual(replace(passing(2), window=20), data, max_far=0.1, learn=300)
        with pytest.raises(CompressError, match="is for events: it has no flags"):
            with_residual(passing(2), replace(data, target=WORDS), max_far=0.1, learn=300)


def exercise(rng: np.random.Generator, person: str) -> Recording:
    """Twenty swings of one tempo, whose height differs."""
    length = int(rng.integers(15, 30))
    t = np.arange(20 * length)
    x = rng.uniform(2, 4) * np.sin(2 * np.pi * (t / length - 0.2)) + rng.normal(0, 0.3, len(t))
    target = np.full((len(t), 1), np.nan, np.float32)
    target[-1] = 20
    return Recording(x[:, None].astype(np.float32), 20, person, target=target)


class TestCount:
    def test_swings_are_counted(self) -> None:
        data = made(Counting(), exercise, 1)
        program = with_count(passing(1), data)
        assert isinstance(program.nodes[-1], Count)
        assert program.metadata["count"]["val"] == {"within_one": 1.0, "count_mae": 0.0}
        (test,) = data.split("test")
        y = program.run(program.quantize_input(test.x[None]))[0]
        assert abs(y[-1, 0] - 20) <= 1

    def test_refused(self) -> None:
        data = made(Counting(), exercise, 1)
        with pytest.raises(CompressError, match="reads output 1 at every sample: the program has"):
            with_count(passing(1), data, channel=1)
        with pytest.raises(CompressError, match="is for anomaly: it has no counts"):
            with_count(passing(1), replace(data, target=Anomaly()))

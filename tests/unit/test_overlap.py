"""Windows that overlap: two states give what each window gives alone, and decisions every hop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.data import Dataset, Sequences, sequences_of
from edgeflow.errors import DataError, ProgramError, TrainError
from edgeflow.overlap import Overlap, hop_of
from edgeflow.profiling.counts import CountsReader
from edgeflow.program import Program
from edgeflow.program.nodes import Cutoff
from edgeflow.program.reader import Reader
from edgeflow.training import train
from edgeflow.training.batches import tail_of
from tests.counted import written
from tests.random_programs import random_program, samples
from tests.unit.test_train import SMALL, waves

overlaps = st.integers(2, 60).flatmap(
    lambda window: st.builds(Overlap, st.just(window), st.integers(1, window - 1))
)


def ages(x: np.ndarray) -> np.ndarray:
    """A model that gives the number of samples since its reset, and the last sample."""
    age = np.broadcast_to(np.arange(1, x.shape[1] + 1)[:, None], (*x.shape[:2], 1))
    return np.concatenate([age, x[..., :1]], axis=-1)


@given(overlaps, st.integers(1, 200))
def test_two_states_do(overlap: Overlap, time: int) -> None:
    """At most two windows are read at a time; the hop and the ages are those that are promised."""
    x = np.arange(time)[None, :, None]
    y = overlap.run(ages, x)[0]
    np.testing.assert_array_equal(y[:, 1], np.arange(time))
    starts = np.arange(0, time, overlap.stagger)
    for t in range(time):
        read = starts[(starts <= t) & (t < starts + overlap.window)]
        assert 1 <= len(read) <= 2
        assert y[t, 0] == t - read[0] + 1, "the older one decides"
    decided = y[overlap.first - 1 :: overlap.hop, 0]
    assert all((overlap.window - decided) % overlap.hop == 0)
    if len(decided):
        assert decided.min() == overlap.first > overlap.window - overlap.stagger
        assert decided.max() <= overlap.window
    assert overlap.stagger % overlap.hop == 0 and 2 * overlap.stagger >= overlap.window
    made = overlap.window - decided
    assert all(made < overlap.counted)
    if 2 * overlap.hop >= overlap.window:
        assert all(made == 0), "of a whole window each"


def test_a_window_of_100_and_a_hop_of_25() -> None:
    overlap = Overlap(100, 25)
    assert (overlap.stagger, overlap.first, overlap.states) == (50, 75, 2.0)
    y = overlap.run(ages, np.zeros((1, 300, 1)))[0, :, 0]
    assert y[74::25].tolist() == [75, 100, 75, 100, 75, 100, 75, 100, 75, 100]


def hopping(window: int, hop: int) -> Program:
    program = random_program(3, 3, [7, 5], 4, 12, 12, cells=["gru", "lmu"])
    return replace(program, window=window, hop=hop)


@pytest.mark.parametrize(
    "window,hop", [(20, 5), (20, 10), (20, 13), (20, 1), (7, 6), (9, 4), (2, 1)]
)
def test_sample_by_sample_is_as_windows(window: int, hop: int) -> None:
    program = hopping(window, hop)
    overlap = program.overlap
    assert overlap is not None
    x = samples(program, 1, 2, 75)
    expected = overlap.run(program.run, x)
    for one, other in zip(x, expected, strict=True):
        reader, found, due = Reader(program), [], []
        for sample in one:
            found.append(reader.step(sample[None])[0])
            due.append(reader.read if reader.due else 0)
        np.testing.assert_array_equal(found, other)
        decided = np.flatnonzero(due)
        np.testing.assert_array_equal(decided, np.arange(overlap.first - 1, 75, hop))
    whole = program.run(x[:, overlap.stagger : overlap.stagger + window])[:, -1]
    np.testing.assert_array_equal(expected[:, overlap.stagger + window - 1], whole)


def test_answers_are_those_of_the_decisions() -> None:
    program = hopping(20, 5)
    x = np.random.default_rng(0).standard_normal((90, 3)).astype(np.float32) * 500
    found = program.predict(x)
    assert found.shape == (len(range(14, 90, 5)), 4)
    stream, heard = program.stream(), []
    for sample in x:
        answer = stream.step(sample)
        if stream.decided:
            heard.append(answer)
            assert stream.samples in (15, 20)
    np.testing.assert_array_equal(heard, found)
    labels = replace(program, classes=("a", "b", "c", "d")).predict(x)
    assert labels.tolist() == ["abcd"[i] for i in found.argmax(axis=1)]
    np.testing.assert_array_equal(program.predict(x[None, :20]), found[1:2])


def test_the_hop_is_part_of_the_meaning(tmp_path: Path) -> None:
    program = hopping(20, 5)
    assert program.hash != replace(program, hop=4).hash != replace(program, hop=0).hash
    program.save(tmp_path / "model.onnx")
    again = Program.load(tmp_path / "model.onnx")
    assert (again.hop, again.hash) == (5, program.hash)
    for hop, window in ((20, 20), (-1, 20), (1, 0)):
        with pytest.raises(ProgramError, match=f"a hop of {hop} samples"):
            replace(program, hop=hop, window=window)
    cutoff = Cutoff("cut", 4, 5, 3)
    with pytest.raises(ProgramError, match="leave one of the two out"):
        replace(program, nodes=(*program.nodes, cutoff))


def test_a_hop_of_a_window_is_none() -> None:
    assert hop_of(20, None) == hop_of(20, 20) == 0 and hop_of(20, 5) == 5
    for hop in (0, 21):
        with pytest.raises(ValueError, match="it is from 1 to 20"):
            hop_of(20, hop)
    assert (
        tail_of(100, 0, 0.1) == 10 and tail_of(100, 25, 0.1) == 26 and tail_of(100, 60, 0.1) == 10
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Recordings of 50 to 69 samples; windows have 20."""
    return waves(length=50)


def test_recordings_are_scored_every_hop(data: Dataset) -> None:
    found = sequences_of(data, "test", window=20, hop=5)
    outputs = found.run(lambda x: ages(x), 3)
    counted = found.counted(outputs)
    lengths = [len(one.x) for one in data.split("test")]
    assert len(counted) == sum(len(range(14, n, 5)) for n in lengths)
    assert set(counted[:, 0, 0]) == {15, 20}
    truth = found.of_decisions(found.y)
    assert len(truth) == len(counted) and found.recordings == len(lengths)
    starts, _ = found.starts(outputs)
    assert starts.shape[1] == 20 and (starts[:, :, 0] == np.arange(1, 21)).all()
    with pytest.raises(DataError, match="longer than the first"):
        sequences_of(data, "test", window=400, hop=100)


def test_what_is_read_from_each_reset() -> None:
    parts = [np.arange(n, dtype=np.float32)[:, None] for n in (23, 4)]
    found = Sequences(
        parts, np.zeros(2), np.array(["a", "a"]), 8, stream=True, overlap=Overlap(8, 2)
    )
    x, lengths = found.from_resets()
    assert lengths.tolist() == [8, 8, 8, 8, 7, 3, 4]
    assert [one[0, 0] for one in x] == [0, 4, 8, 12, 16, 20, 0]
    assert all((one[n:] == 0).all() for one, n in zip(x, lengths, strict=True))


def test_training_counts_the_steps_of_all_decisions(data: Dataset, tmp_path: Path) -> None:
    result = train(data, out=tmp_path, hop=5, **(SMALL | {"epochs": 2}))
    assert (result.model.window, result.model.hop) == (20, 5)
    lengths = [len(one.x) for one in data.split("test")]
    assert result.metrics["test"]["decisions"] == sum(len(range(14, n, 5)) for n in lengths)
    with pytest.raises(TrainError, match="a hop of 21 samples with windows of 20"):
        train(data, out=tmp_path / "long", hop=21, **SMALL)
    with pytest.raises(TrainError, match="streaming has no windows"):
        train(data, out=tmp_path / "stream", hop=5, mode="streaming", **SMALL)


def test_layers_that_ran_twice_count_once() -> None:
    first = [({3: 5}, 1, 0, 0), ({3: 7}, 2, 0, 0)]
    second = [({3: 6, 4: 1}, 3, 1, 0), ({3: 7}, 2, 0, 0)]
    once, twice = [*first, ({3: 1}, 0, 0, 0)], [*first, *second, ({3: 2}, 0, 0, 0)]
    reader = CountsReader("counts.bin", overlap=True)
    reader.feed(written([once, twice]))
    counts = reader.take()
    assert counts.layers.tolist() == [[5, 7, 1], [12, 14, 2]]
    assert counts.taken.tolist() == [[1, 2, 0], [4, 4, 0]] and counts.split[1].tolist() == [1, 0, 0]

"""Cut-offs: what a program allows, how one is calibrated; and warm-up curves."""

import dataclasses

import numpy as np
import pytest

from edgeflow.compression.anytime import cutoff_curve, decide, standard_error, with_cutoff
from edgeflow.data import Dataset, Recording
from edgeflow.errors import CompressError, ProgramError
from edgeflow.metrics import samples_to_enough
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.nodes import Accumulate
from edgeflow.program.nodes.cutoff import NEVER, Cutoff
from edgeflow.tasks import Classification

WINDOW = 12


def summing(window: int = WINDOW) -> Program:
    """Return a program that sums noisy evidence: the decision of two classes grows with time."""
    one = np.ones(2, np.float32)
    identity = Matrix(
        100 * np.eye(2, dtype=np.int8), np.zeros(2, np.int32), np.full(2, 1 << 29, np.int32), 1, 12
    )
    return Program(
        (Linear("head", identity), Accumulate("sum", 2, 16, 1 << 15, 6)),
        InputFormat(0 * one, 0.01 * one, 12, ("a", "b")),
        output_scale=0.01,
        classes=("a", "b"),
        window=window,
    )


def evidence(seed: int = 0, each: int = 300) -> Dataset:
    rng = np.random.default_rng(seed)
    recordings = []
    for person in "abcdef":
        for label in (0, 1):
            x = rng.normal(0, 1, (each // 2 * WINDOW, 2)).astype(np.float32)
            x[:, label] += 0.7
            recordings.append(Recording(x, label, person))
    people = {"train": ["a"], "val": ["b", "c", "d"], "test": ["e", "f"]}
    return Dataset("evidence", ["a", "b"], ["a", "b"], ["1"] * 2, 10.0, recordings, people, WINDOW)


def drop_and_read(program: Program, dataset: Dataset, split: str) -> tuple[float, float]:
    windows = dataset.windows(split)
    x = program.quantize_input(windows.x)
    cut, whole = (p.run(x)[:, -1].argmax(axis=1) for p in (program, program.without_cutoff()))
    outputs, read = decide(program, program.without_cutoff().run(x))
    np.testing.assert_array_equal(outputs.argmax(axis=1), cut)
    return 100 * float((whole == windows.y).mean() - (cut == windows.y).mean()), float(read.mean())


def test_calibration_keeps_its_promise_on_validation_people() -> None:
    dataset, program = evidence(), summing()
    before = WINDOW
    for max_drop in (0.5, 1.0, 3.0):
        cut = with_cutoff(program, dataset, max_drop)
        chosen = cut.metadata["cutoff"]["chosen"]
        drop, read = drop_and_read(cut, dataset, "val")
        assert drop == pytest.approx(chosen["drop_points"], abs=1e-9)
        assert read == pytest.approx(chosen["samples_read"])
        assert drop + chosen["error_points"] <= max_drop
        assert read < before  # the more may be lost, the fewer samples are read
        before = read
        lost, _ = drop_and_read(cut, dataset, "test")
        assert lost < max_drop + 2  # other people, 300 windows each
    assert before < 0.75 * WINDOW


def test_curve_rises_from_one_sample_to_all() -> None:
    curve = cutoff_curve(summing(), evidence())
    read = [point.samples_read for point in curve]
    bound = [point.drop_points + point.error_points for point in curve]
    assert read == sorted(read) and bound == sorted(bound, reverse=True)
    assert curve[0].samples_read == 1 and bound[-1] <= 0
    assert all(1 <= point.start <= WINDOW for point in curve)


def test_calibrating_again_replaces_the_cutoff() -> None:
    dataset = evidence()
    once = with_cutoff(summing(), dataset, 1.0)
    assert with_cutoff(once, dataset, 1.0).hash == once.hash
    assert len(with_cutoff(once, dataset, 3.0).nodes) == len(once.nodes)
    assert once.without_cutoff().hash == summing().hash


def test_no_cutoff_where_none_pays() -> None:
    """What is decided at the last sample only cannot be decided before."""
    rng = np.random.default_rng(1)
    recordings = []
    for person in "abc":
        for label in (0, 1):
            x = rng.normal(0, 1, (100, WINDOW, 2)).astype(np.float32)
            x[:, -1] += 15 * np.eye(2, dtype=np.float32)[label]
            recordings.append(Recording(x.reshape(-1, 2), label, person))
    people = {"train": ["a"], "val": ["b"], "test": ["c"]}
    dataset = Dataset("late", ["a", "b"], ["a", "b"], ["1"] * 2, 10.0, recordings, people, WINDOW)
    found = with_cutoff(summing(), dataset, 0.0)
    assert found.cutoff is None and found.hash == summing().hash
    assert found.metadata["cutoff"]["chosen"] is None


def test_what_a_program_refuses() -> None:
    program, cutoff = summing(), Cutoff("cutoff", 2, 100)
    with pytest.raises(ProgramError, match="no windows"):
        dataclasses.replace(summing(0), nodes=(*program.nodes, cutoff))
    with pytest.raises(ProgramError, match="last layer"):
        second = dataclasses.replace(cutoff, name="second")
        dataclasses.replace(program, nodes=(*program.nodes, cutoff, second))
    for wrong in ({"size": 1}, {"threshold": -1}, {"threshold": NEVER + 1}, {"start": 0}):
        with pytest.raises(ProgramError, match="layer cutoff"):
            dataclasses.replace(cutoff, **wrong)


@pytest.mark.parametrize("max_drop", [-0.1, float("nan"), float("inf")])
def test_wrong_max_drop(max_drop: float) -> None:
    with pytest.raises(CompressError, match="points"):
        with_cutoff(summing(), evidence(each=4), max_drop)


def test_wrong_programs_for_calibration() -> None:
    dataset = evidence(each=4)
    with pytest.raises(CompressError, match="needs windows"):
        with_cutoff(summing(0), dataset, 1.0)
    with pytest.raises(CompressError, match="not those of 'evidence'"):
        with_cutoff(dataclasses.replace(summing(), classes=("b", "a")), dataset, 1.0)


def test_standard_error_counts_people_who_are_alike_as_few() -> None:
    alone = np.repeat("a", 100)
    values = np.tile([0, 1], 50)
    assert standard_error(values, alone) == pytest.approx(0.05)
    # the same values, but each person has one of them only
    people = np.where(values, "a", "b")
    assert standard_error(values, people) == pytest.approx(0.5)
    # as in independent windows: the larger one of both
    assert standard_error(values, np.repeat(np.arange(50), 2)) == pytest.approx(0.05)
    assert standard_error(np.zeros(5, np.int64), np.arange(5)) == 0


def test_accuracy_by_sample() -> None:
    outputs = np.array([[[1, 0], [0, 1], [0, 1]], [[1, 0], [1, 0], [0, 1]]])
    assert Classification(("a", "b")).by_sample(outputs, np.array([1, 1])) == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("accuracy", "samples"),
    [([0.5, 0.96, 0.94, 0.95, 1.0], 4), ([1.0], 1), ([0.9, 0.9], 1), ([0.0, 0.0, 0.3], 3)],
)
def test_samples_to_enough(accuracy: list[float], samples: int) -> None:
    assert samples_to_enough(accuracy) == samples

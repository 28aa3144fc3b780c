"""Choosing how a read-out learns: who labels what, that it helps where people differ, refusals.

Alone catches a replay that tests on labelled windows, and a learner that does not learn at all.
"""

from dataclasses import replace

import numpy as np
import pytest

from edgeflow.compression.adapt import (
    DESCENT_ROOM,
    LEARNERS,
    PROTOTYPE_ROOM,
    Rows,
    with_descent,
    with_learning,
    with_prototypes,
)
from edgeflow.compression.replay import GAP, Features, gains, learned, replays
from edgeflow.data import from_arrays
from edgeflow.errors import CompressError, DeviceError, ProgramError
from edgeflow.profiling.adaptation import AdaptOptions, parse_adapt
from edgeflow.program import Matrix, Program
from edgeflow.program.nodes.adaptive_linear import AdaptiveLinear
from edgeflow.recipes.recipe import make_recipe
from tests.random_nodes.adaptive import random_learner
from tests.random_programs import random_program

CLASSES, SIZE = 4, 12
SCALE = 1e-3


def people(shift: float, seed: int = 0) -> tuple[Features, np.ndarray]:
    """Return 60 states of each of 3 people, each off by a shift of their own, and class means."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 500, (CLASSES, SIZE))
    label = np.tile(np.repeat(np.arange(CLASSES), 15), 3)
    person = np.repeat(["a", "b", "c"], 15 * CLASSES)
    own = rng.normal(0, shift, (3, CLASSES, SIZE))
    x = means[label] + own[np.repeat(range(3), 60), label] + rng.normal(0, 150, (len(label), SIZE))
    return Features(x.clip(-2047, 2047).astype(np.int16), label, person), means


def nearest(means: np.ndarray) -> Matrix:
    """Return the read-out that decides by the nearest mean; a unit of y is `SCALE`."""
    weight = np.round(means / np.abs(means).max() * 127)
    unit = np.abs(means).max() / 127  # of x per weight
    bias = -0.5 * (means**2).sum(axis=1) / unit
    ratio = unit / 1000**2 / SCALE * 4
    multiplier = np.full(CLASSES, round(ratio * 2.0**31))
    return Matrix(
        weight.astype(np.int8), np.round(bias).astype(np.int32), multiplier.astype(np.int32), 1, 12
    )


def learner(kind: str, means: np.ndarray) -> AdaptiveLinear:
    if kind == "prototypes":
        return with_prototypes("head", nearest(means), means, prior=1.0, gain=16.0 / SCALE)
    return with_descent("head", nearest(means), SCALE, keep=3, passes=16, rate=0.2)


@pytest.mark.parametrize("kind", LEARNERS)
def test_labels_help_where_people_differ(kind: str) -> None:
    features, means = people(shift=900)
    found = gains(learner(kind, means), features, 3, "spread")
    assert [one.person for one in found] == ["a", "b", "c"]
    assert np.mean([one.before for one in found]) < 0.9
    assert np.mean([one.after - one.before for one in found]) > 0.05
    assert min(one.after - one.before for one in found) > -0.02


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_replay_learns_as_label_by_label(kind: str) -> None:
    """Fast. Only here: a learner replayed from its last label that depends on those before."""
    features, means = people(shift=900)
    node = learner(kind, means)
    runs = [run for who in features.people for run in replays(features, who, 5, "spread")]
    found = learned(node, features, runs)
    for number in (0, len(runs) - 1):
        state = {name: np.zeros((1, v.size), np.int64) for name, v in node.vectors.items()}
        for index in runs[number].labelled:
            state = {**state, "seen": features.x[index][None].astype(np.int64)}
            state = node.learn(state, features.label[index][None])
        for name, value in state.items():
            assert np.array_equal(value[0], found[name][number]), name


@pytest.mark.parametrize("kind", LEARNERS)
def test_nobody_loses_where_people_are_alike(kind: str) -> None:
    features, means = people(shift=0)
    found = gains(learner(kind, means), features, 3, "spread")
    assert min(one.before for one in found) > 0.95
    assert min(one.after - one.before for one in found) > -0.02


@pytest.mark.parametrize("room", [PROTOTYPE_ROOM, DESCENT_ROOM])
def test_rows_in_one_unit_decide_as_the_trained_ones(room: float) -> None:
    features, means = people(shift=300)
    matrix = nearest(means)
    rows = Rows.of(matrix, room)
    x = features.x.astype(np.int64)
    y = (x @ rows.base.reshape(CLASSES, SIZE).T.astype(np.int64) + rows.bias) * rows.unit
    assert np.abs(y - matrix.apply(x)).max() <= 8
    assert (y.argmax(axis=1) == matrix.apply(x).argmax(axis=1)).mean() > 0.99


def test_descent_has_room_for_rows_that_grow() -> None:
    """Where it makes rows more than four times as large, they do not stop at their limit."""
    features, means = people(shift=900)
    node = with_descent("head", nearest(means), SCALE / 15, keep=3, passes=16, rate=0.4)
    runs = [next(replays(features, person, 3, "spread")) for person in features.people]
    largest = np.abs(learned(node, features, runs, guarded=False)["weights"]).max()
    assert DESCENT_ROOM * largest > 4 * node.limit
    assert largest < node.limit


def test_who_labels_what() -> None:
    features, _ = people(shift=0)
    drawn = list(replays(features, "b", 3, "spread"))
    (first,) = replays(features, "b", 3, "first")
    for run in (*drawn, first):
        assert not set(run.labelled) & set(run.rest)
        assert (features.person[run.labelled] == "b").all()
        assert (features.person[run.rest] == "b").all()
        assert np.bincount(features.label[run.labelled]).tolist() == [3] * CLASSES
        assert (np.diff(run.labelled) > 0).all()
    assert len({run.labelled.tobytes() for run in drawn}) == len(drawn) > 1
    assert first.labelled[:3].tolist() == [60, 61, 62]
    assert first.rest[0] == 63 + GAP
    assert not list(replays(features, "b", 15, "spread"))


def test_a_chosen_learner_gains_on_validation_people() -> None:
    """Random weights: what is chosen is how to learn, and the trained decision stays as it was."""
    rng = np.random.default_rng(0)
    people_of = np.repeat(["a", "b", "c", "d", "e", "f"], 40)
    label = np.tile(np.repeat([0, 1], 20), 6)
    own = {name: rng.normal(0, 1, (2, 3)) for name in "abcdef"}
    level = np.stack([own[p][c] for p, c in zip(people_of, label, strict=True)])
    x = level[:, None] * 0.5 + rng.normal(0, 0.2, (240, 10, 3))
    program = random_program(1, 3, [6], 2, 12, 12)
    program = Program(
        program.nodes, program.input, 0.01, ("p", "q"), window=10, metadata={"units": ["g"] * 3}
    )
    data = from_arrays(
        x.astype(np.float32) * 200, label, channels=["x", "y", "z"], classes=("p", "q"),
        person=people_of,
    )  # fmt: skip
    split = {"train": ["a", "b"], "val": ["c", "d"], "test": ["e", "f"]}
    data = replace(data, people=split)
    adapted = with_learning(program, data, "prototypes")
    chosen = adapted.metadata["adapt"]
    assert chosen["learner"] == "prototypes" and chosen["val"]["3"] >= 0
    window = rng.integers(-2000, 2000, (2, 10, 3)).astype(np.int16)
    np.testing.assert_array_equal(adapted.run(window), program.run(window))
    with pytest.raises(CompressError, match="no learner 'dreams'"):
        with_learning(program, data, "dreams")
    with pytest.raises(CompressError, match="plain linear read-out"):
        with_learning(adapted, data, "head")


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(CompressError, match="--adapt-store 5: it needs --adapt head"):
        make_recipe({}, {"adapt-store": 5})
    with pytest.raises(CompressError, match="use either --adapt or --cutoff"):
        make_recipe({}, {"adapt": "head", "cutoff": 0.5})
    with pytest.raises(CompressError, match="there are prototypes, head, nlms"):
        make_recipe({}, {"adapt": "dreams"})
    assert parse_adapt("k=5,first") == AdaptOptions(5, "first")
    with pytest.raises(DeviceError, match="like k=3,spread"):
        parse_adapt("k=three")
    plain = random_program(1, 3, [6], 2, 12, 12)
    with pytest.raises(ProgramError, match="does not learn"):
        plain.learn(plain.initial_state(), 0)
    program = random_learner(1, "head", 5, 3)
    with pytest.raises(ProgramError, match=r"not in 0\.\.2"):
        program.learn(program.initial_state(), 3)
    blob = program.save_learned(program.initial_state())
    with pytest.raises(ProgramError, match="bytes, not"):
        program.load_learned(blob[:-1])
    with pytest.raises(ProgramError, match="damaged"):
        program.load_learned(bytes([blob[0] ^ 1]) + blob[1:])

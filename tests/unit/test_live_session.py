"""Unit tier: sessions and players of ``edgeflow live``, without a server or a browser.

They alone would catch steps that are lost, run twice or out of order, a state that is not reset or not brought
back after an error, and outputs that are not the program's.
"""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import edgeflow as ef
from edgeflow.apps import player as player_module
from edgeflow.apps.engine import Answer, Engine, Reference, Segment
from edgeflow.apps.live import data_of, find_model
from edgeflow.apps.player import Player
from edgeflow.apps.session import Batch, Session
from edgeflow.data import Dataset, Recording, sequences_of
from edgeflow.errors import AppError, DataError, DeviceError, ProgramError
from edgeflow.program import Program
from edgeflow.program.nodes.cutoff import Cutoff
from edgeflow.tasks import Forecast, OutputFormat
from tests.random_programs import random_program
from tests.recordings import write_recordings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    file = tmp_path_factory.mktemp("data") / "mine.csv"
    write_recordings(file)
    return ef.load_dataset(file, window=20)


@pytest.fixture(scope="module")
def windows(data: Dataset) -> Program:
    return ef.compress(nn.GRU(4, 3, batch_first=True), data)


@pytest.fixture(scope="module")
def stream(windows: Program) -> Program:
    return replace(windows, window=0, metadata={})


@pytest.fixture(scope="module")
def hopping(windows: Program) -> Program:
    return replace(windows, hop=5)


@pytest.fixture(scope="module")
def early(windows: Program) -> Program:
    return replace(windows, nodes=(*windows.nodes, cutoff_of(windows)))


def cutoff_of(program: Program) -> Cutoff:
    """An early exit at the third sample, whatever the lead."""
    return Cutoff("leave", program.outputs, threshold=0, start=3)


class Fragile(Engine):
    """A reference that fails now and then, and loses its state when it is opened again."""

    name, kind, costs_note = "fragile", "a board that breaks", ""

    def __init__(self, program: Program, failures: Sequence[int] = ()) -> None:
        self._real = Reference(program)
        self._failures = list(failures)
        self.calls = 0
        self.opened = 0
        self.wrong = False

    def open(self) -> None:
        self.opened += 1
        self._real.open()

    def steps(self, segments: Sequence[Segment]) -> Answer:
        self.calls += 1
        if self.calls in self._failures:
            self._real.steps([(segments[0][0][:1], segments[0][1])])  # the state is spoilt
            raise DeviceError("fragile: the port went away")
        answer = self._real.steps(segments)
        return replace(answer, y=answer.y + 1) if self.wrong else answer

    def learn(self, label: int) -> None:
        self._real.learn(label)

    def forget(self) -> None:
        self._real.forget()

    def load(self, blob: bytes) -> None:
        self._real.load(blob)

    def close(self) -> None:
        pass


def expected(program: Program, data: Dataset, person: str) -> list[np.ndarray]:
    only = replace(data, people={"train": [], "val": [], "test": [person]})
    found = sequences_of(only, "test", window=program.window, hop=program.hop)
    return found.run(lambda x: program.run(program.quantize_input(x)), 1)


def joined(batches: Sequence[Batch]) -> np.ndarray:
    return np.concatenate([one.y for one in batches])


@pytest.mark.parametrize("kind", ["windows", "stream", "hopping", "early"])
@pytest.mark.parametrize("engine", [Reference, Fragile])
def test_steps_are_the_programs_bit_for_bit_over_the_end_of_the_recordings(
    kind: str, engine: Any, data: Dataset, request: pytest.FixtureRequest
) -> None:
    program = request.getfixturevalue(kind)
    session = Session(program, data, engine(program))
    oracle = np.concatenate(expected(program, data, session.person))
    sizes = [1, 7, 20, 33, 2, 90, len(oracle)]
    batches = [session.advance(n) for n in sizes]
    got = joined(batches)
    assert (got == np.concatenate([oracle, oracle])[: len(got)]).all()
    assert [len(one) for one in batches] == sizes
    assert [one.first for one in batches] == np.cumsum([0, *sizes[:-1]]).tolist()
    assert batches[-1].mismatches == 0
    first = batches[0]
    assert (first.position[0], first.sequence[0]) == (0, 0)


def test_decisions_of_windows_are_those_of_predict(windows: Program, data: Dataset) -> None:
    session = Session(windows, data, Reference(windows))
    batch = session.advance(session.steps)
    message = json.loads(json.dumps(session.message(batch)))
    last = batch.position == batch.length - 1
    only = replace(data, people={"train": [], "val": [], "test": [session.person]})
    found = only.windows("test")
    names = np.array(windows.classes)[np.array(message["decision"])[last]]
    assert names.tolist() == windows.predict(found.x).tolist()
    assert np.array(message["truth"])[last].tolist() == found.y.tolist()
    assert len(message["x"]) == len(message["y"]) == len(message["confidence"]) == len(batch)


def test_an_early_exit_tells_when_it_decided(early: Program, data: Dataset) -> None:
    for engine in (Reference(early), Fragile(early)):
        session = Session(early, data, engine)
        batch = session.advance(40)
        held = batch.held.reshape(2, 20)
        assert not held[:, :2].any() and held[:, 2:].any()
        # once decided, it stays so until the window ends
        assert (np.diff(held.astype(int), axis=1) >= 0).all()


@pytest.mark.parametrize("kind", ["windows", "stream"])
def test_after_an_error_the_state_is_brought_back(
    kind: str, data: Dataset, request: pytest.FixtureRequest
) -> None:
    program = request.getfixturevalue(kind)
    engine = Fragile(program, failures=[2, 4, 5])
    session = Session(program, data, engine)
    oracle = np.concatenate(expected(program, data, session.person))
    batches, broken = [], False
    while sum(map(len, batches)) < 100:
        try:
            if broken:
                session.recover()
            broken = False
            batches.append(session.advance(13))
        except DeviceError:
            broken = True
    assert (joined(batches) == oracle[: 13 * len(batches)]).all()
    assert session.mismatches == 0 and engine.opened > 0


def test_other_outputs_than_the_references_are_counted(windows: Program, data: Dataset) -> None:
    engine = Fragile(windows)
    session = Session(windows, data, engine)
    assert session.advance(5).mismatches == 0
    engine.wrong = True
    assert session.advance(6).mismatches == 6
    assert session.advance(1).mismatches == 7


def test_only_test_subjects_are_offered_unless_one_is_named(
    windows: Program, data: Dataset
) -> None:
    session = Session(windows, data, Reference(windows))
    assert session.people == data.people["test"] and session.person == session.people[0]
    trained = data.people["train"][0]
    assert trained not in session.people
    named = Session(windows, data, Reference(windows), person=trained)
    assert named.person == trained and trained in named.people
    assert trained not in named.hello()["unseen"]
    with pytest.raises(DataError, match="has no subject 'nobody': choose one of p0"):
        Session(windows, data, Reference(windows), person="nobody")
    with pytest.raises(AppError, match="no subject"):
        session.choose(trained)
    alone = replace(data, people={"train": data.people["train"], "val": [], "test": []})
    with pytest.raises(DataError, match="no test subjects: name whose .* with --person"):
        Session(windows, alone, Reference(windows))


def test_the_hello_says_what_inputs_the_training_had(windows: Program, data: Dataset) -> None:
    hello = json.loads(json.dumps(Session(windows, data, Reference(windows)).hello()))
    train = np.concatenate([r.x for r in data.recordings if r.person in data.people["train"]])
    assert np.allclose(hello["training"]["mean"], train.mean(axis=0), rtol=1e-4)
    assert np.allclose(hello["training"]["std"], train.std(axis=0), rtol=1e-4)
    assert hello["window"] == 20 and hello["rate_hz"] == 20
    assert hello["classes"] == list(windows.classes)


def test_a_program_without_classes_shows_values(windows: Program, data: Dataset) -> None:
    program = replace(windows, classes=(), metadata={})
    session = Session(program, data, Reference(program))
    message = json.loads(json.dumps(session.message(session.advance(3))))
    assert message["confidence"] is None
    assert np.allclose(
        message["decision"], np.array(message["y"]) * program.output_scale, rtol=1e-4
    )
    assert session.hello()["labels"] == list(data.classes)


def test_values_have_names_units_and_what_was_recorded(windows: Program, data: Dataset) -> None:
    """Targets of a forecast go on with what only its scores need."""
    task = Forecast(series=("roll",), units=("deg",), steps=(1, 2), rate_hz=20.0)
    form = OutputFormat((5.0, -5.0), (0.5, 2.0), ("deg", "deg"))
    program = replace(
        random_program(0, 4, [5], 2, 12, 12), input=windows.input, rate_hz=20.0, output=form,
        metadata={"task": task.to_json()},
    )  # fmt: skip
    target = np.arange(60 * 5, dtype=np.float32).reshape(60, 5)
    one = Recording(np.zeros((60, 4), np.float32), None, data.people["test"][0], target=target)
    session = Session(program, replace(data, recordings=[one], target=task), Reference(program))
    hello = json.loads(json.dumps(session.hello()))
    assert hello["output_names"] == ["roll in 0.05 s", "roll in 0.1 s"]
    assert hello["output_units"] == ["deg", "deg"]
    message = json.loads(json.dumps(session.message(session.advance(3))))
    assert message["truth"] == [[0, 1], [5, 6], [10, 11]]
    real = form.times(program.output_scale).real(np.array(message["y"]))
    assert np.allclose(message["decision"], real, rtol=1e-4)


def test_samples_that_are_no_numbers_are_null(windows: Program, data: Dataset) -> None:
    x = np.full((20, 4), np.nan, np.float32)
    holed = replace(data, recordings=[Recording(x, 0, data.people["test"][0])])
    session = Session(windows, holed, Reference(windows))
    message = json.dumps(session.message(session.advance(1)), allow_nan=False)
    assert json.loads(message)["x"] == [[None] * 4]


# ---- the player


async def collect(player: Player, done: Any, seconds: float = 10.0) -> list[dict[str, Any]]:
    """Watch a player until `done` of the messages is true."""
    queue, found = player.watch(), []
    task = asyncio.create_task(player.run())
    try:
        async with asyncio.timeout(seconds):
            while not done(found):
                text = await queue.get()
                assert text is not None
                found.append(json.loads(text))
    finally:
        player.leave(queue)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        player.close()
    return found


def steps_in(messages: list[dict[str, Any]]) -> int:
    return sum(len(one["y"]) for one in messages if one["type"] == "steps")


def test_a_player_steps_in_order_and_a_hello_comes_first(windows: Program, data: Dataset) -> None:
    player = Player(Session(windows, data, Reference(windows)), speed=20)
    found = asyncio.run(collect(player, lambda m: steps_in(m) >= 200))
    assert [one["type"] for one in found[:2]] == ["hello", "state"]
    parts = [one for one in found if one["type"] == "steps"]
    oracle = np.concatenate(expected(windows, data, player.session.person))
    got = np.concatenate([one["y"] for one in parts])
    wanted = np.concatenate([oracle] * (len(got) // len(oracle) + 1))[: len(got)]
    assert (got == wanted).all()


def test_wishes_are_obeyed_and_wrong_ones_refused(windows: Program, data: Dataset) -> None:
    player = Player(Session(windows, data, Reference(windows)), speed=20)
    other = player.session.people[-1]

    def done(messages: list[dict[str, Any]]) -> bool:
        if messages[-1]["type"] == "steps" and player.session.number == 1:
            player.ask({"person": other, "speed": 10})
        states = [m for m in messages if m["type"] == "state"]
        return len(states) > 1 and messages[-1]["type"] == "steps"

    found = asyncio.run(collect(player, lambda m: bool(m) and done(m)))
    state = [one for one in found if one["type"] == "state"][-1]
    assert (state["person"], state["speed"], state["session"]) == (other, 10, 2)
    assert found[-1]["first"] == 0 and found[-1]["session"] == 2
    for wrong, message in [
        ({"speed": 21}, "choose 1 to 20"), ({"speed": "fast"}, "choose 1 to 20"),
        ({"speed": True}, "choose 1 to 20"), ({"speed": float("nan")}, "choose 1 to 20"),
        ({"person": "nobody"}, "no subject"), ({"person": ["x"]}, "no subject"),
        ({"paused": 1}, "true or false"), ({"restart": "yes"}, "true or false"),
    ]:  # fmt: skip
        with pytest.raises(AppError, match=message):
            player.ask(wrong)


def test_a_subject_with_too_short_recordings_is_refused(windows: Program, data: Dataset) -> None:
    first, short = "p0", "p1"
    cut = [replace(r, x=r.x[:5]) if r.person == short else r for r in data.recordings]
    holed = replace(data, recordings=cut)
    session = Session(windows, holed, Reference(windows), people=[first, short])
    player = Player(session, speed=20)

    def done(messages: list[dict[str, Any]]) -> bool:
        if steps_in(messages) and not any(one["type"] == "error" for one in messages):
            player.ask({"person": short})
        return bool(messages) and messages[-1]["type"] == "error"

    found = asyncio.run(collect(player, done))
    assert "shorter window" in found[-1]["text"]
    assert found[-2]["type"] == "state" and found[-2]["person"] == first


def test_a_lost_board_is_told_of_and_the_steps_go_on(
    windows: Program, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player_module, "RETRY", 0.01)
    player = Player(Session(windows, data, Fragile(windows, failures=[3, 4])), speed=20)
    found = asyncio.run(collect(player, lambda m: steps_in(m) >= 150))
    states = [one for one in found if one["type"] == "state"]
    assert [one["state"] for one in states][:3] == ["running", "lost", "running"]
    assert "the board fragile does not answer; trying again" in states[1]["text"]
    got = np.concatenate([one["y"] for one in found if one["type"] == "steps"])
    oracle = np.concatenate(expected(windows, data, player.session.person))
    assert (got[: len(oracle)] == oracle[: len(got)]).all()
    assert found[-1]["mismatches"] == 0


def test_nothing_is_stepped_while_nobody_watches(windows: Program, data: Dataset) -> None:
    player = Player(Session(windows, data, Reference(windows)), speed=20)

    async def wait() -> None:
        task = asyncio.create_task(player.run())
        await asyncio.sleep(0.2)
        assert player.session.done == 0
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        player.close()

    asyncio.run(wait())


def test_a_page_that_reads_nothing_is_given_up(
    windows: Program, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player_module, "QUEUE", 5)
    player = Player(Session(windows, data, Reference(windows)), speed=20)

    async def starve() -> list[str | None]:
        queue = player.watch()
        task = asyncio.create_task(player.run())
        async with asyncio.timeout(10):
            while queue.qsize() != 1:
                await asyncio.sleep(0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        player.close()
        return [queue.get_nowait() for _ in range(queue.qsize())]

    assert asyncio.run(starve()) == [None]


# ---- what is shown


def test_the_data_set_is_the_models_own_if_it_is_known(windows: Program) -> None:
    known = replace(windows, metadata={"data": "seglearn-watch"})
    assert data_of(known, None) == "seglearn-watch"
    assert data_of(known, "other.csv") == "other.csv"
    with pytest.raises(DataError, match="made with 'mine'.*with --data"):
        data_of(replace(windows, metadata={"data": "mine"}), None)
    with pytest.raises(DataError, match="does not say which data.*--data"):
        data_of(replace(windows, metadata={}), None)


def test_a_demos_folder_means_its_build(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="holds neither a program nor a build"):
        find_model(tmp_path)
    (tmp_path / "model.onnx").touch()
    assert find_model(tmp_path) == tmp_path / "model.onnx"
    for name in ("qemu-m4", "host"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "build.json").touch()
    assert find_model(tmp_path) == tmp_path / "model.onnx"  # which of them is not said
    (tmp_path / "host" / "build.json").unlink()
    assert find_model(tmp_path) == tmp_path / "qemu-m4"
    assert find_model(tmp_path / "qemu-m4") == tmp_path / "qemu-m4"

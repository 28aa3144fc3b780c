"""Unit tier: labels in live sessions: which window they are about, and a board that loses what it learned.

Alone catches a label of samples that no window ended with, and outputs that then differ from the reference's.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeflow as ef
from edgeflow.apps.engine import Engine, Reference
from edgeflow.apps.player import Player
from edgeflow.apps.session import Session
from edgeflow.data import Dataset, sequences_of
from edgeflow.errors import AppError, DeviceError
from edgeflow.program import Program
from tests.random_nodes.adaptive import random_learner, random_nlms
from tests.recordings import write_recordings
from tests.unit.test_live_session import Fragile

WINDOW = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    file = tmp_path_factory.mktemp("data") / "mine.csv"
    write_recordings(file)
    return ef.load_dataset(file, window=WINDOW)


def made_for(data: Dataset, program: Program) -> Program:
    """Return a random program that reads the channels of the data."""
    from dataclasses import replace

    names = tuple(data.channels)
    form = replace(program.input, channels=names)
    classes = tuple(data.classes) if program.learns else ()
    return replace(program, input=form, classes=classes, window=WINDOW if program.learns else 0)


@pytest.fixture(scope="module")
def learner(data: Dataset) -> Program:
    made = random_learner(3, "prototypes", 6, len(data.classes), inputs=len(data.channels))
    return made_for(data, made)


def windows(program: Program, data: Dataset, person: str) -> np.ndarray:
    only = sequences_of(data, "test", window=WINDOW)
    mine = [x for x, who in zip(only.x, only.person, strict=True) if who == person]
    return program.quantize_input(np.stack(mine))


@pytest.mark.parametrize("engine", [Reference, Fragile])
@pytest.mark.parametrize("position", [0, 7])
def test_a_label_is_of_the_window_that_ended_last(
    engine: type[Any], position: int, learner: Program, data: Dataset
) -> None:
    session = Session(learner, data, engine(learner))
    session.open()
    x = windows(learner, data, session.person)
    session.advance(2 * WINDOW + position)
    session.label(1)
    rest = session.advance(3 * WINDOW - position)
    state = learner.learn(learner.run_on(x[1][None])[1], 1)
    expected, _ = learner.run_on(x[2:5], learner.reset(state, 3))
    np.testing.assert_array_equal(rest.y, expected.reshape(-1, learner.outputs)[position:])
    trained = learner.run(x[2:5]).reshape(-1, learner.outputs)[position:]
    assert (rest.y != trained).any() and rest.mismatches == 0
    assert session.labels == [0, 1, *[0] * (learner.outputs - 2)]
    session.forget()
    assert not any(session.labels)
    session.restart()
    again = session.advance(2 * WINDOW)
    np.testing.assert_array_equal(again.y, learner.run(x[:2]).reshape(-1, learner.outputs))
    assert again.mismatches == 0


def test_a_board_that_was_lost_gets_back_what_it_learned(learner: Program, data: Dataset) -> None:
    board = Fragile(learner)
    session = Session(learner, data, board)
    session.open()
    session.advance(WINDOW + 5)
    session.label(2 % learner.outputs)
    board._failures = [board.calls + 1]
    with pytest.raises(DeviceError):
        session.advance(3)
    session.recover()
    batch = session.advance(2 * WINDOW)
    assert batch.mismatches == 0
    board._failures = [board.calls + 1]  # in the middle of a label
    with pytest.raises(DeviceError):
        session.label(0)
    session.recover()
    assert session.labels[0] == 0
    assert session.advance(WINDOW).mismatches == 0


def test_what_a_forecast_learned_by_itself_is_lost_on_both_sides(data: Dataset) -> None:
    program = made_for(data, random_nlms(1, 5, series=len(data.channels)))
    board = Fragile(program)
    session = Session(program, data, board)
    session.open()
    length = len(session._sequences.x[0])
    session.advance(length + 40)  # over a reset, which leaves what was learned
    assert session.mismatches == 0
    board._failures = [board.calls + 1]
    with pytest.raises(DeviceError):
        session.advance(3)
    session.recover()
    assert session.advance(length).mismatches == 0


def test_what_cannot_be_learned_is_refused(learner: Program, data: Dataset, tmp_path: Path) -> None:
    session = Session(learner, data, Reference(learner))
    assert session.hello()["learns"]
    session.advance(WINDOW - 1)
    with pytest.raises(AppError, match="no window has ended yet"):
        session.label(0)
    session.advance(1)
    with pytest.raises(AppError, match="no class 99 to learn"):
        session.label(99)
    plain = made_for(data, random_nlms(1, 5, series=len(data.channels)))
    other = Session(plain, data, Reference(plain))
    other.advance(WINDOW)
    assert not other.hello()["learns"]
    with pytest.raises(AppError, match="does not learn from labels"):
        other.label(0)


def test_a_player_takes_labels(learner: Program, data: Dataset) -> None:
    class Breaks(Fragile):
        def learn(self, label: int) -> None:
            if self.wrong:
                self.wrong = False
                raise DeviceError("fragile: the port went away")
            super().learn(label)

    async def play(board: Engine) -> list[dict[str, Any]]:
        player = Player(Session(learner, data, board), speed=20)
        await player.open()
        queue = player.watch()
        running = asyncio.create_task(player.run())
        found: list[dict[str, Any]] = []

        async def until(done: Any) -> None:
            async with asyncio.timeout(20):
                while not found or not done(found[-1]):
                    found.append(json.loads(await queue.get() or "{}"))

        await until(lambda m: m["type"] == "steps" and m["first"] > WINDOW)
        player.ask({"learn": 1})
        await until(lambda m: m.get("labels", [0, 0])[1] == 1)
        board.wrong = True  # type: ignore[attr-defined]
        player.ask({"learn": 0})
        await until(lambda m: m["type"] == "error")
        assert "label again" in found[-1]["text"]
        player.ask({"forget": True})
        await until(lambda m: m["type"] == "state" and not any(m["labels"]))
        player.ask({"learn": 99})
        await until(lambda m: m["type"] == "error" and "no class 99" in m["text"])
        with pytest.raises(AppError, match="the number of a class"):
            player.ask({"learn": "walking"})
        first = found[-1].get("first", 0)
        await until(lambda m: m["type"] == "steps" and m["first"] > first)
        assert found[-1]["mismatches"] == 0
        running.cancel()
        player.close()
        return found

    asyncio.run(play(Breaks(learner)))

"""Labels over the protocol: a board learns, forgets, saves and loads with the reference's bits.

Alone catches a frame of learning that the firmware reads or answers otherwise than the host.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.compression.adapt import with_descent
from edgeflow.device import open_board
from edgeflow.device.client import Client
from edgeflow.errors import ProgramError, ProtocolError
from edgeflow.program import Program
from edgeflow.targets.board import load_board
from tests.harness import BOARDS
from tests.learning import operations
from tests.random_nodes.adaptive import LEARNERS, random_learner


def wrong_on(client: Client, program: Program, seed: int, count: int) -> int:
    """Return the number of operations that a board answers otherwise than the reference."""
    bad = 0
    for (op, body), answer in operations(program, seed, count):
        found = b"\0"
        try:
            if op == "s":
                found = client.steps(np.frombuffer(body, np.int16)[None]).y.tobytes()
            elif op == "l":
                client.learn(int(np.frombuffer(body, np.uint16)[0]))
            elif op == "r":
                client.steps(np.empty((0, program.inputs), np.int16), reset=True)
            elif op == "f":
                client.forget()
            elif op == "w":
                found = client.save_learned()
            else:
                client.load_learned(body)
        except ProtocolError:
            found = b"\xff"
        bad += found != answer
    return bad


def boards_and_learners() -> list[object]:
    fast = ("host", "qemu-m4")
    return [
        pytest.param(b, k, marks=[] if b in fast else [pytest.mark.slow])
        for b in BOARDS
        for k in LEARNERS
    ]


@pytest.mark.board
@pytest.mark.parametrize("board,kind", boards_and_learners())
def test_a_board_learns_as_the_reference(board: str, kind: str, tmp_path: Path) -> None:
    program = random_learner(3, kind, 19, 4, inputs=5)
    build = compile_program(program, board, tmp_path)
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        assert wrong_on(client, program, 11, 300) == 0


@pytest.mark.board
def test_learned_rows_stop_at_their_limit_on_a_board(tmp_path: Path) -> None:
    """Alone catches a kernel that clips otherwise than the reference, at either end."""
    program = random_learner(4, "head", 19, 4, inputs=5, extreme=True)
    node = with_descent(
        "head", program.nodes[-1].matrices()["matrix"], 1e-6, keep=2, passes=60,
        rate=1.0,
    )  # fmt: skip
    program = replace(program, nodes=(*program.nodes[:-1], node))
    build = compile_program(program, "qemu-m4", tmp_path)
    state, rng = program.initial_state(), np.random.default_rng(0)
    with open_board(load_board("qemu-m4"), image=build.elf) as device:
        client = device.connect(program.hash)
        for label in (0, 1, 2, 3, 1, 0, 2, 3):
            x = rng.integers(-30000, 30000, (6, program.inputs)).astype(np.int16)
            client.steps(x, reset=True)
            client.learn(label)
            _, state = program.run_on(x[None], program.reset(state))
            state = program.learn(state, label)
            expected = program.run_on(x[None], program.reset(state))[0][0]
            np.testing.assert_array_equal(client.steps(x, reset=True).y, expected)
    rows = state[-1]["weights"]
    assert state[-1]["active"].all()
    assert rows.max() == node.limit
    assert rows.min() == -node.limit


@pytest.mark.board
def test_what_a_board_learned_is_a_state_of_the_program(tmp_path: Path) -> None:
    """And it goes from one board to another, but not to one with another program."""
    program, other = (random_learner(seed, "prototypes", 9, 3) for seed in (3, 4))
    x = np.random.default_rng(0).integers(-2000, 2000, (20, 3)).astype(np.int16)
    with open_board(
        load_board("host"), image=compile_program(program, "host", tmp_path / "a").elf
    ) as a:
        client = a.connect(program.hash)
        client.steps(x, reset=True)
        client.learn(2)
        blob = client.save_learned()
        learned = client.steps(x, reset=True).y
    state = program.load_learned(blob)
    np.testing.assert_array_equal(program.run_on(x[None], state)[0][0], learned)
    assert (learned != program.run(x[None])[0]).any()
    with pytest.raises(ProgramError, match=f"of the program {program.hash.hex()}"):
        other.load_learned(blob)
    with open_board(
        load_board("host"), image=compile_program(other, "host", tmp_path / "b").elf
    ) as b:
        client = b.connect(other.hash)
        with pytest.raises(ProtocolError, match="of another program"):
            client.load_learned(blob)
        np.testing.assert_array_equal(client.steps(x, reset=True).y, other.run(x[None])[0])

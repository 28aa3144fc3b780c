"""States that a reset sets to what training learned: the same in numpy, C, ONNX and compiled lanes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.errors import ExportError, ProgramError
from edgeflow.exporting.tflite import to_tflite
from edgeflow.program import Program
from edgeflow.program.onnx_file import OnnxProgram
from tests.random_programs import SANITIZE, random_program, samples, with_start

RunC = Callable[..., np.ndarray]
CELLS = ["gru", "slow_gru", "lstm", "wide_lstm", "rnn", "gru_reset_before"]


def started(seed: int, delta: bool = False) -> Program:
    return with_start(random_program(seed, 5, [13, 6] * 3, 4, 12, 12, False, CELLS, delta), seed)


@pytest.mark.parametrize("delta", [False, True], ids=["dense", "delta"])
def test_a_reset_gives_the_first_states(run_c: RunC, delta: bool) -> None:
    """C resets before each window; a first state that is lost shows in the first steps."""
    program = started(6, delta)
    x = samples(program, 5, windows=40, time=6)
    y = program.run(x)
    assert (y[:, 0] != replace(program, start={}).run(x)[:, 0]).any()
    np.testing.assert_array_equal(program.step_through(x, program.initial_state(len(x)))[0], y)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), y)
    np.testing.assert_array_equal(run_c(program, x, SANITIZE), y)


def test_a_file_keeps_them_and_the_hash_tells_them_apart(tmp_path: Path) -> None:
    program = started(7)
    program.save(tmp_path / "p.onnx")
    read = Program.load(tmp_path / "p.onnx")
    assert read == program and read.start == program.start
    x = samples(program, 5, windows=3, time=6)
    np.testing.assert_array_equal(OnnxProgram(tmp_path / "p.onnx").run(x), program.run(x))
    assert replace(program, start={}) != program


def test_starts_of_zeros_are_none() -> None:
    program = random_program(1, 3, [4], 2, 12, 12)
    assert replace(program, start={"gru0.h": (0, 0, 0, 0)}) == program


@pytest.mark.parametrize(
    "start,message",
    [
        ({"gru0.x": (1, 2, 3, 4)}, "there is no state 'gru0.x'"),
        ({"gru0.h": (1, 2, 3)}, "layer gru0: its first h must be 4 integers in -2047..2047"),
        ({"gru0.h": (1, 2, 3, 2048)}, "its first h must be 4 integers"),
        ({"gru0.h": (1, 2, 3, 0.5)}, "its first h must be 4 integers"),
    ],
)
def test_bad_starts_are_refused(start: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        replace(random_program(1, 3, [4], 2, 12, 12), start=start)


def test_litert_refuses_them() -> None:
    with pytest.raises(ExportError, match="learned states"):
        to_tflite(with_start(random_program(1, 3, [4], 2, 12, 12), 1))

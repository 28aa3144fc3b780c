"""Real recordings: the whole test split, and every board."""

from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.data import Dataset
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.program.onnx_file import OnnxProgram
from tests.harness import BOARDS, sisters_slow


@pytest.fixture(scope="module")
def program(trained_gru: Path) -> Program:
    return Program.load(trained_gru / "model.onnx")


def test_onnxruntime_on_the_whole_test_split(
    seglearn: Dataset, program: Program, trained_gru: Path
) -> None:
    windows = seglearn.windows("test")
    x = program.quantize_input(windows.x)
    assert x.shape[0] * x.shape[1] == 50_600
    y = OnnxProgram(trained_gru / "model.onnx").run(x)
    np.testing.assert_array_equal(y, program.run(x))


@pytest.mark.board
@pytest.mark.parametrize("board", sisters_slow(BOARDS))
def test_two_thousand_steps_on(
    board: str, seglearn: Dataset, program: Program, tmp_path: Path
) -> None:
    result = profile(compile_program(program, board, tmp_path), seglearn, steps=2000)
    assert result.steps == 2000
    assert result.mismatches == 0
    assert result.accuracy_device == result.accuracy_oracle

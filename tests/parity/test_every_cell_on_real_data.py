"""Every cell, trained on real recordings: oracle, onnxruntime and boards give the same bits."""

import functools
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeflow.cells import CELLS
from edgeflow.codegen.build import compile_program
from edgeflow.compression.evaluate import compress_model
from edgeflow.device import open_board
from edgeflow.program import Program
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.targets.board import load_board
from edgeflow.training import train
from tests.harness import BOARDS

if TYPE_CHECKING:
    from edgeflow.data import Dataset

QUICK = ["host", "qemu-m4"]
#: Not a multiple of 4, nor of 8.
HIDDEN = 19


@pytest.fixture(scope="module")
def program_of(
    seglearn: "Dataset", tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Program]:
    folder = tmp_path_factory.mktemp("cells")

    @functools.cache
    def make(cell: str) -> Program:
        train(seglearn, cell, out=folder / cell, hidden=HIDDEN, epochs=1, batch=256)
        return compress_model(folder / cell, seglearn).program

    return make


def windows(program: Program, seglearn: "Dataset", count: int) -> np.ndarray:
    """Return windows of test people, as integers, of all parts of the recordings."""
    x = seglearn.windows("test").x
    return program.quantize_input(x[np.linspace(0, len(x) - 1, count).astype(int)])


def mismatches(
    program: Program, x: np.ndarray, board: str, folder: Path, backend: str = "auto"
) -> int:
    build = compile_program(program, board, folder, backend=backend)
    expected = program.run(x)
    assert len(np.unique(expected)) > 20  # the model says something
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        y = np.stack([client.steps(window, reset=True).y for window in x])
    return int((y != expected).any(axis=2).sum())


@pytest.mark.parametrize("cell", CELLS)
def test_onnxruntime(cell: str, program_of: Callable[[str], Program], seglearn: "Dataset") -> None:
    program = program_of(cell)
    x = windows(program, seglearn, 12)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@pytest.mark.board
@pytest.mark.parametrize("board", QUICK)
@pytest.mark.parametrize("cell", CELLS)
def test_boards(
    cell: str,
    board: str,
    program_of: Callable[[str], Program],
    seglearn: "Dataset",
    tmp_path: Path,
) -> None:
    program = program_of(cell)
    assert mismatches(program, windows(program, seglearn, 4), board, tmp_path) == 0


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board", [board for board in BOARDS if board not in QUICK])
@pytest.mark.parametrize("cell", CELLS)
def test_all_boards(
    cell: str,
    board: str,
    program_of: Callable[[str], Program],
    seglearn: "Dataset",
    tmp_path: Path,
) -> None:
    program = program_of(cell)
    assert mismatches(program, windows(program, seglearn, 10), board, tmp_path) == 0


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.skipif(find_spec("tvm") is None, reason="apache-tvm is not installed")
@pytest.mark.parametrize("backend", ["c", "tvm"])
@pytest.mark.parametrize("board", [*QUICK, "qemu-m55", "qemu-rv32", "qemu-a53"])
@pytest.mark.parametrize("cell", CELLS)
def test_backends(
    cell: str,
    board: str,
    backend: str,
    program_of: Callable[[str], Program],
    seglearn: "Dataset",
    tmp_path: Path,
) -> None:
    program = program_of(cell)
    assert mismatches(program, windows(program, seglearn, 10), board, tmp_path, backend) == 0

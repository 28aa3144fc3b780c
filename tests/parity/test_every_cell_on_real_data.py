"""Every cell, trained on real recordings: oracle, onnxruntime, ideal arrays and boards give the same bits."""

import functools
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeflow.cells import CELLS
from edgeflow.codegen.build import compile_program
from edgeflow.compression.evaluate import compress_model
from edgeflow.data import load_dataset
from edgeflow.device import open_board
from edgeflow.imc import ArrayOptions, load_device
from edgeflow.imc.chip import Chip
from edgeflow.imc.ranges import placement
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


#: Arrays: whole, in tiles, in tiles of slices.
LAYOUTS = ({}, {"tile": "11x24"}, {"tile": "16x40", "cell_bits": 3})


def on_arrays(program: Program, **options: Any) -> Program:
    """Return a program on ideal arrays."""
    placed = placement(program, load_device("ideal"), ArrayOptions(**options), None)
    return Chip(placed, 0).at(86400.0)


@pytest.mark.parametrize("cell", CELLS)
def test_ideal_arrays(cell: str, program_of: Callable[[str], Program], seglearn: "Dataset") -> None:
    program = program_of(cell)
    x = windows(program, seglearn, 4)
    for options in LAYOUTS:
        np.testing.assert_array_equal(on_arrays(program, **options).run(x), program.run(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seglearn-watch", "wisdm-watch-hand"])
@pytest.mark.parametrize("cell", CELLS)
def test_ideal_arrays_on_50_000_steps(
    cell: str, name: str, program_of: Callable[[str], Program], tmp_path: Path
) -> None:
    data = load_dataset(name)
    program = program_of(cell)
    if data.name != "seglearn-watch":
        train(data, cell, out=tmp_path, hidden=HIDDEN, epochs=1, batch=512)
        program = compress_model(tmp_path, data).program
    windows = data.windows("test", length=program.window)
    x = program.quantize_input(windows.x[: -(-50_600 // program.window)])
    assert x.shape[0] * x.shape[1] >= 50_600
    right = program.run(x)
    for options in LAYOUTS:
        assert (on_arrays(program, **options).run(x) == right).all()


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

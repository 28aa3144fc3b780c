"""Code by TVM gives the oracle's bits, and the automatic choice takes the cheaper code."""

from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.bench.measure import run_program
from edgeflow.codegen.backends import kernel_sets
from edgeflow.codegen.build import compile_program
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import MATVEC_KERNELS
from edgeflow.codegen.schedules import load_schedules
from edgeflow.device import open_board
from edgeflow.errors import TargetError, ToolMissingError
from edgeflow.program import Program
from edgeflow.targets.board import load_board
from edgeflow.targets.core import load_core
from tests.parity.test_boards import PROGRAMS
from tests.random_nodes.matrices import with_delta, with_low_rank
from tests.random_programs import samples
from tests.unit.test_kernel_choice import program_of

BOARDS = ("host", "qemu-m4", "qemu-m55", "qemu-rv32", "qemu-a53")
CORES = ("m0", "m3", "m4", "m7", "m33", "m55", "rv32", "a53")
#: Of different kinds, and where each runs by default: every board has one, and every kind of kernel.
FEW = {
    "odd": ("qemu-m4", "qemu-rv32", "qemu-a53"),
    "gated": ("host", "qemu-m55"),
    "spiking_memory": ("qemu-m55",),  # it takes longest
    "convolution": ("host", "qemu-m4", "qemu-a53"),
}

pytestmark = [
    pytest.mark.board,
    pytest.mark.skipif(find_spec("tvm") is None, reason="apache-tvm is not installed"),
]


def mismatches(program: Program, board: str, folder: Path) -> int:
    build = compile_program(program, board, folder, backend="tvm")
    x = samples(program, 7, windows=4, time=30)
    assert set(build.tvm_layers) == {node.name for node in program.nodes if node.c_function}
    wrong = 0
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        for window, y in zip(x, program.run(x), strict=True):
            wrong += int((client.steps(window, reset=True).y != y).any(axis=1).sum())
    return wrong


@pytest.mark.parametrize(
    ("name", "board"),
    [
        pytest.param(name, board, marks=[] if board in boards else [pytest.mark.slow])
        for name, boards in FEW.items()
        for board in BOARDS
    ],
)
def test_programs_by_tvm(name: str, board: str, tmp_path: Path) -> None:
    assert mismatches(PROGRAMS[name], board, tmp_path) == 0


@pytest.mark.slow
@pytest.mark.parametrize("board", [f"qemu-{core}" for core in CORES])
@pytest.mark.parametrize("name", PROGRAMS)
def test_all_programs_by_tvm(name: str, board: str, tmp_path: Path) -> None:
    assert mismatches(PROGRAMS[name], board, tmp_path) == 0


@pytest.mark.parametrize("board", [pytest.param("host", marks=pytest.mark.slow), "qemu-m4"])
def test_delta_matrices_with_steps_by_tvm(board: str, tmp_path: Path) -> None:
    plain, rng = PROGRAMS["odd"], np.random.default_rng(3)
    program = replace(plain, nodes=tuple(with_delta(rng, node) for node in plain.nodes))
    assert any(node.delta_matrices() for node in program.nodes)
    assert mismatches(program, board, tmp_path) == 0


def test_delta_factors_with_steps_by_tvm(tmp_path: Path) -> None:
    """Alone catches a step that traces what a matrix of low rank holds as if it were an array."""
    rng = np.random.default_rng(4)
    nodes = [with_delta(rng, with_low_rank(rng, node)) for node in PROGRAMS["gated"].nodes]
    assert any(name.endswith("_factor") for node in nodes for name in node.delta_matrices())
    assert mismatches(replace(PROGRAMS["gated"], nodes=tuple(nodes)), "host", tmp_path) == 0


@pytest.mark.parametrize("core", CORES)
def test_every_kernel_and_layer_was_measured(core: str) -> None:
    spec = load_board(f"qemu-{core}").core
    assert spec.tvm is not None
    known = load_schedules(spec.name)
    assert known is not None and known.tvm == version("apache-tvm")
    kernels = {k.name for k in MATVEC_KERNELS if k.kernel_set in spec.tvm.kernels}
    assert set(known.kernels) == set(known.costs) == kernels
    assert {"GRU", "LSTM", "LMU", "LIF", "CfC", "Accumulate"} <= set(known.steps)


def test_auto_takes_what_costs_less() -> None:
    core = load_core("cortex-a53")
    few, many = (program_of(bench_matrix(192, cols, FORMATS["w8a12"])) for cols in (6, 64))
    (small,) = choose_kernels(few, core, backend="auto")
    (large,) = choose_kernels(many, core, backend="auto")
    assert small.kernel == "ef_matvec_8x1_s8_s16_tvm"
    assert large.kernel == "ef_matvec_s8_s16_neon"
    (compact,) = choose_kernels(few, core, backend="auto", optimize="size")
    assert compact.kernel == "ef_matvec_s8_s16_neon"


@pytest.mark.parametrize(
    "name,board",
    [pytest.param("odd", "qemu-a53", marks=pytest.mark.slow), ("lmu", "qemu-m55")],
)
def test_auto_is_not_slower_than_the_better(name: str, board: str, tmp_path: Path) -> None:
    program = PROGRAMS[name]
    x = samples(program, 7, windows=1, time=30)[0]
    counts = {}
    for backend in ("c", "tvm", "auto"):
        _, found, y = run_program(
            program, load_board(board), tmp_path / backend, x, backend=backend
        )
        np.testing.assert_array_equal(y, program.run(x[None])[0])
        counts[backend] = float(found.layers.sum(axis=1).mean())
    assert counts["auto"] <= 1.01 * min(counts["c"], counts["tvm"])


def test_kernels_asked_for_keep_the_steps_in_c(tmp_path: Path) -> None:
    build = compile_program(PROGRAMS["lmu"], "qemu-m55", tmp_path, kernel_sets=["c"])
    assert build.tvm_layers == ()


def test_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    board = load_board("qemu-m4")
    with pytest.raises(TargetError, match="--backend gcc: there are auto, c, tvm"):
        kernel_sets(board.core, "gcc")
    unknown = load_core("cortex-m4").model_copy(update={"tvm": None})
    with pytest.raises(TargetError, match="cortex-m4: TVM does not know this core"):
        kernel_sets(unknown, "tvm")
    assert kernel_sets(unknown, "auto") == unknown.kernels
    monkeypatch.setattr("edgeflow.codegen.backends.tvm.find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"pip install 'edgeflow\[tvm\]'"):
        kernel_sets(board.core, "tvm")
    build = compile_program(PROGRAMS["tiny"], board, tmp_path)
    assert not any("tvm" in kernel for kernel in build.kernels)

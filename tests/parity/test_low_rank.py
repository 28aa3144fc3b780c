"""Matrices of low rank: the same bits from oracle, onnxruntime, C, TVM and the boards."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.codegen.build import compile_program
from edgeflow.device import open_board
from edgeflow.errors import ProgramError
from edgeflow.program import Matrix, Program
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.targets.board import load_board
from tests.harness import BOARDS, sisters_slow
from tests.parity.test_delta import DELTA_CELLS
from tests.random_nodes.matrices import random_matrix, with_low_rank, within
from tests.random_programs import SANITIZE, random_program, samples

RunC = Callable[..., np.ndarray]
STACK = ["gru", "lmu", "cfc", "mixer"]
DRAWN = given(
    cell=st.sampled_from(DELTA_CELLS),
    seed=st.integers(0, 2**32 - 1),
    hidden=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    bits=st.sampled_from([8, 12, 16]),
    extreme=st.booleans(),
    delta=st.booleans(),
)


@cache
def stacked(delta: bool) -> Program:
    """One program for all boards, whose steps TVM translates once."""
    hidden = [13, 8, 11, 9] if delta else [6, 5, 7, 4]  # what TVM unrolls
    return low_rank(7, hidden, STACK, delta=delta)


def low_rank(
    seed: int, hidden: list[int], cells: list[str], bits: int = 12, extreme: bool = False,
    delta: bool = False,
) -> Program:  # fmt: skip
    return random_program(
        seed, 5, hidden, 3, bits, bits, extreme, cells, delta=delta, low_rank=True
    )


def test_a_product_is_that_of_the_factor_multiplied() -> None:
    plain = random_program(1, 9, [5], 4, 12, 12)
    node = with_low_rank(np.random.default_rng(0), plain.nodes[0])
    matrix = node.matrices()["input"]
    assert matrix.factor is not None
    x = np.clip(samples(plain, 1, windows=1, time=50)[0].astype(np.int64), -2047, 2047)
    inner = matrix.factor.apply(x)
    assert np.abs(inner).max() < 1 << matrix.input_bits - 1
    np.testing.assert_array_equal(matrix.apply(x), replace(matrix, factor=None).apply(inner))
    assert node.macs() == sum(m.rows * m.cols for m in node.products().values())
    assert list(node.products())[:2] == ["input_factor", "input"]


@settings(max_examples=30, deadline=None)
@DRAWN
def test_onnxruntime_equals_oracle(
    cell: str, seed: int, hidden: list[int], bits: int, extreme: bool, delta: bool
) -> None:
    program = low_rank(seed, hidden, [cell], bits, extreme, delta)
    x = samples(program, seed, windows=3, time=15)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@DRAWN
def test_c_equals_oracle(
    run_c: RunC, cell: str, seed: int, hidden: list[int], bits: int, extreme: bool, delta: bool
) -> None:
    program = low_rank(seed, hidden, [cell], bits, extreme, delta)
    x = samples(program, seed, windows=3, time=20)
    np.testing.assert_array_equal(run_c(program, x, kernels=["c"]), program.run(x))


@pytest.mark.parametrize("delta", [False, True])
def test_c_is_clean_under_sanitizers(run_c: RunC, delta: bool) -> None:
    for seed, cell in enumerate(DELTA_CELLS):
        program = low_rank(seed, [21, 6], [cell], 16, True, delta)
        x = samples(program, seed, windows=3, time=50)
        np.testing.assert_array_equal(run_c(program, x, SANITIZE, ["c"]), program.run(x))


@pytest.mark.board
@pytest.mark.parametrize(
    "board, backend",
    [
        *sisters_slow((board, "c") for board in BOARDS),
        ("qemu-m4", "tvm"),
        *(pytest.param(b, "tvm", marks=pytest.mark.slow) for b in ("host", "qemu-m55")),
    ],
)
def test_boards_equal_oracle(board: str, backend: str, tmp_path: Path) -> None:
    program = stacked(backend == "c")
    assert sum(m.factor is not None for n in program.nodes for m in n.matrices().values()) > 4
    build = compile_program(program, board, tmp_path, backend=backend)
    x = samples(program, 7, windows=3, time=12)
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        y = np.stack([client.steps(window, reset=True).y for window in x])
    np.testing.assert_array_equal(y, program.run(x))


def test_a_file_keeps_factors(tmp_path: Path) -> None:
    program = low_rank(3, [9, 8, 7, 6], STACK, delta=True)
    program.save(tmp_path / "model.onnx")
    loaded = Program.load(tmp_path / "model.onnx")
    assert loaded.hash == program.hash
    x = samples(program, 3, windows=2, time=9)
    np.testing.assert_array_equal(loaded.run(x), program.run(x))


def test_hashes_tell_factors_apart() -> None:
    program = random_program(5, 6, [13], 4, 12, 12)
    others = [
        replace(program, nodes=(with_low_rank(np.random.default_rng(s), program.nodes[0]),
                                program.nodes[1]))
        for s in (1, 2)
    ]  # fmt: skip
    assert len({p.hash for p in (program, *others)}) == 3


def test_refusals() -> None:
    ones = np.ones((2, 3), np.int8)
    unit = np.full(2, 1 << 30, np.int32)
    factor = Matrix(ones, np.zeros(2, np.int32), unit, 1, 12)
    square, bias = np.ones((4, 2), np.int8), np.zeros(4, np.int32)
    multiplier = np.full(4, 1 << 20, np.int32)
    left = Matrix(square, bias, multiplier, 1, 14, factor=factor)
    assert (left.inputs, left.x_bits) == (3, 12)
    with pytest.raises(ProgramError, match="row 0 of a factor can reach 3071, beyond the 12 bits"):
        replace(left, input_bits=12)
    with pytest.raises(ProgramError, match="a factor of 4 rows for 2 columns"):
        replace(left, factor=left)
    with pytest.raises(ProgramError, match="the one that has the threshold"):
        replace(left, threshold=3)
    program = random_program(5, 6, [13], 4, 12, 12, cells=["lif"])
    lif = program.nodes[0]
    matrix = lif.matrices()["input"]
    rng = np.random.default_rng(0)
    factor = within(random_matrix(rng, matrix.cols, matrix.cols, 12, False), matrix.input_bits)
    wrong = replace(lif, input=replace(matrix, factor=factor))
    with pytest.raises(ProgramError, match="lif0: its matrix input cannot be of low rank"):
        replace(program, nodes=(wrong, *program.nodes[1:]))

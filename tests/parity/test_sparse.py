"""Block-sparse kernels give the oracle's bits, whatever is zero."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.bench.kernels import bench_kernels
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import (
    MATVEC_KERNELS,
    MatvecKernel,
    choose_kernel,
    kernel_named,
    kernels_of,
)
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.program import Matrix, Program
from edgeflow.targets.board import load_board
from tests.harness import HOME, Case, lighter, linear, mismatches, none_of, short
from tests.parity.test_boards import LONG_STAIRCASE, STEPS
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import SANITIZE, random_program, samples

RunC = Callable[..., np.ndarray]
PLAIN = "ef_matvec_sparse_8x1_s8_s16"
SINGLE = "ef_matvec_sparse_1x1_s8_s16"


def widest(kernel: MatvecKernel) -> int:
    """Return the widest x that a kernel takes with weights of 6 bits."""
    ends = np.zeros(8, np.int32), np.ones(8, np.int32)
    matrices = [Matrix(np.full((8, 40), 31, np.int8), *ends, 1, bits) for bits in (16, 12, 8)]
    return next(matrix.input_bits for matrix in matrices if kernel.is_exact_for(matrix))


#: A board that runs each kernel, and the width of x there.
RUNS_ON = {
    kernel.name: (HOME[kernel.kernel_set], widest(kernel))
    for kernel in MATVEC_KERNELS
    if kernel.sparse and not kernel.delta
}
#: The kernels of each board.
ON_BOARD: dict[str, list[str]] = {}
for _name, (_board, _) in RUNS_ON.items():
    ON_BOARD.setdefault(_board, []).append(_name)
DENSITIES = (0.3, 0.0, 1.0, 0.08, 0.6)


def masked(matrix: Matrix, form: BlockFormat, density: float, seed: int = 0) -> Matrix:
    """Return the matrix with a share of its blocks, `density` on average, and zeros for others."""
    rng = np.random.default_rng(seed)
    stays = rng.random((-(-matrix.rows // form.rows), -(-matrix.cols // form.cols))) < density
    mask = np.kron(stays, np.ones((form.rows, form.cols), np.int8))
    weight = matrix.weight * mask[: matrix.rows, : matrix.cols]
    return dataclasses.replace(matrix, weight=weight.astype(np.int8))


def sparse(program: Program, form: BlockFormat) -> Program:
    """Return the program with matrices of one density after the other."""
    count = 0
    nodes = []
    for node in program.nodes:
        changed = {}
        for field, matrix in node.matrices().items():
            density = DENSITIES[count % len(DENSITIES)]
            changed[field] = masked(matrix, form, density, count)
            count += 1
        nodes.append(dataclasses.replace(node, **changed))
    return dataclasses.replace(program, nodes=tuple(nodes))


def reach(name: str) -> int:
    form = kernel_named(name).sparse
    assert form is not None
    return form.reach


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.integers(1, 40),
    cols=st.one_of(st.integers(1, 70), st.integers(500, 700)),
    bits=st.sampled_from([8, 12, 16]),
    density=st.sampled_from([0.0, 0.004, 0.1, 0.5, 1.0]),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.parametrize("name", [PLAIN, SINGLE])
def test_plain_c_equals_oracle(
    run_c: RunC, name: str, rows: int, cols: int, bits: int, density: float, extreme: bool,
    seed: int,
) -> None:  # fmt: skip
    form = kernel_named(name).sparse
    assert form is not None
    matrix = random_matrix(np.random.default_rng(seed), rows, cols, bits, extreme)
    program = linear(masked(matrix, form, density, seed))
    x = samples(program, seed, windows=1, time=12)
    y = run_c(program, x, SANITIZE, kernels=[name])
    np.testing.assert_array_equal(y, program.run(x))


def on_boards(wanted: Callable[[str], bool]) -> list[str]:
    return [board for board, names in ON_BOARD.items() if any(map(wanted, names))]


def remainders(name: str) -> Case:
    kernel, (board, bits) = kernel_named(name), RUNS_ON[name]
    assert kernel.sparse is not None
    steps = LONG_STAIRCASE if kernel.kernel_set == "mve" else STEPS
    if name == f"{SINGLE}_armv6m":
        steps = [size for size in steps if size <= 128]
    program = random_program(5, 2, steps, 10, bits, bits)
    program = sparse(lighter(program, 31), kernel.sparse)
    for node in program.nodes:
        for matrix in node.matrices().values():
            assert choose_kernel(matrix, [name]).name == name
    return short(program, name, *load_board(board).core.kernels)


@pytest.mark.board
@pytest.mark.parametrize("board", ON_BOARD)
def test_every_remainder(board: str, tmp_path: Path) -> None:
    """Rows, columns and numbers of blocks of every remainder; from no block to all of them."""
    cases = {name: remainders(name) for name in ON_BOARD[board]}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


def far_apart(name: str) -> Case:
    kernel = kernel_named(name)
    assert kernel.sparse is not None
    rng = np.random.default_rng(0)
    weight = np.zeros((19, 601), np.int8)
    for row, col in [(0, 0), (2, 600), (5, 300), (7, 427), (9, 130), (12, 255), (12, 511),
                     (17, 256), (18, 599)]:  # fmt: skip
        weight[row, col] = rng.integers(1, 100)
    stored = sum(len(numbers) for numbers in kernel.sparse.stored(linear_matrix(weight)))
    assert stored > 9
    x = rng.integers(-2047, 2048, (20, 601)).astype(np.int16)
    case = Case(linear(linear_matrix(weight)), [name], x[None])
    y = case.program.run(case.samples)[0]
    assert np.abs(y[:, [0, 2, 5, 7, 9, 12, 17, 18]]).min(axis=0).max() > 0
    return case


@pytest.mark.board
@pytest.mark.parametrize("board", on_boards(lambda name: reach(name) < 601))
def test_far_apart(board: str, tmp_path: Path) -> None:
    """Blocks that are farther apart than an offset reaches, and a first block that is far."""
    cases = {name: far_apart(name) for name in ON_BOARD[board] if reach(name) < 601}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


def single_weights(name: str) -> Case:
    kernel, (_, bits) = kernel_named(name), RUNS_ON[name]
    cols = 128 if name.endswith("armv6m") else 256
    rng = np.random.default_rng(0)
    counts = [*range(70), cols - 1, cols]
    weight = np.zeros((3 * len(counts), cols), np.int8)
    for row, count in enumerate(3 * counts):
        columns = cols - 1 - rng.permutation(cols)[:count]
        low = (-127, 1, -127)[row // len(counts)]
        high = (127, 127, -1)[row // len(counts)]
        weight[row, columns] = rng.integers(low, high, count, endpoint=True)
        weight[row, columns[:1]] = high
    bias = rng.integers(-(2**20), 2**20, len(weight)).astype(np.int32)
    # some rows saturate
    matrix = Matrix(weight, bias, np.full(len(weight), 1 << 23, np.int32), 1, bits)
    assert kernel.is_exact_for(matrix)
    x = rng.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1), (12, cols)).astype(np.int16)
    case = Case(linear(matrix), [name], x[None])
    assert (np.abs(case.program.run(case.samples)) < 32767).any(axis=1).all()
    return case


@pytest.mark.board
@pytest.mark.parametrize("board", on_boards(lambda name: name.startswith(SINGLE)))
def test_single_weights_in_any_number(board: str, tmp_path: Path) -> None:
    """A row of each number of weights, of both signs, of one; the last column is among them."""
    cases = {n: single_weights(n) for n in ON_BOARD[board] if n.startswith(SINGLE)}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


def linear_matrix(weight: np.ndarray) -> Matrix:
    rows = len(weight)
    return Matrix(weight, np.zeros(rows, np.int32), np.full(rows, 1 << 26, np.int32), 1, 12)


@pytest.mark.board
@pytest.mark.parametrize("board,form", [("qemu-m4", (4, 4)), ("qemu-m55", (8, 1))])
def test_chosen_kernels_give_the_bits(board: str, form: tuple[int, int], tmp_path: Path) -> None:
    program = random_program(8, 4, [33, 40], 7, 12, 12)
    program = sparse(lighter(program, 31), BlockFormat(*form))
    chosen = {choice.kernel for choice in choose_kernels(program, load_board(board).core)}
    assert any("sparse" in name for name in chosen)
    assert any("sparse" not in name for name in chosen)
    cases = {"chosen": Case(program, x=samples(program, 7, windows=3, time=20))}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board,form", [
    ("qemu-m0", "w8a16"), ("qemu-m3", "w8a12"), ("qemu-m4", "w4a8"), ("qemu-m7", "w8a12"),
    ("qemu-m33", "w8a16"), ("qemu-m55", "w8a8"), ("qemu-rv32", "w8a16"), ("qemu-a53", "w8a12"),
])  # fmt: skip
def test_random_shapes_and_densities(board: str, form: str) -> None:
    rng = np.random.default_rng(2)
    spec = load_board(board)
    shapes = [(int(c), int(r)) for c, r in rng.integers(1, 160, (4, 2))]
    names = [k.name for k in kernels_of(spec.core.kernels) if k.sparse and not k.delta]
    rows = bench_kernels(spec, shapes=shapes, formats=[form], kernels=names,
                         densities=[0.0, 0.1, 0.4, 0.9, 1.0])  # fmt: skip
    assert {row.kernel for row in rows} >= {PLAIN}
    assert not [row for row in rows if row.mismatches]

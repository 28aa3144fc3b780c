"""Block-sparse kernels give the oracle's bits, whatever is zero."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.bench.kernels import bench_kernels
from edgeflow.codegen.build import compile_program
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import MATVEC_KERNELS, choose_kernel, kernel_named
from edgeflow.codegen.packing.sparse import SparseFormat
from edgeflow.device import open_board
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.targets.board import load_board
from tests.parity.test_boards import LONG_STAIRCASE, STEPS, lighter, mismatches
from tests.random_programs import SANITIZE, random_matrix, random_program, samples

RunC = Callable[..., np.ndarray]
PLAIN = "ef_matvec_sparse_8x1_s8_s16"
#: A board that runs each kernel, and the widest x that it takes with any weights.
RUNS_ON = {PLAIN: ("host", 16)}
for _kernel in MATVEC_KERNELS:
    if _kernel.sparse and not _kernel.delta and _kernel.name != PLAIN:
        RUNS_ON[_kernel.name] = ("qemu-m55" if _kernel.kernel_set == "mve" else "qemu-m4", 12)
RUNS_ON["ef_matvec_sparse_8x1_s8_s8_mve"] = ("qemu-m55", 8)
RUNS_ON["ef_matvec_sparse_8x1_s8_s16_armv6m"] = ("qemu-m0", 16)
SINGLE = "ef_matvec_sparse_1x1_s8_s16"
RUNS_ON[SINGLE] = ("host", 16)
RUNS_ON[f"{SINGLE}_armv6m"] = ("qemu-m0", 16)
RUNS_ON[f"{SINGLE}_armv7m"] = ("qemu-m3", 16)
RUNS_ON[f"{SINGLE}_rv32"] = ("qemu-rv32", 16)
DENSITIES = (0.3, 0.0, 1.0, 0.08, 0.6)


def masked(matrix: Matrix, form: SparseFormat, density: float, seed: int = 0) -> Matrix:
    """Return the matrix with a share of its blocks, `density` on average, and zeros for others."""
    rng = np.random.default_rng(seed)
    stays = rng.random((-(-matrix.rows // form.rows), -(-matrix.cols // form.cols))) < density
    mask = np.kron(stays, np.ones((form.rows, form.cols), np.int8))
    weight = matrix.weight * mask[: matrix.rows, : matrix.cols]
    return dataclasses.replace(matrix, weight=weight.astype(np.int8))


def sparse(program: Program, form: SparseFormat) -> Program:
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


def linear(matrix: Matrix) -> Program:
    ones = np.ones(matrix.cols, np.float32)
    names = tuple(f"x{i}" for i in range(matrix.cols))
    return Program((Linear("head", matrix),), InputFormat(0 * ones, ones, matrix.input_bits, names),
                   1.0)  # fmt: skip


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


@pytest.mark.board
@pytest.mark.parametrize("name", RUNS_ON)
def test_every_remainder(name: str, tmp_path: Path) -> None:
    """Rows, columns and numbers of blocks of every remainder; from no block to all of them."""
    kernel, (board, bits) = kernel_named(name), RUNS_ON[name]
    assert kernel.sparse is not None
    steps = LONG_STAIRCASE if kernel.kernel_set == "mve" else STEPS
    if name == f"{SINGLE}_armv6m":
        steps = [size for size in steps if size <= 128]
    program = random_program(5, 2, steps, 10, bits, bits)
    program = sparse(lighter(program, 31), kernel.sparse)
    sets = [name, *load_board(board).core.kernels]
    for node in program.nodes:
        for matrix in node.matrices().values():
            assert choose_kernel(matrix, [name]).name == name
    assert mismatches(program, board, sets, tmp_path, time=10) == 0


@pytest.mark.board
@pytest.mark.parametrize("name", [n for n in RUNS_ON if reach(n) < 601])
def test_far_apart(name: str, tmp_path: Path) -> None:
    """Blocks that are farther apart than an offset reaches, and a first block that is far."""
    kernel, (board, _) = kernel_named(name), RUNS_ON[name]
    assert kernel.sparse is not None
    rng = np.random.default_rng(0)
    weight = np.zeros((19, 601), np.int8)
    for row, col in [(0, 0), (2, 600), (5, 300), (7, 427), (9, 130), (12, 255), (12, 511),
                     (17, 256), (18, 599)]:  # fmt: skip
        weight[row, col] = rng.integers(1, 100)
    stored = sum(len(numbers) for numbers in kernel.sparse.stored(linear_matrix(weight)))
    assert stored > 9
    program = linear(linear_matrix(weight))
    x = rng.integers(-2047, 2048, (20, 601)).astype(np.int16)
    build = compile_program(program, board, tmp_path, kernel_sets=[name])
    with open_board(load_board(board), image=build.elf) as device:
        y = device.connect(program.hash).steps(x, reset=True).y
    np.testing.assert_array_equal(y, program.run(x[None])[0])
    assert np.abs(y[:, [0, 2, 5, 7, 9, 12, 17, 18]]).min(axis=0).max() > 0


def linear_matrix(weight: np.ndarray) -> Matrix:
    rows = len(weight)
    return Matrix(weight, np.zeros(rows, np.int32), np.full(rows, 1 << 26, np.int32), 1, 12)


@pytest.mark.board
@pytest.mark.parametrize("name", [n for n in RUNS_ON if n.startswith(SINGLE)])
def test_single_weights_in_any_number(name: str, tmp_path: Path) -> None:
    """A row of each number of weights, of both signs, of one; the last column is among them."""
    kernel, (board, bits) = kernel_named(name), RUNS_ON[name]
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
    assert kernel.fits(matrix)
    program = linear(matrix)
    x = rng.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1), (12, cols)).astype(np.int16)
    build = compile_program(program, board, tmp_path, kernel_sets=[name])
    with open_board(load_board(board), image=build.elf) as device:
        y = device.connect(program.hash).steps(x, reset=True).y
    np.testing.assert_array_equal(y, program.run(x[None])[0])
    assert (np.abs(y) < 32767).any(axis=0).all()


@pytest.mark.board
@pytest.mark.parametrize("board,form", [("qemu-m4", (4, 4)), ("qemu-m55", (8, 1))])
def test_chosen_kernels_give_the_bits(board: str, form: tuple[int, int], tmp_path: Path) -> None:
    program = random_program(8, 4, [33, 40], 7, 12, 12)
    program = sparse(lighter(program, 31), SparseFormat(*form))
    chosen = {choice.kernel for choice in choose_kernels(program, load_board(board).core)}
    assert any("sparse" in name for name in chosen)
    assert any("sparse" not in name for name in chosen)
    build = compile_program(program, board, tmp_path)
    x = samples(program, 7, windows=3, time=20)
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        y = np.stack([client.steps(window, reset=True).y for window in x])
    np.testing.assert_array_equal(y, program.run(x))


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
    names = [k.name for s in spec.core.kernels for k in MATVEC_KERNELS
             if k.kernel_set == s and k.sparse and not k.delta]  # fmt: skip
    rows = bench_kernels(spec, shapes=shapes, formats=[form], kernels=names,
                         densities=[0.0, 0.1, 0.4, 0.9, 1.0])  # fmt: skip
    assert {row.kernel for row in rows} >= {PLAIN}
    assert not [row for row in rows if row.mismatches]

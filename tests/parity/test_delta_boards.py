"""Delta kernels of the cores give the oracle's bits: shapes, groups, thresholds, limits, streams."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import choose_kernel, kernel_named
from edgeflow.codegen.packing.sparse import SparseFormat
from edgeflow.device import open_board
from edgeflow.errors import TargetError
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes import Node
from edgeflow.targets.board import load_board
from tests.parity.test_boards import at_their_limits, lighter
from tests.parity.test_delta import DELTA_CELLS
from tests.parity.test_sparse import masked, sparse
from tests.random_programs import random_program, samples

DSP = [
    "ef_delta_matvec_s8_s16_dsp",
    "ef_delta_matvec_s16_s16_dsp",
    "ef_delta_matvec_pair_s8_s16_dsp",
    "ef_delta_matvec_pair_s16_s16_dsp",
]
#: Block-sparse too: a board that runs each, and groups that it takes.
SPARSE = {
    "ef_delta_matvec_sparse_4x1_s8_s16_dsp": ("qemu-m4", [1, 2, 3, 4, 5, 130]),
    "ef_delta_matvec_sparse_4x2_s8_s16_dsp": ("qemu-m4", [2, 4, 6, 130]),
    "ef_delta_matvec_sparse_8x1_s8_s16_mve": ("qemu-m55", [1, 2, 3, 4, 5, 8]),
    "ef_delta_matvec_sparse_8x1_s8_s16": ("qemu-m3", [1, 2, 3]),
}
BOARDS = [("qemu-m4", "dsp"), ("qemu-m7", "dsp"), ("qemu-m33", "dsp"), ("qemu-m55", "mve")]
# Every remainder of rows and columns, and more columns than a list holds, several times.
STEPS = [1, 6, 11, 16, 21, 26, 31, 37, 64, 75, 129]


def wrong_steps(
    program: Program, board: str, kernels: list[str], folder: Path, x: np.ndarray
) -> int:
    build = compile_program(program, board, folder, kernel_sets=kernels)
    expected = program.run(x)
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        y = np.stack([client.steps(window, reset=True).y for window in x])
    return int((y != expected).any(axis=2).sum())


def with_thresholds(program: Program, groups: list[int], seed: int = 0) -> Program:
    """Return the program with all matrices that may be as delta ones, of any threshold."""
    rng = np.random.default_rng(seed)

    def change(node: Node) -> Node:
        found = {}
        for field, matrix in node.matrices().items():
            if field in node.delta_sources:
                reach = largest_magnitude(matrix.input_bits)
                threshold = int(rng.choice([1, rng.integers(1, reach), rng.integers(1, 200)]))
                group = int(rng.choice(groups))
                found[field] = dataclasses.replace(matrix, threshold=threshold, group=group)
        return dataclasses.replace(node, **found)

    return dataclasses.replace(program, nodes=tuple(change(node) for node in program.nodes))


def linear(matrix: Matrix) -> Program:
    ones = np.ones(matrix.cols, np.float32)
    names = tuple(f"x{i}" for i in range(matrix.cols))
    form = InputFormat(0 * ones, ones, matrix.input_bits, names)
    return Program((Linear("head", matrix),), form, 1.0)


@pytest.mark.board
@pytest.mark.parametrize("board,kernels", BOARDS)
@pytest.mark.parametrize("extreme", [False, True])
def test_every_cell(board: str, kernels: str, extreme: bool, tmp_path: Path) -> None:
    half = (len(DELTA_CELLS) + 1) // 2
    for seed, cells in enumerate([DELTA_CELLS[:half], DELTA_CELLS[half:]]):
        program = random_program(
            seed, 5, [21, 6, 13, 9, 11][: len(cells)], 3, 12, 12, extreme, cells, delta=True
        )
        x = samples(program, seed, windows=4, time=40)
        assert wrong_steps(program, board, [kernels], tmp_path / str(seed), x) == 0


@pytest.mark.board
@pytest.mark.parametrize(
    "board,kernel,groups",
    [("qemu-m4", kernel, [1]) for kernel in DSP[:2]]
    + [("qemu-m4", kernel, [2, 3, 5, 130]) for kernel in DSP[:2]]
    + [("qemu-m4", kernel, [2]) for kernel in DSP[2:]]
    + [("qemu-m4", kernel, [4]) for kernel in DSP[2:]]
    + [("qemu-m4", kernel, [2, 4, 6, 130]) for kernel in DSP[2:]]
    + [("qemu-m55", "ef_delta_matvec_s8_s16_mve", groups) for groups in ([1, 2, 4, 8], [3, 5])],
)
def test_every_remainder(board: str, kernel: str, groups: list[int], tmp_path: Path) -> None:
    program = with_thresholds(lighter(random_program(5, 2, STEPS, 10, 12, 12), 31), groups)
    build = compile_program(program, board, tmp_path, kernel_sets=[kernel])
    assert [Path(name).stem for name in build.kernels if "matvec" in name] == [kernel]
    x = samples(program, 7, windows=6, time=25)
    x[3:, 1::2] = x[3:, :-1:2]  # x stands still every second step
    assert wrong_steps(program, board, [kernel], tmp_path, x) == 0


@pytest.mark.board
@pytest.mark.parametrize("kernel", SPARSE)
@pytest.mark.parametrize("alone", [True, False])
def test_every_remainder_of_blocks(kernel: str, alone: bool, tmp_path: Path) -> None:
    board, groups = SPARSE[kernel]
    form = kernel_named(kernel).sparse
    assert form is not None
    program = lighter(random_program(5, 2, STEPS, 10, 12, 12), 31)
    program = with_thresholds(sparse(program, form), groups[:1] if alone else groups)
    build = compile_program(program, board, tmp_path, kernel_sets=[kernel])
    assert [Path(name).stem for name in build.kernels if "matvec" in name] == [kernel]
    x = samples(program, 7, windows=6, time=25)
    x[3:, 1::2] = x[3:, :-1:2]  # x stands still every second step
    assert wrong_steps(program, board, [kernel], tmp_path, x) == 0


@pytest.mark.board
@pytest.mark.parametrize("kernel", SPARSE)
def test_blocks_far_apart(kernel: str, tmp_path: Path) -> None:
    """Offsets of sums that fill a halfword, more items than are unrolled, a column without any."""
    board, groups = SPARSE[kernel]
    rng = np.random.default_rng(0)
    rows, cols = 9001, 7
    weight = np.zeros((rows, cols), np.int8)
    stored = [[0, rows - 1], [], [4000, 8900], range(3, rows, 97), [rows - 1]]
    for column, places in enumerate(stored):
        weight[places, column] = rng.integers(1, 100, len(places))
    kept = np.flatnonzero(weight.any(axis=1))
    wide = dataclasses.replace(linear_matrix(weight), threshold=40, group=groups[0])
    read = np.zeros((3, rows), np.int8)
    read[np.arange(len(kept)) % 3, kept] = rng.choice([-1, 1], len(kept))
    narrow = dataclasses.replace(linear_matrix(read), input_bits=16)
    program = linear(wide)
    program = dataclasses.replace(program, nodes=(*program.nodes, Linear("read", narrow)))
    x = rng.integers(-2047, 2048, (1, 20, cols)).astype(np.int16)
    x[:, 1::2, 2:] = x[:, :-1:2, 2:]
    assert len(np.unique(program.run(x))) > 30
    kernels = [kernel, *load_board(board).core.kernels]
    assert wrong_steps(program, board, kernels, tmp_path, x) == 0


def linear_matrix(weight: np.ndarray) -> Matrix:
    rows = len(weight)
    return Matrix(weight, np.zeros(rows, np.int32), np.full(rows, 1 << 26, np.int32), 1, 12)


@pytest.mark.board
@pytest.mark.parametrize("board,kernel", [(b, DSP[1]) for b in ("qemu-m4",)] + [
    ("qemu-m7", DSP[0]), ("qemu-m33", DSP[2]), ("qemu-m4", DSP[3]),
    ("qemu-m33", "ef_delta_matvec_sparse_4x1_s8_s16_dsp"),
    ("qemu-m7", "ef_delta_matvec_sparse_4x2_s8_s16_dsp"),
    ("qemu-m55", "ef_delta_matvec_sparse_8x1_s8_s16_mve"),
    ("qemu-m0", "ef_delta_matvec_sparse_8x1_s8_s16"),
    ("qemu-m55", "ef_delta_matvec_s8_s16_mve"),
])  # fmt: skip
def test_sums_never_drift(board: str, kernel: str, tmp_path: Path) -> None:
    program = with_thresholds(lighter(random_program(3, 6, [22], 4, 12, 12), 31), [2], seed=3)
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.integers(-200, 201, (1, 500, 6)), axis=1)
    x = (np.abs((walk + 2047) % 8188 - 4094) - 2047).astype(np.int16)  # mirrored at the ends
    assert wrong_steps(program, board, [kernel], tmp_path, x) == 0


@pytest.mark.board
@pytest.mark.parametrize(
    "kernel", [*DSP, "ef_delta_matvec_s8_s16_mve", "ef_delta_matvec_s8_s16", *SPARSE]
)
def test_changes_around_the_threshold(kernel: str, tmp_path: Path) -> None:
    """One less, the threshold, one more, both signs, up to the largest change and beyond."""
    bits = 15 if "dsp" in kernel else 16
    largest = largest_magnitude(bits)
    group = 2 if "pair" in kernel or "4x2" in kernel else 1
    board = "qemu-m55" if "mve" in kernel else "qemu-m4"
    weight = np.array([[3, -5, 7, 11, -2], [1, 2, -3, 4, 9]], np.int8)
    for threshold in (2, largest, min(2 * largest, 65534), min(2 * largest + 1, 65535)):
        matrix = Matrix(
            weight, np.zeros(2, np.int32), np.full(2, 2**26, np.int32), 1, bits, threshold, group
        )
        steps = [0]
        for change in (threshold - 1, threshold, threshold + 1):
            for sign in (1, -1):
                # from the middle, and from one end to the other
                steps += [sign * change, 0, -sign * largest, -sign * largest + sign * change, 0]
        values = np.clip(steps, -largest, largest)
        columns = [values, -values, np.roll(values, 1), np.roll(values, 2), np.roll(values, 3)]
        x = np.clip(np.stack(columns, axis=1), -32768, 32767).astype(np.int16)[None]
        program = linear(matrix)
        assert wrong_steps(program, board, [kernel], tmp_path / str(threshold), x) == 0


@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m4", "qemu-m7", "qemu-m33"])
@pytest.mark.parametrize("kernel,bits,group", [
    (DSP[0], [30, 23], 1), (DSP[1], [30, 23], 1), (DSP[2], [23, 30], 2), (DSP[3], [30], 2),
    ("ef_delta_matvec_sparse_4x1_s8_s16_dsp", [23, 30], 1),
    ("ef_delta_matvec_sparse_4x2_s8_s16_dsp", [23, 30], 2),
])  # fmt: skip
def test_at_their_limit(
    board: str, kernel: str, bits: list[int], group: int, tmp_path: Path
) -> None:
    """Sums reach the bound that packing allows, or that of 32 bits, from either end at once."""
    matrix = dataclasses.replace(at_their_limits(127, 32, bits), threshold=1, group=group)
    assert choose_kernel(matrix, [kernel]).name == kernel
    if 23 in bits:
        more = np.resize(np.array(bits) == 23, 8).astype(np.int32)
        with pytest.raises(TargetError):
            choose_kernel(dataclasses.replace(matrix, bias=matrix.bias + more), [kernel])
    sign = np.sign(matrix.weight)
    x = np.stack([sign, -sign], axis=1).reshape(-1, 32).astype(np.int16) * 2047
    assert 16000 < np.abs(linear(matrix).run(x[None])).max() < 32767
    assert wrong_steps(linear(matrix), board, [kernel], tmp_path, x[None]) == 0


@pytest.mark.board
@pytest.mark.parametrize("bits,shift", [(12, 1), (16, 1), (16, 3)])
@pytest.mark.parametrize(
    "kernel", ["ef_delta_matvec_s8_s16_mve", "ef_delta_matvec_sparse_8x1_s8_s16_mve"]
)
def test_vectors_at_their_limit(kernel: str, bits: int, shift: int, tmp_path: Path) -> None:
    """Sums come within one of what `Matrix` allows, and multipliers as high as they go."""
    rng = np.random.default_rng(0)
    cols, largest = 52, largest_magnitude(bits)
    sign = rng.choice(np.array([-1, 1], np.int8), (21, cols))
    bound = ((2**31 - 1) >> shift) - 127 * cols * largest
    bias = rng.choice([-1, 1], 21) * bound
    multiplier = np.resize([2**31 - 1 >> shift - 1, 2**15, 2**14 + 1], 21)
    matrix = Matrix(
        127 * sign, bias.astype(np.int32), multiplier.astype(np.int32), shift, bits, 1, 1
    )
    x = np.stack([sign, -sign], axis=1).reshape(-1, cols).astype(np.int16) * min(largest, 32767)
    x[::5] += sign[0] < 0  # -32768 is clipped
    assert wrong_steps(linear(matrix), "qemu-m55", [kernel], tmp_path, x[None]) == 0


def test_kernels_refuse_what_they_cannot_do() -> None:
    matrix = dataclasses.replace(at_their_limits(127, 32, [23]), threshold=5, group=2)
    assert all(kernel_named(name).fits(matrix) for name in DSP)
    odd = dataclasses.replace(matrix, group=3)
    assert [kernel_named(name).fits(odd) for name in DSP] == [True, True, False, False]
    dense = dataclasses.replace(matrix, threshold=0, group=1)
    assert not any(kernel_named(name).fits(dense) for name in DSP)
    wide = dataclasses.replace(
        matrix, input_bits=16, weight=(matrix.weight // 100).astype(np.int8), bias=0 * matrix.bias
    )
    assert not any(kernel_named(name).fits(wide) for name in DSP)


def test_block_kernels_refuse_what_they_cannot_do() -> None:
    matrix = dataclasses.replace(at_their_limits(127, 32, [23]), threshold=5, group=2)
    assert [kernel_named(name).fits(matrix) for name in SPARSE] == [True] * 4
    odd = dataclasses.replace(matrix, group=3)
    assert [kernel_named(name).fits(odd) for name in SPARSE] == [True, False, True, True]
    dense = dataclasses.replace(matrix, threshold=0, group=1)
    assert not any(kernel_named(name).fits(dense) for name in SPARSE)
    for rows, fits in ((1 << 14, True), (1 + (1 << 14), False)):
        tall = dataclasses.replace(linear_matrix(np.ones((rows, 2), np.int8)), threshold=5, group=2)
        assert [kernel_named(name).fits(tall) for name in SPARSE] == [fits] * 3 + [True]


@pytest.mark.board
@pytest.mark.parametrize("board,block", [("qemu-m4", (4, 2)), ("qemu-m55", (8, 1))])
def test_chosen_kernels_give_the_bits(board: str, block: tuple[int, int], tmp_path: Path) -> None:
    program = random_program(8, 24, [32, 40], 7, 12, 12)
    program = with_thresholds(lighter(program, 31), [1, 2])
    form = SparseFormat(*block)
    nodes = [
        dataclasses.replace(n, **{f: masked(m, form, 0.2) for f, m in n.matrices().items()})
        for n in program.nodes
    ]
    shares = {f"{n.name}.{f}": 0.2 for n in nodes for f in n.delta_matrices()}
    program = dataclasses.replace(program, nodes=tuple(nodes), metadata={"fired": shares})
    chosen = {choice.kernel for choice in choose_kernels(program, load_board(board).core)}
    assert any(name.startswith("ef_delta_matvec_sparse") for name in chosen)
    x = samples(program, 7, windows=3, time=20)
    build = compile_program(program, board, tmp_path)
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        y = np.stack([client.steps(window, reset=True).y for window in x])
    np.testing.assert_array_equal(y, program.run(x))


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board,kernels", BOARDS)
def test_random_architectures(board: str, kernels: str, tmp_path: Path) -> None:
    for seed in range(12):
        rng = np.random.default_rng([seed, 1])
        cells = [str(cell) for cell in rng.choice(DELTA_CELLS, 3)]
        hidden = [int(size) for size in rng.integers(1, 81, rng.integers(1, 4))]
        bits = int(rng.choice([8, 12, 15, 16]))
        program = random_program(
            seed, int(rng.integers(1, 21)), hidden, 5, bits, max(8, bits), bool(rng.integers(2)),
            cells, delta=True,
        )  # fmt: skip
        program = program if seed % 2 else with_thresholds(program, [1, 2, 3, 4, 5], seed)
        x = samples(program, seed, windows=3, time=30)
        assert wrong_steps(program, board, [kernels], tmp_path / str(seed), x) == 0, seed

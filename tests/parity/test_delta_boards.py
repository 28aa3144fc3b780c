"""Delta kernels of the cores give the oracle's bits: shapes, groups, thresholds, limits, streams."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import KERNEL_SETS, choose_kernel, kernel_named
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.errors import TargetError
from edgeflow.program import Linear, Matrix, Program
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes import Node
from edgeflow.targets.board import load_board
from tests.harness import BOARD_SETS, Case, lighter, linear, mismatches, none_of, sisters_slow
from tests.parity.test_boards import at_their_limits
from tests.parity.test_delta import DELTA_CELLS
from tests.parity.test_sparse import linear_matrix, masked, sparse
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
#: Sets with delta kernels of their own.
DELTA_SETS = [name for name, ks in KERNEL_SETS.items() if name != "c" and any(k.delta for k in ks)]
# Every remainder of rows and columns, and more columns than a list holds, several times.
STEPS = [1, 6, 11, 16, 21, 26, 31, 37, 64, 75, 129]


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


def standing(x: np.ndarray) -> np.ndarray:
    """Return samples of which, in the later half of the windows, every second one stands still."""
    x[3:, 1::2] = x[3:, :-1:2]
    return x


@pytest.mark.board
@pytest.mark.parametrize("board,kernels", sisters_slow(p for p in BOARD_SETS if p[1] in DELTA_SETS))
def test_every_cell(board: str, kernels: str, tmp_path: Path) -> None:
    half = (len(DELTA_CELLS) + 1) // 2
    cases = {}
    for seed, cells in enumerate([DELTA_CELLS[:half], DELTA_CELLS[half:]]):
        for extreme in (False, True):
            program = random_program(
                seed, 5, [21, 6, 13, 9, 11][: len(cells)], 3, 12, 12, extreme, cells, delta=True
            )
            x = samples(program, seed, windows=4, time=40)
            cases[f"{seed} {extreme}"] = Case(program, [kernels], x)
    assert mismatches(board, cases, tmp_path) == none_of(cases)


@pytest.mark.board
@pytest.mark.parametrize(
    "board,kernels", sisters_slow(p for p in BOARD_SETS if p[1] in (*DELTA_SETS, "c"))
)
def test_a_change_of_just_the_threshold_updates(board: str, kernels: str, tmp_path: Path) -> None:
    """Steps of one less, of just as much and of one more, for each kernel that holds x.

    Alone sees the comparison of every kernel, dense ones behind `ef_hold_matvec` included,
    whatever is drawn elsewhere.
    """
    weight = np.random.default_rng(0).integers(-127, 128, (8, 12)).astype(np.int8)
    matrix = dataclasses.replace(linear_matrix(weight), threshold=5)
    steps = np.tile([4, 1, 5, -5, 6, -4, -2, 5], 5)
    x = np.repeat(np.cumsum(steps)[None, :, None], 12, axis=2).astype(np.int16)
    cases = {
        f"{kernel.name} {group}": Case(linear(grouped), [kernel.name], x)
        for group in (1, 2)
        for kernel in KERNEL_SETS[kernels]
        if kernel.is_exact_for(grouped := dataclasses.replace(matrix, group=group))
    }
    assert mismatches(board, cases, tmp_path) == none_of(cases)


#: Groups that each kernel is drawn with.
GROUPS: dict[str, list[tuple[str, list[int]]]] = {
    "qemu-m4": [
        *((kernel, groups) for kernel in DSP[:2] for groups in ([1], [2, 3, 5, 130])),
        *((kernel, groups) for kernel in DSP[2:] for groups in ([2], [4], [2, 4, 6, 130])),
    ],
    "qemu-m55": [("ef_delta_matvec_s8_s16_mve", groups) for groups in ([1, 2, 4, 8], [3, 5])],
}
for _kernel, (_board, _groups) in SPARSE.items():
    GROUPS.setdefault(_board, []).extend([(_kernel, _groups[:1]), (_kernel, _groups)])


@pytest.mark.board
@pytest.mark.parametrize("board", GROUPS)
def test_every_remainder(board: str, tmp_path: Path) -> None:
    """Of rows, columns, groups and, of block-sparse kernels, blocks."""
    cases = {}
    for kernel, groups in GROUPS[board]:
        program = lighter(random_program(5, 2, STEPS, 10, 12, 12), 31)
        form = kernel_named(kernel).sparse
        program = with_thresholds(sparse(program, form) if form else program, groups)
        for node in program.nodes:
            assert {choose_kernel(m, [kernel]).name for m in node.matrices().values()} == {kernel}
        x = standing(samples(program, 7, windows=6, time=25))
        cases[f"{kernel} {groups}"] = Case(program, [kernel], x)
    assert mismatches(board, cases, tmp_path) == none_of(cases)


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
    cases = {kernel: Case(program, [kernel, *load_board(board).core.kernels], x)}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


DRIFT = {
    "qemu-m0": ["ef_delta_matvec_sparse_8x1_s8_s16"],
    "qemu-m4": [DSP[1], DSP[3]],
    "qemu-m7": [DSP[0], "ef_delta_matvec_sparse_4x2_s8_s16_dsp"],
    "qemu-m33": [DSP[2], "ef_delta_matvec_sparse_4x1_s8_s16_dsp"],
    "qemu-m55": ["ef_delta_matvec_sparse_8x1_s8_s16_mve", "ef_delta_matvec_s8_s16_mve"],
}


@pytest.mark.board
@pytest.mark.parametrize("board", DRIFT)
def test_sums_never_drift(board: str, tmp_path: Path) -> None:
    program = with_thresholds(lighter(random_program(3, 6, [22], 4, 12, 12), 31), [2], seed=3)
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.integers(-200, 201, (1, 500, 6)), axis=1)
    x = (np.abs((walk + 2047) % 8188 - 4094) - 2047).astype(np.int16)  # mirrored at the ends
    cases = {kernel: Case(program, [kernel], x) for kernel in DRIFT[board]}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


def around(kernel: str, threshold: int) -> Case:
    """Return a case of changes by one less, the threshold, and one more, of both signs."""
    bits = 15 if "dsp" in kernel else 16
    largest = largest_magnitude(bits)
    group = 2 if "pair" in kernel or "4x2" in kernel else 1
    threshold = min(threshold, 2 * largest + 1, 65535)
    weight = np.array([[3, -5, 7, 11, -2], [1, 2, -3, 4, 9]], np.int8)
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
    return Case(linear(matrix), [kernel], x)


@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m4", "qemu-m55"])
def test_changes_around_the_threshold(board: str, tmp_path: Path) -> None:
    """Up to the largest change and beyond."""
    cases = {}
    for kernel in [*DSP, "ef_delta_matvec_s8_s16_mve", "ef_delta_matvec_s8_s16", *SPARSE]:
        if ("mve" in kernel) == (board == "qemu-m55"):
            largest = largest_magnitude(15 if "dsp" in kernel else 16)
            for threshold in (2, largest, min(2 * largest, 65534), 2 * largest + 1):
                cases[f"{kernel} {threshold}"] = around(kernel, threshold)
    assert mismatches(board, cases, tmp_path) == none_of(cases)


DSP_LIMITS = [
    (DSP[0], [30, 23], 1), (DSP[1], [30, 23], 1), (DSP[2], [23, 30], 2), (DSP[3], [30], 2),
    ("ef_delta_matvec_sparse_4x1_s8_s16_dsp", [23, 30], 1),
    ("ef_delta_matvec_sparse_4x2_s8_s16_dsp", [23, 30], 2),
]  # fmt: skip


@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m4", "qemu-m7", "qemu-m33"])
def test_at_their_limit(board: str, tmp_path: Path) -> None:
    """Sums reach the bound that packing allows, or that of 32 bits, from either end at once."""
    cases = {}
    for kernel, bits, group in DSP_LIMITS:
        matrix = dataclasses.replace(at_their_limits(127, 32, bits), threshold=1, group=group)
        assert choose_kernel(matrix, [kernel]).name == kernel
        if 23 in bits:
            more = np.resize(np.array(bits) == 23, 8).astype(np.int32)
            with pytest.raises(TargetError):
                choose_kernel(dataclasses.replace(matrix, bias=matrix.bias + more), [kernel])
        sign = np.sign(matrix.weight)
        x = np.stack([sign, -sign], axis=1).reshape(-1, 32).astype(np.int16) * 2047
        assert 16000 < np.abs(linear(matrix).run(x[None])).max() < 32767
        cases[kernel] = Case(linear(matrix), [kernel], x[None])
    assert mismatches(board, cases, tmp_path) == none_of(cases)


@pytest.mark.board
def test_vectors_at_their_limit(tmp_path: Path) -> None:
    """Sums come within one of what `Matrix` allows, and multipliers as high as they go."""
    cases = {}
    for kernel in ("ef_delta_matvec_s8_s16_mve", "ef_delta_matvec_sparse_8x1_s8_s16_mve"):
        for bits, shift in ((12, 1), (16, 1), (16, 3)):
            rng = np.random.default_rng(0)
            cols, largest = 52, largest_magnitude(bits)
            sign = rng.choice(np.array([-1, 1], np.int8), (21, cols))
            bound = ((2**31 - 1) >> shift) - 127 * cols * largest
            bias = (rng.choice([-1, 1], 21) * bound).astype(np.int32)
            multiplier = np.resize([2**31 - 1 >> shift - 1, 2**15, 2**14 + 1], 21).astype(np.int32)
            matrix = Matrix(127 * sign, bias, multiplier, shift, bits, 1, 1)
            x = np.stack([sign, -sign], axis=1).reshape(-1, cols).astype(np.int16)
            x *= np.int16(min(largest, 32767))
            x[::5] += sign[0] < 0  # -32768 is clipped
            cases[f"{kernel} {bits} {shift}"] = Case(linear(matrix), [kernel], x[None])
    assert mismatches("qemu-m55", cases, tmp_path) == none_of(cases)


def test_kernels_refuse_what_they_cannot_do() -> None:
    matrix = dataclasses.replace(at_their_limits(127, 32, [23]), threshold=5, group=2)
    assert all(kernel_named(name).is_exact_for(matrix) for name in DSP)
    odd = dataclasses.replace(matrix, group=3)
    assert [kernel_named(name).is_exact_for(odd) for name in DSP] == [True, True, False, False]
    dense = dataclasses.replace(matrix, threshold=0, group=1)
    assert not any(kernel_named(name).is_exact_for(dense) for name in DSP)
    wide = dataclasses.replace(
        matrix, input_bits=16, weight=(matrix.weight // 100).astype(np.int8), bias=0 * matrix.bias
    )
    assert not any(kernel_named(name).is_exact_for(wide) for name in DSP)


def test_block_kernels_refuse_what_they_cannot_do() -> None:
    matrix = dataclasses.replace(at_their_limits(127, 32, [23]), threshold=5, group=2)
    assert [kernel_named(name).is_exact_for(matrix) for name in SPARSE] == [True] * 4
    odd = dataclasses.replace(matrix, group=3)
    assert [kernel_named(name).is_exact_for(odd) for name in SPARSE] == [True, False, True, True]
    dense = dataclasses.replace(matrix, threshold=0, group=1)
    assert not any(kernel_named(name).is_exact_for(dense) for name in SPARSE)
    for rows, fits in ((1 << 14, True), (1 + (1 << 14), False)):
        tall = dataclasses.replace(linear_matrix(np.ones((rows, 2), np.int8)), threshold=5, group=2)
        assert [kernel_named(name).is_exact_for(tall) for name in SPARSE] == [fits] * 3 + [True]


@pytest.mark.board
@pytest.mark.parametrize("board,block", [("qemu-m4", (4, 2)), ("qemu-m55", (8, 1))])
def test_chosen_kernels_give_the_bits(board: str, block: tuple[int, int], tmp_path: Path) -> None:
    program = random_program(8, 24, [32, 40], 7, 12, 12)
    program = with_thresholds(lighter(program, 31), [1, 2])
    form = BlockFormat(*block)
    nodes = [
        dataclasses.replace(n, **{f: masked(m, form, 0.2) for f, m in n.matrices().items()})
        for n in program.nodes
    ]
    shares = {f"{n.name}.{f}": 0.2 for n in nodes for f in n.delta_matrices()}
    program = dataclasses.replace(program, nodes=tuple(nodes), metadata={"fired": shares})
    chosen = {choice.kernel for choice in choose_kernels(program, load_board(board).core)}
    assert any(name.startswith("ef_delta_matvec_sparse") for name in chosen)
    x = samples(program, 7, windows=3, time=20)
    cases = {"chosen": Case(program, x=x)}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board,kernels", [p for p in BOARD_SETS if p[1] in DELTA_SETS])
def test_random_architectures(board: str, kernels: str, tmp_path: Path) -> None:
    cases = {}
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
        cases[f"{seed}"] = Case(program, [kernels], x)
    assert mismatches(board, cases, tmp_path) == none_of(cases)

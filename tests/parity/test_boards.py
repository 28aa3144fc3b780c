"""Every board gives the reference's bits, with each kernel set that its core has.

One image a board and kernel set holds all programs (``tests/harness.py``).
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgeflow.bench.kernels import bench_kernels
from edgeflow.codegen.build import compile_program
from edgeflow.codegen.kernels import choose_kernel, kernels_of
from edgeflow.device import open_board
from edgeflow.errors import TargetError
from edgeflow.program import Matrix, Program
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes import Cutoff
from edgeflow.recipes.sketch import sketch
from edgeflow.targets.board import load_board
from tests.harness import (
    BOARD_SETS,
    BOARDS,
    HOME,
    Case,
    lighter,
    linear,
    mismatches,
    none_of,
    run_on,
    short,
    sisters_slow,
    takes,
)
from tests.random_nodes.adaptive import random_nlms
from tests.random_nodes.draw import DRAW, PLAIN
from tests.random_programs import random_graph, random_program, samples, with_start

CONVOLUTION = ["taps", "gru", "norm", "relu", "taps", "mixer", "gru"]
RATES = ["taps", "decimate", "gru", "moving_max", "decimate", "lstm"]
FRONT = ["magnitude", "biquad", "gravity", "difference"]


def stacked() -> Program:
    """Return a GRU that reads three samples a step, with early exit: both leave out steps."""
    program = sketch("gru", 5, 4, hidden=19, window=24, front="stack:3")
    return program.then(Cutoff("cutoff", program.outputs, threshold=1200, start=7))


# Sizes that are not multiples of 4, a narrow and a full-width state, parameters at the limits.
PROGRAMS = {
    "odd": random_program(1, 6, [31, 17], 7, 12, 12),
    "extreme": random_program(3, 3, [22], 9, 12, 8, extreme=True),
    "lmu": random_program(23, 6, [9, 14, 5], 7, 12, 12, cells=["lmu"]),
    "gated": random_program(40, 5, [19, 7, 6], 4, 12, 12, cells=["lstm", "mingru", "minlstm"]),
    "simple": random_program(
        486, 5, [19, 7, 6], 4, 12, 12, cells=["rnn", "gru_reset_before", "rnn"]
    ),
    "slow": random_program(12, 5, [19, 7], 4, 12, 12, cells=["slow_gru", "wide_lstm"]),
    "liquid": random_program(23, 5, [23, 9, 14, 11], 6, 12, 12, cells=["cfc", "ltc"]),
    "spiking": random_program(20, 5, [35, 23, 1], 6, 12, 12, cells=["lif", "lif", "sum"]),
    "convolution": random_program(64, 5, [1, 9, 1, 1, 1, 21, 7], 4, 12, 12, cells=CONVOLUTION),
    "spiking_memory": random_program(9, 5, [19, 21, 7], 4, 12, 12, cells=["l2mu"]),
    "graph": random_graph(24, 5, [16, 16, 8, 8], 3, 12, 12, cells=["gru", "relu", "lstm"]),
    "attention": random_program(
        3, 5, [19, 1, 7, 1], 4, 12, 12, cells=["gru", "attention_pool", "relu", "attention_pool"]
    ),
    "started": with_start(
        random_program(31, 5, [19, 7, 9], 4, 12, 12, cells=["gru", "lstm", "slow_gru"]), 1
    ),
    "rates": random_program(8, 5, [1, 1, 9, 1, 1, 7], 4, 12, 12, cells=RATES),
    "stacked": stacked(),
    "front": random_program(7, 6, [1] * 4, 5, 16, 12, cells=FRONT),
    "sound": random_program(6, 37, [1], 5, 16, 12, cells=["log_mel"]),
    "wide": random_program(2, 5, [13], 3, 16, 16),
    "tiny": random_program(4, 1, [1], 1, 8, 16),
    "lmu_extreme": random_program(1, 6, [9, 14, 5], 7, 12, 12, extreme=True, cells=["lmu"]),
    "spiking_recurrent": random_program(
        169, 5, [35, 23, 1], 6, 12, 12, cells=["lif", "lif", "sum"]
    ),
    **{cell: random_program(11, 5, [19, 7], 4, 12, 12, cells=[cell]) for cell in PLAIN},
}


#: Sets of the cores' own kernels, and plain C, which boards of one compiler share.
TUNED_SETS = [pair for pair in BOARD_SETS if pair[1] != "c"]
PLAIN_SETS = [pair for pair in BOARD_SETS if pair[1] == "c"]
MORE = ("wide", "tiny", "lmu_extreme", "spiking_recurrent")


@pytest.mark.board
@pytest.mark.parametrize("board,kernels", [*sisters_slow(PLAIN_SETS), *TUNED_SETS])
def test_board_equals_oracle(board: str, kernels: str, tmp_path: Path) -> None:
    cases = {n: Case(program, [kernels]) for n, program in PROGRAMS.items() if n not in MORE}
    # one window: what it learned outlasts a reset
    program = random_nlms(2, 9)
    x = samples(program, 7, windows=1, time=160)
    cases["nlms"] = Case(program, [kernels], x)
    assert mismatches(board, cases, tmp_path) == none_of(cases)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board,kernels", BOARD_SETS)
def test_board_equals_oracle_on_more(board: str, kernels: str, tmp_path: Path) -> None:
    cases = {name: Case(PROGRAMS[name], [kernels]) for name in MORE}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


# Every remainder of rows and columns that the unrolled kernels enter differently, and more columns
# than they unroll, in whole and other multiples.
STEPS = [1, 6, 11, 16, 21, 26, 31, 36, 37, 64, 68, 75, 129, 134]
STAIRCASE = lighter(random_program(5, 2, STEPS, 10, 12, 12), 31)
WIDE_STAIRCASE = lighter(random_program(5, 2, [*STEPS[:-1], 134, 200], 10, 12, 12), 63)
FLAT_STAIRCASE = lighter(random_program(5, 2, STEPS[:-2], 10, 12, 12), 5)
NARROW_STAIRCASE = random_program(5, 3, [1, 2, 3, 4, 5, 6, 7, 8], 10, 12, 12)


@pytest.mark.board
def test_dsp_kernels_at_every_remainder(tmp_path: Path) -> None:
    programs = {
        "ef_matvec_pair_s8_s16_dsp": STAIRCASE,
        "ef_matvec_wide_s8_s16_dsp": WIDE_STAIRCASE,
        "ef_matvec_s8_s16_dsp": STAIRCASE,
        "ef_matvec_s16_s16_dsp": STAIRCASE,
        "ef_matvec_chain_s4_s16_dsp": FLAT_STAIRCASE,
        "ef_matvec_s4_s16_dsp": FLAT_STAIRCASE,
        "ef_matvec_wide_s4_s16_dsp": FLAT_STAIRCASE,
        "ef_matvec_s4_s16": FLAT_STAIRCASE,
        "ef_matvec_narrow_s16_s16_dsp": NARROW_STAIRCASE,
    }
    cases = {kernel: short(program, kernel) for kernel, program in programs.items()}
    assert mismatches("qemu-m4", cases, tmp_path) == none_of(cases)


def at_their_limits(weight: int, cols: int, bits: list[int], shift: int = 1) -> Matrix:
    """Return 8 rows whose accumulators reach ``2**bits - 1``, bits by the row's place in a group.

    Results come close to the ends of int16, not over them.
    """
    sign = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (8, cols))
    limits = np.resize(bits, 8)
    bias = 2**limits - 1 - weight * cols * 2047
    assert bias.min() >= 0
    multiplier = 2 ** (46 - limits - shift)
    return Matrix(weight * sign, bias.astype(np.int32), multiplier.astype(np.int32), shift, 12)


def in_parts(cols: int) -> Matrix:
    """Return 8 rows whose sums over each 64 columns come next to 2**23."""
    sign = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (8, cols))
    multiplier = np.full(8, (28000 << 31) // (64 * cols * 2047), np.int32)
    return Matrix(64 * sign, np.zeros(8, np.int32), multiplier, 1, 12)


DSP_LIMITS = [
    ("ef_matvec_pair_s8_s16_dsp", at_their_limits(127, 32, [23, 30])),
    ("ef_matvec_wide_s8_s16_dsp", at_their_limits(127, 32, [23, 30])),
    ("ef_matvec_s8_s16_dsp", at_their_limits(127, 77, [30])),
    ("ef_matvec_s16_s16_dsp", at_their_limits(127, 77, [30])),
    ("ef_matvec_narrow_s16_s16_dsp", at_their_limits(127, 8, [30])),
    ("ef_matvec_chain_s4_s16_dsp", at_their_limits(7, 36, [19, 22, 19, 19])),
    ("ef_matvec_chain_s4_s16_dsp", at_their_limits(7, 36, [19, 22, 19, 19], shift=4)),
    ("ef_matvec_s4_s16_dsp", at_their_limits(7, 36, [19, 23, 27, 30])),
    ("ef_matvec_s4_s16_dsp", at_their_limits(7, 36, [19, 23, 27, 26], shift=4)),
    ("ef_matvec_wide_s4_s16_dsp", at_their_limits(7, 77, [30])),
    ("ef_matvec_wide_s4_s16_dsp", at_their_limits(7, 76, [27], shift=4)),
    ("ef_matvec_sparse_4x4_pair_s8_s16_dsp", at_their_limits(127, 32, [23, 30])),
    ("ef_matvec_sparse_4x2_pair_s8_s16_dsp", at_their_limits(127, 32, [23, 30])),
    ("ef_matvec_sparse_4x1_pair_s8_s16_dsp", at_their_limits(127, 32, [23, 30])),
    ("ef_matvec_sparse_4x4_s8_s16_dsp", at_their_limits(127, 77, [30])),
    ("ef_matvec_sparse_4x4_s16_s16_dsp", at_their_limits(127, 77, [30])),
    ("ef_matvec_sparse_1x1_s8_s16_dsp", at_their_limits(127, 77, [30])),
    ("ef_matvec_sparse_1x1_s16_s16_dsp", at_their_limits(127, 77, [30])),
]


@pytest.mark.board
@pytest.mark.parametrize("board", sisters_slow(["qemu-m4", "qemu-m7", "qemu-m33"]))
def test_dsp_kernels_at_their_limit(board: str, tmp_path: Path) -> None:
    """Accumulators reach the bound that packing allows, or that of 32 bits."""
    cases = {}
    for kernel, matrix in DSP_LIMITS:
        assert choose_kernel(matrix, [kernel]).name == kernel
        if matrix.accumulator_bound().min() < 2**23:
            more = np.array([1, 0, 0, 0] * 2, np.int32)
            with pytest.raises(TargetError):
                choose_kernel(dataclasses.replace(matrix, bias=matrix.bias + more), [kernel])
        sign = np.sign(matrix.weight)
        x = np.concatenate([sign, -sign]).astype(np.int16) * 2047
        case = Case(linear(matrix), [kernel], x[None])
        # nothing hides in saturation
        assert 16000 < np.abs(case.program.run(case.samples)).max() < 32767
        cases[f"{kernel} {matrix.shift}"] = case
    assert len(cases) == len(DSP_LIMITS)
    for cols in (128, 200, 512):
        matrix = in_parts(cols)
        kernel = choose_kernel(matrix, ["dsp"]).name
        assert kernel == "ef_matvec_wide_s8_s16_dsp"
        for row in (0, 1):  # the second row of a pair may be larger
            larger = matrix.weight.copy()
            larger[row, -1] = 127
            same = choose_kernel(dataclasses.replace(matrix, weight=larger), ["dsp"]).name == kernel
            assert same == (row == 1)
        sign = np.sign(matrix.weight)
        x = np.concatenate([sign, -sign]).astype(np.int16) * 2047
        cases[f"{kernel}, {cols} columns"] = Case(linear(matrix), [kernel], x[None])
    assert mismatches(board, cases, tmp_path) == none_of(cases)


@pytest.mark.board
def test_columns_at_every_remainder(tmp_path: Path) -> None:
    """Inputs of both signs in the first layer, and spikes of neurons in odd numbers."""
    program = random_program(0, 19, [17, 22, 27, 32, 37, 300], 10, 2, 12, cells=["lif"])
    assert {node.ints()["reset"] for node in program.nodes[:-1]} == {0, 1, 2}
    assert {len(node.states) for node in program.nodes[:-1]} == {2, 3}
    assert takes("ef_add_columns_s8", program) and takes("ef_add_columns_s8_dsp", program)
    x = samples(program, 7, windows=8, time=20)
    cases = {kernels: Case(program, [kernels], x) for kernels in ("c", "dsp")}
    assert mismatches("qemu-m4", cases, tmp_path) == none_of(cases)


@pytest.mark.board
def test_columns_at_their_limit(tmp_path: Path) -> None:
    """Sums of rows fill 16 bits, which is what lanes hold."""
    cols, kernel = 258, "ef_add_columns_s8_dsp"
    weight = np.full((16, cols), 127, np.int8)
    weight[::2] *= -1
    matrix = Matrix(weight, np.arange(16, dtype=np.int32), np.full(16, 2**30, np.int32), 1, 2)
    assert choose_kernel(matrix, ["dsp"]).name == kernel
    wider = np.concatenate([weight, weight[:, :1]], axis=1)
    assert choose_kernel(dataclasses.replace(matrix, weight=wider), ["dsp"]).name != kernel
    x = np.tri(cols + 1, cols, -1, dtype=np.int16)  # none, one, ..., all
    cases = {f"{sign}": Case(linear(matrix), [kernel], sign * x[None]) for sign in (-1, 1)}
    assert mismatches("qemu-m4", cases, tmp_path) == none_of(cases)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize(
    "board,form",
    [("qemu-m4", "w8a12"), ("qemu-m4", "w4a8"), ("qemu-m7", "w8a16"), ("qemu-m33", "w4a12")],
)
def test_kernels_on_random_shapes(board: str, form: str) -> None:
    rng = np.random.default_rng(0)
    shapes = [(int(c), int(r)) for c, r in rng.integers(1, 160, (8, 2))]
    rows = bench_kernels(load_board(board), shapes=shapes, formats=[form])
    assert {row.kernel for row in rows} >= {"ef_matvec_s8_s16_dsp", "ef_matvec_s8_s16"}
    assert not [row for row in rows if row.mismatches]


# Every remainder of rows and columns by 16, up to more blocks than a loop unrolls.
LONG_STAIRCASE = [1, 6, 11, 17, 20, 31, 35, 42, 52, 63, 77, 88, 101, 118]
MVE = [
    ("ef_matvec_s8_s8_mve", 8),
    ("ef_matvec_shift_s8_s8_mve", 8),
    ("ef_matvec_split_s8_s16_mve", 12),
    ("ef_matvec_split_s8_s16_mve", 16),
    ("ef_matvec_s8_s16_mve", 16),
    ("ef_matvec_shift_s8_s16_mve", 12),
    ("ef_matvec_s4_s8_mve", 8),
    ("ef_matvec_split_s4_s16_mve", 12),
    ("ef_matvec_split_s4_s16_mve", 16),
]


@pytest.mark.board
def test_mve_kernels_at_every_remainder(tmp_path: Path) -> None:
    cases = {}
    for kernel, bits in MVE:
        program = random_program(5, 2, LONG_STAIRCASE, 10, bits, bits)
        if "s4" in kernel:
            program = lighter(program, 7)
        else:
            matrices = [m for n in program.nodes for m in n.matrices().values()]
            assert {m.rows % 8 for m in matrices} == set(range(8))
        assert takes(kernel, program)
        cases[f"{kernel} {bits}"] = short(program, kernel, "mve")
    assert mismatches("qemu-m55", cases, tmp_path) == none_of(cases)


MVE_LIMITS = [
    ("ef_matvec_s8_s8_mve", 8, 1), ("ef_matvec_shift_s8_s8_mve", 8, 3),
    ("ef_matvec_split_s8_s16_mve", 12, 1), ("ef_matvec_split_s8_s16_mve", 16, 1),
    ("ef_matvec_split_s8_s16_mve", 16, 3),
    ("ef_matvec_s8_s16_mve", 16, 1), ("ef_matvec_shift_s8_s16_mve", 16, 3),
    ("ef_matvec_sparse_8x1_s8_s8_mve", 8, 1), ("ef_matvec_sparse_8x1_s8_s16_mve", 16, 1),
    ("ef_matvec_sparse_8x1_s8_s16_mve", 16, 3),
    ("ef_matvec_sparse_1x1_s8_s16_mve", 16, 1), ("ef_matvec_sparse_1x1_s8_s16_mve", 16, 3),
    ("ef_matvec_s4_s8_mve", 8, 1), ("ef_matvec_s4_s8_mve", 8, 7),
    ("ef_matvec_split_s4_s16_mve", 12, 1), ("ef_matvec_split_s4_s16_mve", 16, 3),
]  # fmt: skip


def mve_limit(kernel: str, bits: int, shift: int) -> Case:
    """Return a case whose accumulators come within one of what is allowed."""
    rng = np.random.default_rng(0)
    cols, largest = 52, largest_magnitude(bits)
    sign = rng.choice(np.array([-1, 1], np.int8), (21, cols))
    weight, most, steepest = 127, (2**31 - 1) >> shift, 2**31 - 1 >> shift - 1
    if "s4" in kernel:  # 27 bits, and any ratio
        weight, most, steepest = 7, min(most, 2**27 - 1), 2**31 - 1
    bound = most - weight * cols * largest
    assert bound > 0
    bias = rng.choice([-1, 1], 21) * bound
    # what saturates, what does not, and what rounds most
    small = 2 ** (46 - shift) // (most + 1)
    multiplier = np.resize([steepest, small, small // 2 + 1], 21)
    matrix = Matrix(weight * sign, bias.astype(np.int32), multiplier.astype(np.int32), shift, bits)
    if most == 2**27 - 1:
        over = dataclasses.replace(matrix, bias=matrix.bias + np.sign(matrix.bias))
        with pytest.raises(TargetError):
            choose_kernel(over, [kernel])
    x = np.concatenate([sign, -sign]).astype(np.int16) * min(largest, 32767)
    x[::5] += sign[0] < 0  # -32768 is clipped
    program = linear(matrix)
    expected = program.run(x[:, None])[:, 0]
    assert 16000 < np.abs(expected[:, 1::3]).max() < 32767  # nothing hides in saturation
    assert (np.abs(expected[:, ::3]) >= 32767).any()
    return Case(program, [kernel], x[None])


@pytest.mark.board
def test_mve_kernels_at_their_limit(tmp_path: Path) -> None:
    """Accumulators at their bound, and multipliers as high as they go."""
    cases = {f"{limit}": mve_limit(*limit) for limit in MVE_LIMITS}
    assert mismatches("qemu-m55", cases, tmp_path) == none_of(cases)


NIBBLE_PAIRS = ["armv6m", "armv7m", "rv32"]


@pytest.mark.board
@pytest.mark.parametrize("kernels", NIBBLE_PAIRS)
def test_pairs_of_nibbles_at_their_limit(kernels: str, tmp_path: Path) -> None:
    """Sums of two rows fill the halfwords of an accumulator, columns and rows of any remainder."""
    kernel, cases = f"ef_matvec_pair_s4_s16_{kernels}", {}
    for rows, cols, shift in ((1, 1, 1), (3, 6, 15), (5, 2, 1), (13, 35, 6), (16, 36, 4)):
        rng = np.random.default_rng(cols)
        sign = rng.choice(np.array([-1, 1], np.int8), (rows, cols))
        bias = rng.choice([-1, 1], rows) * (2**15 - 1 - 7 * cols * 127)
        multiplier = np.resize([2**31 - 1, 2 ** (31 - shift), 2 ** (30 - shift) + 1], rows)
        matrix = Matrix(7 * sign, bias.astype(np.int32), multiplier.astype(np.int32), shift, 8)
        assert choose_kernel(matrix, [kernels]).name == kernel
        over = dataclasses.replace(matrix, bias=matrix.bias + np.sign(matrix.bias))
        assert choose_kernel(over, [kernels]).name != kernel
        x = np.concatenate([sign, -sign, rng.integers(-127, 128, (6, cols))]).astype(np.int16)
        x[: 2 * rows] *= 127
        cases[f"{rows} x {cols}"] = Case(linear(matrix), [kernel], x[None])
    assert mismatches(HOME[kernels], cases, tmp_path) == none_of(cases)


# Without SIMD, and AArch64: groups of 8 rows, any activations. Of the first set of each core, and
# on the smallest one the block-sparse kernels in C.
_WIDE = Matrix(np.full((8, 64), 127, np.int8), np.zeros(8, np.int32), np.ones(8, np.int32), 1, 16)
EIGHTS = {
    board: [k.name for k in kernels_of(sets[:1]) if k.is_exact_for(_WIDE)]
    for board, sets in ((board, load_board(board).core.kernels) for board in BOARDS)
    if sets[0] not in ("c", "dsp", "mve")
}
EIGHTS[HOME["armv6m"]] += [k.name for k in kernels_of(["c"]) if k.sparse and not k.delta]


@pytest.mark.board
@pytest.mark.parametrize("board", EIGHTS)
def test_rows_of_eight_at_every_remainder(board: str, tmp_path: Path) -> None:
    """Columns of every remainder by 8, and rows."""
    sizes = [1, 2, 3, 4, 5, 6, 7, 8, 22, 9, 40, 13, 11, 31, 30, 67]
    cases = {}
    for kernel in EIGHTS[board]:
        for bits in (12, 16):
            program = random_program(5, 3, sizes, 10, bits, bits, cells=["mingru", "gru"])
            matrices = [m for n in program.nodes for m in n.matrices().values()]
            assert {m.rows % 8 for m in matrices} == set(range(8))
            assert takes(kernel, program)
            cases[f"{kernel} {bits}"] = short(program, kernel)
    assert mismatches(board, cases, tmp_path) == none_of(cases)


# Every remainder by 16 of columns, and, three times as many, of rows.
DOT_STAIRCASE = [1, 18, 35, 52, 5, 22, 39, 8, 9, 26, 11, 12, 29, 14, 31, 48]


@pytest.mark.board
def test_dot_kernels_at_every_remainder(tmp_path: Path) -> None:
    cases = {}
    for kernel, bits in [
        ("ef_matvec_s8_s8_neon_dot", 8),
        ("ef_matvec_s8_s16_neon_dot", 8),
        ("ef_matvec_s8_s16_neon_dot", 12),
        ("ef_matvec_s8_s16_neon_dot", 16),
    ]:
        program = random_program(5, 3, DOT_STAIRCASE, 10, bits, bits)
        matrices = [m for n in program.nodes for m in n.matrices().values()]
        assert {m.rows % 16 for m in matrices} == {m.cols % 16 for m in matrices} == set(range(16))
        cases[f"{kernel} {bits}"] = short(program, kernel)
    assert mismatches("qemu-a55", cases, tmp_path) == none_of(cases)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board,kernel", [(b, k) for b, ks in EIGHTS.items() for k in ks])
@pytest.mark.parametrize("form", ["w8a8", "w8a12", "w8a16"])
def test_rows_of_eight_on_random_shapes(board: str, kernel: str, form: str) -> None:
    rng = np.random.default_rng(1)
    # one of the kernels takes 128 columns at most, and is measured on those of its shapes
    shapes = [(int(c), int(r)) for c, r in rng.integers(1, 160, (10, 2))]
    rows = bench_kernels(load_board(board), shapes=shapes, formats=[form], kernels=[kernel])
    assert len(rows) >= 6
    assert {(row.kernel, row.mismatches) for row in rows} == {(kernel, 0)}


def eights_limit(kernel: str, bits: int, shift: int) -> Case:
    """Return a case whose accumulators come within one of what `Matrix` allows."""
    rng = np.random.default_rng(0)
    rows, cols, largest = 45, 51, largest_magnitude(bits)
    sign = rng.choice(np.array([-1, 1], np.int8), (rows, cols))
    sign[0] = 1  # the largest sum of x, too
    bound = ((2**31 - 1) >> shift) - 127 * cols * largest
    bias = rng.choice([-1, 1], rows) * bound
    multiplier = rng.integers(0, 1 << 16, rows)
    # what saturates, what has halves of all ones or zeros, and what does not saturate
    multiplier[:8] = [2**31 - 1, 2**30, 2**16, 2**16 - 1, 2**15, 2**15 - 1, 1, 0]
    matrix = Matrix(127 * sign, bias.astype(np.int32), multiplier.astype(np.int32), shift, bits)
    x = np.concatenate([sign, -sign]).astype(np.int16) * min(largest, 32767)
    x[::5] += sign[0] < 0  # -32768 is clipped
    x = np.concatenate([x, rng.integers(-32768, 32768, (100, cols)).astype(np.int16)])
    program = linear(matrix)
    expected = program.run(x[:, None])[:, 0]
    assert (np.abs(expected[:, 0]) >= 32767).any()
    assert 16000 < np.abs(expected[:, 4:]).max() < 32767  # nothing hides in saturation
    return Case(program, [kernel], x[None])


@pytest.mark.board
@pytest.mark.parametrize("board", EIGHTS)
def test_rows_of_eight_at_their_limit(board: str, tmp_path: Path) -> None:
    """Multipliers of all sizes."""
    limits = [(12, 1), (12, 4), (16, 1), (16, 3)]
    drawn = [(kernel, *limit) for kernel in EIGHTS[board] for limit in limits]
    if board == "qemu-a55":
        drawn += [("ef_matvec_s8_s8_neon_dot", 8, 1), ("ef_matvec_s8_s8_neon_dot", 8, 4)]
    cases = {f"{limit}": eights_limit(*limit) for limit in drawn}
    assert mismatches(board, cases, tmp_path) == none_of(cases)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m4", "qemu-m55", "qemu-rv32"])
def test_random_architectures(board: str, tmp_path: Path) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        program = random_program(
            seed,
            inputs=int(rng.integers(1, 21)),
            hidden=[int(size) for size in rng.integers(1, 81, rng.integers(1, 4))],
            outputs=int(rng.integers(1, 13)),
            input_bits=int(rng.choice([8, 12, 16])),
            state_bits=int(rng.integers(8, 17)),
            extreme=bool(rng.integers(2)),
            cells=[str(cell) for cell in rng.choice(list(DRAW), 3)],
        )
        build = compile_program(program, board, tmp_path)
        x = samples(program, seed, windows=4, time=20)
        with open_board(load_board(board), image=build.elf) as device:
            client = device.connect(program.hash)
            y = np.stack([client.steps(window, reset=True).y for window in x])
        np.testing.assert_array_equal(y, program.run(x), err_msg=f"seed {seed}")


@pytest.mark.board
@pytest.mark.parametrize("board", ["host", "qemu-m4"])
@pytest.mark.parametrize("inputs,outputs", [(300, 3), (3, 300)])
def test_wide_models_get_longer_frames(
    board: str, inputs: int, outputs: int, tmp_path: Path
) -> None:
    """The product's own image, not that of the harness."""
    program = random_program(6, inputs, [5], outputs, 12, 12)
    build = compile_program(program, board, tmp_path, kernel_sets=["c"])
    x = samples(program, 7, windows=2, time=20)
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        y = np.stack([client.steps(window, reset=True).y for window in x])
    np.testing.assert_array_equal(y, program.run(x))


@pytest.mark.board
def test_wrong_weights_are_noticed(tmp_path: Path) -> None:
    """The comparison can fail: another program's outputs differ."""
    program, other = PROGRAMS["odd"], random_program(9, 6, [31, 17], 7, 12, 12)
    case = Case(program, ["c"], samples(program, 7, windows=1, time=40))
    y = run_on("host", {"odd": case}, tmp_path)["odd"]
    assert np.any(y != other.run(case.samples))

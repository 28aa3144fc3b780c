"""Every board gives the oracle's bits, with each kernel set that its core has."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.codegen.kernels import fits_row_pairs
from edgeflow.device import open_board
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.targets.board import load_board
from tests.random_programs import DRAW, random_program, samples

BOARDS = [
    "qemu-m0", "qemu-m3", "qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55", "qemu-rv32", "qemu-a53",
    "host",
]  # fmt: skip
CASES = [(name, kernels) for name in BOARDS for kernels in load_board(name).core.kernels]

# Sizes that are not multiples of 4, a narrow and a full-width state, parameters at the limits.
PROGRAMS = {
    "odd": random_program(1, 6, [31, 17], 7, 12, 12),
    "wide": random_program(2, 5, [13], 3, 16, 16),
    "extreme": random_program(3, 3, [22], 9, 12, 8, extreme=True),
    "tiny": random_program(4, 1, [1], 1, 8, 16),
    "lmu": random_program(23, 6, [9, 14, 5], 7, 12, 12, cells=["lmu"]),
    "lmu_extreme": random_program(1, 6, [9, 14, 5], 7, 12, 12, extreme=True, cells=["lmu"]),
    "gated": random_program(40, 5, [19, 7, 6], 4, 12, 12, cells=["lstm", "mingru", "minlstm"]),
    "liquid": random_program(23, 5, [23, 9, 14, 11], 6, 12, 12, cells=["cfc", "ltc"]),
    "spiking": random_program(117, 5, [35, 23, 1], 6, 12, 12, cells=["lif", "lif", "sum"]),
    "spiking_recurrent": random_program(
        111, 5, [35, 23, 1], 6, 12, 12, cells=["lif", "lif", "sum"]
    ),
    "spiking_memory": random_program(92, 5, [19, 21, 7], 4, 12, 12, cells=["l2mu"]),
}


def mismatches(program: Program, board: str, kernels: str, folder: Path) -> int:
    build = compile_program(program, board, folder, kernel_sets=[kernels])
    x = samples(program, 7, windows=8, time=40)
    expected = program.run(x)
    wrong = 0
    with open_board(load_board(board), image=build.elf) as device:
        client = device.connect(program.hash)
        for window, y in zip(x, expected, strict=True):
            wrong += int((client.steps(window, reset=True).y != y).any(axis=1).sum())
    return wrong


@pytest.mark.board
@pytest.mark.parametrize("board,kernels", CASES)
@pytest.mark.parametrize(
    "name", ["odd", "extreme", "gated", "liquid", "lmu", "spiking", "spiking_memory"]
)
def test_board_equals_oracle(name: str, board: str, kernels: str, tmp_path: Path) -> None:
    assert mismatches(PROGRAMS[name], board, kernels, tmp_path) == 0


# Every remainder of rows and columns that the unrolled kernels enter differently.
STAIRCASE = random_program(5, 2, [1, 6, 11, 16, 21, 26, 31, 36, 37], 10, 12, 12)


@pytest.mark.board
@pytest.mark.parametrize("kernel", ["ef_matvec_pair_s8_s16_dsp", "ef_matvec_s8_s16_dsp"])
def test_dsp_kernels_at_every_remainder(kernel: str, tmp_path: Path) -> None:
    assert mismatches(STAIRCASE, "qemu-m4", kernel, tmp_path) == 0


@pytest.mark.board
def test_row_pairs_at_their_limit(tmp_path: Path) -> None:
    """Accumulators of both rows of a pair reach the bound that packing allows."""
    sign = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (8, 32))
    reach = 127 * 32 * 2047
    # 256 (reach + a) + reach + b = 2**31 - 1
    rest = 2**31 - 1 - 257 * reach
    bias = np.tile(np.array([rest // 256, rest % 256], np.int32), 4)
    matrix = Matrix(127 * sign, bias, np.full(8, 2**22, np.int32), 1, 12)
    assert fits_row_pairs(matrix)
    over = dataclasses.replace(matrix, bias=matrix.bias + np.array([1, 0] * 4, np.int32))
    assert not fits_row_pairs(over)
    ones = np.ones(32, np.float32)
    form = InputFormat(0 * ones, ones, 12, tuple(f"x{i}" for i in range(32)))
    program = Program((Linear("head", matrix),), form, 1.0)
    build = compile_program(program, "qemu-m4", tmp_path, kernel_sets=["ef_matvec_pair_s8_s16_dsp"])
    x = np.concatenate([sign, -sign]).astype(np.int16) * 2047
    expected = program.run(x[:, None])[:, 0]
    assert 16000 < np.abs(expected).max() < 32767  # nothing hides in saturation
    with open_board(load_board("qemu-m4"), image=build.elf) as device:
        y = device.connect(program.hash).steps(x, reset=True).y
    np.testing.assert_array_equal(y, expected)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board,kernels", CASES)
@pytest.mark.parametrize("name", ["wide", "tiny", "lmu_extreme", "spiking_recurrent"])
def test_board_equals_oracle_slow(name: str, board: str, kernels: str, tmp_path: Path) -> None:
    assert mismatches(PROGRAMS[name], board, kernels, tmp_path) == 0


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
@pytest.mark.parametrize("inputs,outputs", [(300, 3), (3, 300)])
def test_wide_models_get_longer_frames(inputs: int, outputs: int, tmp_path: Path) -> None:
    program = random_program(6, inputs, [5], outputs, 12, 12)
    assert mismatches(program, "host", "c", tmp_path) == 0


@pytest.mark.board
def test_wrong_weights_are_noticed(tmp_path: Path) -> None:
    """The comparison can fail: another program's outputs differ."""
    program, other = PROGRAMS["odd"], random_program(9, 6, [31, 17], 7, 12, 12)
    build = compile_program(program, "host", tmp_path)
    x = samples(program, 7, windows=1, time=40)
    with open_board(load_board("host"), image=build.elf) as device:
        y = device.connect(program.hash).steps(x[0], reset=True).y
    assert np.any(y != other.run(x)[0])

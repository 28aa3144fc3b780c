"""A cell's step, by numpy, by onnxruntime and in C under sanitizers: the same bits."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.codegen.kernels import choose_kernel
from edgeflow.program import InputFormat, Linear, Program
from edgeflow.program.nodes import Accumulate
from edgeflow.program.onnx_file import OnnxProgram
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import SANITIZE, random_program, samples
from tests.unit.test_cell_lif import spiking_program, spiking_programs

RunC = Callable[..., np.ndarray]


@pytest.mark.parametrize(
    "cell,width", [("cfc", 30), ("ltc", 22), ("rnn", 22), ("gru_reset_before", 22)]
)
@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_step_is_the_same_in_onnx_and_c(
    run_c: RunC, seed: int, extreme: bool, cell: str, width: int
) -> None:
    bits = 12 if cell == "ltc" else 8 + 2 * seed
    program = random_program(seed, 5, [13, 1, width], 7, 12, bits, extreme, [cell])
    x = samples(program, seed, windows=3, time=40 if cell == "cfc" else 20)
    y = program.run(x)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), y)
    np.testing.assert_array_equal(run_c(program, x, SANITIZE), y)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=spiking_programs(), seed=st.integers(0, 2**32 - 1))
def test_c_equals_oracle(program: Program, seed: int, run_c: RunC) -> None:
    x = samples(program, seed, windows=3, time=20)
    np.testing.assert_array_equal(run_c(program, x), program.run(x))


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("sizes", [[1], [33, 80, 7], [64]])
def test_c_is_clean_under_sanitizers(sizes: list[int], extreme: bool, run_c: RunC) -> None:
    for seed in range(3):
        program = spiking_program(seed, sizes, extreme)
        x = samples(program, 4, windows=3, time=50)
        np.testing.assert_array_equal(run_c(program, x, SANITIZE), program.run(x))


def test_sums_stop_at_their_limit_in_c(run_c: RunC) -> None:
    """After half an hour of one sign, at 20 Hz, and on the way back."""
    node = Accumulate("sum", 2, 16, 1 << 15, 15)
    ones = np.ones(2, np.float32)
    program = Program((node,), InputFormat(0 * ones, ones, 16, ("x0", "x1")), 1.0)
    x = np.full((1, 34_000, 2), 32767, np.int16)
    x[..., 1] *= -1
    x[:, 33_500:] *= -1
    y = program.run(x)
    assert (y[0, 32_900:33_400] == [32767, -32768]).all() and abs(y[0, -1, 0]) < 32700
    np.testing.assert_array_equal(run_c(program, x, SANITIZE), y)


@pytest.mark.parametrize("rows,cols", [(1, 1), (31, 5), (32, 80), (33, 3), (100, 40)])
def test_columns_equal_the_dense_kernel(rows: int, cols: int, run_c: RunC) -> None:
    """Also for -1, which a layer may give though neurons do not."""
    rng = np.random.default_rng(rows)
    matrix = random_matrix(rng, rows, cols, 2, False)
    matrix = dataclasses.replace(matrix, bias=matrix.bias >> 12,
                                 multiplier=np.full(rows, 2**30, np.int32))  # fmt: skip
    ones = np.ones(cols, np.float32)
    form = InputFormat(0 * ones, ones, 2, tuple(f"x{i}" for i in range(cols)))
    program = Program((Linear("head", matrix),), form, 1.0)
    assert choose_kernel(matrix, ["c"]).name == "ef_add_columns_s8"
    assert choose_kernel(matrix, ["dsp", "c"]).name == "ef_add_columns_s8_dsp"
    x = rng.integers(-1, 2, (4, 30, cols)).astype(np.int16)
    y = run_c(program, x, SANITIZE)
    np.testing.assert_array_equal(y, program.run(x))
    assert len(np.unique(y)) >= min(3**cols, 20)

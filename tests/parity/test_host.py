"""Oracle, onnxruntime and plain C give the same bits."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.program import Program
from edgeflow.program.onnx_file import OnnxProgram
from tests.random_nodes.draw import DRAW
from tests.random_programs import SANITIZE, graphs, programs, random_program, samples

RunC = Callable[..., np.ndarray]


@settings(max_examples=60, deadline=None)
@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_onnxruntime_equals_oracle(program: Program, seed: int) -> None:
    x = samples(program, seed, windows=4, time=12)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_c_equals_oracle(run_c: RunC, program: Program, seed: int) -> None:
    x = samples(program, seed, windows=3, time=20)
    np.testing.assert_array_equal(run_c(program, x), program.run(x))


@settings(max_examples=30, deadline=None)
@given(program=graphs(), seed=st.integers(0, 2**32 - 1))
def test_onnxruntime_equals_oracle_on_graphs(program: Program, seed: int) -> None:
    """Alone catches a layer that reads another value in the file than in numpy."""
    x = samples(program, seed, windows=4, time=12)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=graphs(), seed=st.integers(0, 2**32 - 1), sanitize=st.booleans())
def test_c_equals_oracle_on_graphs(
    run_c: RunC, program: Program, seed: int, sanitize: bool
) -> None:
    """Alone catches a value that is overwritten before its last reader, or put in a wrong place."""
    x = samples(program, seed, windows=3, time=20)
    flags = SANITIZE if sanitize else []
    np.testing.assert_array_equal(run_c(program, x, flags), program.run(x))


@pytest.mark.slow
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_c_equals_oracle_in_500_draws(run_c: RunC, program: Program, seed: int) -> None:
    x = samples(program, seed, windows=3, time=20)
    np.testing.assert_array_equal(run_c(program, x), program.run(x))


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("hidden,bits", [([1], 16), ([7, 13], 12), ([32], 8)])
def test_c_is_clean_under_sanitizers(
    run_c: RunC, hidden: list[int], bits: int, extreme: bool
) -> None:
    program = random_program(3, 5, hidden, 7, bits, bits, extreme)
    x = samples(program, 4, windows=3, time=50)
    np.testing.assert_array_equal(run_c(program, x, SANITIZE), program.run(x))


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("cell", DRAW)
def test_every_cell_is_clean_under_sanitizers(run_c: RunC, cell: str, extreme: bool) -> None:
    for seed, (hidden, bits) in enumerate([([33, 6], 12), ([5], 16)]):
        program = random_program(seed, 5, hidden, 3, bits, bits, extreme, cells=[cell])
        x = samples(program, seed, windows=3, time=50)
        np.testing.assert_array_equal(run_c(program, x, SANITIZE), program.run(x))

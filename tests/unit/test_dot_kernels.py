"""Tiles for the dot product: the stream holds the matrix, also where sums wrap on the way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import kernel_named
from edgeflow.program import Matrix
from edgeflow.program.fixedpoint import Ints, largest_magnitude
from edgeflow.targets.core import load_core
from tests.random_nodes.matrices import random_matrix
from tests.unit.test_kernel_choice import program_of

WIDE, NARROW = "ef_matvec_s8_s16_neon_dot", "ef_matvec_s8_s8_neon_dot"


def wrapped(values: Ints) -> Ints:
    return (values + (1 << 31)) % (1 << 32) - (1 << 31)


def accumulators(matrix: Matrix, x: Ints, split: bool) -> tuple[Ints, Ints]:
    """Return sums and multipliers as the kernel makes them from its stream, rows padded."""
    stream = kernel_named(WIDE if split else NARROW).pack(matrix).weights
    tiles = -(-matrix.cols // 4)
    groups = stream.reshape(-1, 4 + 4 * tiles + 4)
    assert len(groups) == -(-matrix.rows // 4)
    start = groups[:, :4].copy().view(np.int32).astype(np.int64)
    weight = groups[:, 4:-4].copy().view(np.int8).reshape(-1, tiles, 4, 4).astype(np.int64)
    padded = np.resize(np.int64(77), 4 * tiles)  # what may be read, never used
    padded[: matrix.cols] = x
    low, high = (padded & 255) - 128, padded >> 8
    parts = (low, high) if split else (padded,)
    assert all((part >= -128).all() and (part <= 127).all() for part in parts)
    sums = [wrapped(np.einsum("gtrc,tc->gr", weight, p.reshape(tiles, 4))) for p in parts]
    total = wrapped(start + sums[0])
    if split:
        total = wrapped(total + 256 * sums[1])
    return total.reshape(-1), groups[:, -4:].reshape(-1).astype(np.int64)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.integers(1, 40),
    cols=st.integers(1, 70),
    bits=st.sampled_from([2, 8, 12, 16]),
    extreme=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_stream_gives_the_sums(
    rows: int, cols: int, bits: int, extreme: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    matrix = random_matrix(rng, rows, cols, bits, extreme=extreme)
    weight = matrix.weight.astype(np.int64)
    top = largest_magnitude(bits)
    limit = min(top, (1 << (bits - 1)) - 1)
    worst = np.where(weight[rng.integers(rows)] < 0, limit, -top)
    for x in (worst, rng.integers(-top, limit + 1, cols)):
        for split in (True, False) if bits <= 8 else (True,):
            total, multiplier = accumulators(matrix, x, split)
            np.testing.assert_array_equal(total[:rows], weight @ x + matrix.bias)
            np.testing.assert_array_equal(multiplier[:rows], matrix.multiplier)
            assert not multiplier[rows:].any()


def test_bias_at_its_limit_wraps() -> None:
    """128 times the weights' sum beside the largest bias leaves 32 bits, the sum does not."""
    bias = np.full(5, ((1 << 31) - 1 >> 1) - 127 * 2048 * 2047, np.int32)
    matrix = Matrix(np.full((5, 2048), 127, np.int8), bias, np.ones(5, np.int32), 1, 12)
    x = np.full(2048, 2047, np.int64)
    total, _ = accumulators(matrix, x, split=True)
    assert total[:5].tolist() == [(1 << 30) - 1] * 5


@pytest.mark.parametrize("form,cols,rows,kernel", [
    ("w8a12", 64, 192, WIDE), ("w8a16", 6, 192, WIDE), ("w8a12", 2048, 4, WIDE),
    ("w8a8", 64, 192, NARROW), ("w4a8", 5, 3, NARROW), ("w8a12", 2049, 4, "ef_matvec_s8_s16_neon"),
])  # fmt: skip
def test_choice_on_cortex_a55(form: str, cols: int, rows: int, kernel: str) -> None:
    program = program_of(bench_matrix(rows, cols, FORMATS[form]))
    (result,) = choose_kernels(program, load_core("cortex-a55"))
    assert result.kernel == kernel

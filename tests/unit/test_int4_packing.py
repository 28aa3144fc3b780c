"""Streams of int4 weights, read as the kernels do, in arithmetic that wraps at 32 bits."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import MATVEC_KERNELS, kernel_named
from edgeflow.program import Matrix
from edgeflow.program.fixedpoint import Ints, largest_magnitude
from edgeflow.targets.core import load_core
from tests.unit.test_kernel_choice import program_of

Words = NDArray[np.uint32]


def wrapped(values: Ints) -> Ints:
    return (values + 2**31) % 2**32 - 2**31


def halfwords(words: Words, count: int) -> Ints:
    return words.view("<u2").astype(np.int64).reshape(-1, count)


def signed(values: Ints, bits: int) -> Ints:
    return (values + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def quads(stream: Words, x: Ints) -> Ints:
    """Return the sums of ``ef_matvec_s4_s16_dsp``."""
    cols = -(-len(x) // 2) * 2
    groups = stream.reshape(-1, 8 + cols // 2)
    x = np.pad(x, (0, cols - len(x)), constant_values=-32768)  # whatever stands behind
    start = groups[:, :4].view("<i4").astype(np.int64)
    words = halfwords(np.ascontiguousarray(groups[:, 4:-4]), cols)
    digits = [signed(words, 16), words & 0xFFF, signed(words & 255, 8), words & 15]
    a, b, c, d = (wrapped(s + v @ x) for s, v in zip(start.T, digits, strict=True))
    eight = 8 * x.sum()
    rows = [wrapped(a - b) >> 12, wrapped(b - c - (eight << 8)) >> 8, wrapped(c - d) >> 4]
    return np.stack([*rows, wrapped(d - eight)], axis=1).reshape(-1)


def wide(stream: Words, x: Ints) -> Ints:
    """Return the sums of ``ef_matvec_wide_s4_s16_dsp``."""
    cols = -(-len(x) // 4) * 4
    groups = stream.reshape(-1, 8 + cols // 2)
    x = np.pad(x, (0, cols - len(x)), constant_values=-32768)
    start = groups[:, :4].view("<i4").astype(np.int64)
    words, left = groups[:, 4:-4].astype(np.int64), cols % 8
    pairs = np.stack([words >> 4 * i & 0x000F000F for i in range(4)], axis=-1)
    values = np.stack([pairs & 15, pairs >> 16], axis=-1)  # [groups, words, pairs, 2]
    first = values[:, : left // 2].reshape(len(groups), 4, left)
    rest = values[:, left // 2 :].reshape(len(groups), -1, 4, 8).transpose(0, 2, 1, 3)
    weight = np.concatenate([first, rest.reshape(len(groups), 4, -1)], axis=-1)
    return wrapped(start + weight @ x - 8 * x.sum()).reshape(-1)


def split_pairs(stream: Words, x: Ints) -> Ints:
    """Return the sums of ``ef_matvec_split_s4_s16_mve``."""
    blocks = -(-len(x) // 16)
    groups = stream.reshape(-1, 8 + 8 * blocks)
    x = np.pad(x, (0, 16 * blocks - len(x)), constant_values=77)
    high, low = x >> 8, (x & 255) - 128
    start = groups[:, :4].view("<i4").astype(np.int64)
    stored = np.ascontiguousarray(groups[:, 4:-4]).view(np.int8)
    pairs = stored.reshape(-1, blocks, 2, 16).transpose(0, 2, 1, 3).reshape(-1, 2, 16 * blocks)
    lower = pairs.view(np.uint8) << 4
    both = np.concatenate([pairs, lower.view(np.int8)], axis=1).astype(np.int64)
    sums = wrapped(wrapped(start + both @ low) + 256 * wrapped(both @ high))
    sums[:, :2] = wrapped(sums[:, :2] - (sums[:, 2:] >> 4))
    return (sums >> 4).reshape(-1)


def chained(stream: Words, x: Ints) -> Ints:
    """Return the sums of ``ef_matvec_chain_s4_s16_dsp``."""
    pairs = -(-len(x) // 2)
    x = np.pad(x, (0, 2 * pairs - len(x)), constant_values=-32768)
    whole = 6 + 2 * pairs + 8
    bare = int(stream[0]) // 16 * (whole - 6)
    without = np.pad(stream[1 : 1 + bare].reshape(-1, whole - 6), ((0, 0), (6, 0)))
    groups = np.concatenate([without, stream[1 + bare :].reshape(-1, whole)])
    words = (
        groups[:, 6:-8].reshape(len(groups), pairs, 2)[..., ::-1].swapaxes(1, 2).reshape(-1, pairs)
    )
    start = np.ascontiguousarray(groups[:, :6]).view("<i4").astype(np.int64).reshape(-1, 3)
    turned = words >> 8 | words << 24
    left = [turned & 0xF00FF00F, words & 0x0F0F0F0F, words & 0xF000F000]
    halves = [signed(halfwords(np.ascontiguousarray(w), 2 * pairs), 16) for w in left]
    t, u, v = (s + h @ x for s, h in zip(start.T, halves, strict=True))
    t, u, v = wrapped(t - 8 * x.sum()), wrapped(u - 2056 * x.sum()), wrapped(v)
    carry = signed((u >> 8) - t, 12)
    b = (u >> 8) - carry
    rows = [wrapped(t - b) >> 12, b, carry << 8 | u & 255, v >> 12]
    return np.stack(rows, axis=1).reshape(-1)


READERS: dict[str, Callable[[Words, Ints], Ints]] = {
    "ef_matvec_chain_s4_s16_dsp": chained,
    "ef_matvec_s4_s16_dsp": quads,
    "ef_matvec_wide_s4_s16_dsp": wide,
    "ef_matvec_split_s4_s16_mve": split_pairs,
}


def any_matrix(rows: int, cols: int, bits: int, height: float, seed: int) -> Matrix:
    """Return int4 weights of a magnitude, and biases up to what a 32-bit sum allows."""
    rng = np.random.default_rng(seed)
    weight = np.clip(np.round(rng.normal(0, 7 * height, (rows, cols))), -7, 7).astype(np.int8)
    reach = np.abs(weight.astype(np.int64)).sum(axis=1) * largest_magnitude(bits)
    top = 2.0 ** rng.integers(0, 30, rows) - 1
    bias = np.clip(top - reach, 0, 2**30 - 1 - reach) * rng.choice([-1, 1], rows)
    return Matrix(weight, bias.astype(np.int32), np.full(rows, 2**31 - 1, np.int32), 1, bits)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(READERS)),
    rows=st.integers(1, 13),
    cols=st.integers(1, 70),
    bits=st.sampled_from([2, 8, 12, 16]),
    height=st.sampled_from([0.1, 0.3, 5.0]),
    seed=st.integers(0, 10**6),
)
def test_sums_are_exact(
    name: str, rows: int, cols: int, bits: int, height: float, seed: int
) -> None:
    matrix, kernel = any_matrix(rows, cols, bits, height, seed), kernel_named(name)
    if not kernel.is_exact_for(matrix):
        return
    rng = np.random.default_rng(seed)
    low, high = -largest_magnitude(bits), min(largest_magnitude(bits), 32767)
    worst = np.where(matrix.weight[seed % rows] > 0, high, low)
    packed = kernel.pack(matrix).weights
    assert packed.dtype == np.uint32
    for x in (worst, -worst.clip(-high), rng.integers(low, high + 1, cols)):
        sums = READERS[name](packed.astype("<u4"), x)
        np.testing.assert_array_equal(sums[:rows], matrix.accumulate(x))


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
@pytest.mark.parametrize("form", ["w4a8", "w4a12", "w4a16"])
def test_every_int4_matrix_has_a_tuned_kernel(core: str, form: str) -> None:
    """Any ratio, and sums of any size."""
    bits = {kernel.name: kernel.weight_bits for kernel in MATVEC_KERNELS}
    for cols, rows in ((6, 144), (48, 144), (200, 3), (1100, 5)):
        matrix = bench_matrix(rows, cols, FORMATS[form])
        steep = replace(
            matrix, bias=matrix.bias // 64, multiplier=matrix.multiplier | 2**30, shift=3
        )
        for each in (matrix, steep):
            (choice,) = choose_kernels(program_of(each), load_core(core), optimize="size")
            assert bits[choice.kernel] == 4 and choice.kernel != "ef_matvec_s4_s16", choice.kernel


def test_two_rows_a_byte_up_to_27_bits() -> None:
    kernel = kernel_named("ef_matvec_s4_s8_mve")
    weight = np.full((3, 20), 7, np.int8)
    bias = np.full(3, 2**27 - 1 - 7 * 20 * 127, np.int32)
    multiplier = np.ones(3, np.int32)
    assert kernel.is_exact_for(Matrix(weight, bias, multiplier, 1, 8))
    assert not kernel.is_exact_for(Matrix(weight, bias + 1, multiplier, 1, 8))

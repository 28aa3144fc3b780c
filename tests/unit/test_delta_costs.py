"""What delta matrices are expected to cost, where they pay, and how often their columns fire."""

import dataclasses

import numpy as np
import pytest

from edgeflow.bench.fit import STEPS, delta_case, fit_delta
from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.costs import load_costs
from edgeflow.codegen.delta import (
    DELTA_DENSITY,
    REFERENCE,
    break_even,
    break_evens,
    delta_count,
    expected_share,
)
from edgeflow.codegen.kernels import kernel_named
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.firing import fired_shares, sparsity
from edgeflow.targets.board import load_board
from tests.parity.test_delta import changed
from tests.random_programs import random_program, samples
from tests.unit.test_kernel_choice import program_of


def gru(shares: dict[str, float]) -> Program:
    program = random_program(5, 6, [64], 4, 12, 12)
    return dataclasses.replace(changed(program, threshold=40), metadata={"fired": shares})


def test_share_is_what_was_measured() -> None:
    program = gru({"gru0.input": 0.5, "gru0.recurrent": 7.0})
    assert expected_share(program, "gru0.input") == 0.5
    assert expected_share(program, "gru0.recurrent") == 1.0
    assert expected_share(program, "head.matrix") == DELTA_DENSITY
    unknown = dataclasses.replace(program, metadata={})
    assert expected_share(unknown, "gru0.input") == DELTA_DENSITY


@pytest.mark.parametrize("core", ["m0", "m3", "m4", "m7", "m33", "m55", "rv32", "a53"])
def test_delta_is_chosen_below_the_break_even_only(core: str) -> None:
    spec = load_board(f"qemu-{core}").core
    [limit] = [c.break_even for c in choose_kernels(gru({}), spec) if c.matrix == "recurrent"]
    assert limit is not None and 0.05 < limit < 1
    for share, delta in ((limit - 0.04, True), (limit + 0.04, False)):
        choices = choose_kernels(gru({"gru0.recurrent": share}), spec, optimize="balanced")
        [choice] = [c for c in choices if c.matrix == "recurrent"]
        assert choice.fired == pytest.approx(share)
        assert kernel_named(choice.kernel).delta == delta, (share, choice)


def pruned(density: float, block: tuple[int, int], share: float, group: int = 1) -> Program:
    """Return a product of 64 columns x 192 rows with blocks of zeros, a share of which fires."""
    matrix = bench_matrix(*REFERENCE, FORMATS["w4a8"], density=density, block=block)
    matrix = dataclasses.replace(matrix, threshold=40, group=group)
    program = program_of(matrix)
    return dataclasses.replace(program, metadata={"fired": {"l0.matrix": share}})


@pytest.mark.parametrize("core,density,block,group,share,kernel", [
    ("m4", 0.25, (4, 1), 1, 0.2, "ef_delta_matvec_sparse_4x1_s8_s16_dsp"),
    ("m4", 0.25, (4, 4), 1, 0.2, "ef_delta_matvec_sparse_4x1_s8_s16_dsp"),
    ("m4", 0.25, (4, 4), 1, 0.6, "ef_matvec_sparse_4x4_pair_s8_s16_dsp"),
    ("m4", 0.25, (4, 4), 4, 0.2, "ef_delta_matvec_sparse_4x2_s8_s16_dsp"),
    ("m4", 0.25, (4, 2), 2, 0.2, "ef_delta_matvec_sparse_4x2_s8_s16_dsp"),
    ("m4", 0.8, (4, 2), 2, 0.2, "ef_delta_matvec_pair_s8_s16_dsp"),
    ("m4", 0.8, (4, 1), 1, 0.2, "ef_delta_matvec_s8_s16_dsp"),
    ("m33", 0.25, (4, 1), 1, 0.2, "ef_delta_matvec_sparse_4x1_s8_s16_dsp"),
    ("m3", 0.25, (8, 1), 1, 0.2, "ef_delta_matvec_sparse_8x1_s8_s16"),
    ("m3", 0.9, (8, 1), 1, 0.25, "ef_delta_matvec_s8_s16"),
    ("m3", 0.9, (8, 1), 1, 0.4, "ef_matvec_pair_s4_s16_armv7m"),
])  # fmt: skip
def test_blocks_are_chosen_where_they_are_cheapest(
    core: str, density: float, block: tuple[int, int], group: int, share: float, kernel: str
) -> None:
    program = pruned(density, block, share, group)
    (choice,) = choose_kernels(program, load_board(f"qemu-{core}").core)
    assert choice.kernel == kernel
    allowed = [c.instructions for c in choice.alternatives if c.allowed]
    assert choice.instructions is not None
    assert all(i is not None and choice.instructions <= 1.01 * i for i in allowed)


@pytest.mark.parametrize("core,block", [("m4", (4, 1)), ("m55", (8, 1)), ("rv32", (8, 1))])
def test_break_even_of_a_pruned_matrix(core: str, block: tuple[int, int]) -> None:
    spec = load_board(f"qemu-{core}").core
    (choice,) = choose_kernels(pruned(0.25, block, 0.1), spec)
    limit = choice.break_even
    assert limit is not None and 0.05 < limit < 1
    for share, delta in ((limit - 0.04, True), (limit + 0.04, False)):
        (choice,) = choose_kernels(pruned(0.25, block, share), spec)
        kernel = kernel_named(choice.kernel)
        assert kernel.sparse and kernel.delta == delta, (share, choice)


def test_size_takes_the_fewest_bytes_of_a_pruned_matrix() -> None:
    (choice,) = choose_kernels(
        pruned(0.25, (4, 4), 0.2), load_board("qemu-m4").core, optimize="size"
    )
    allowed = [c.weight_bytes for c in choice.alternatives if c.allowed]
    assert choice.weight_bytes <= min(allowed) and kernel_named(choice.kernel).sparse


def test_dense_delta_matrices_are_not_offered_block_kernels() -> None:
    (choice,) = choose_kernels(pruned(1.0, (4, 4), 0.2), load_board("qemu-m4").core)
    names = [choice.kernel, *(other.kernel for other in choice.alternatives)]
    assert not any("delta_matvec_sparse" in name for name in names)


def test_cost_grows_with_the_items_that_fire() -> None:
    costs = load_costs("cortex-m4")
    assert costs is not None
    kernel = kernel_named("ef_delta_matvec_sparse_4x1_s8_s16_dsp")
    matrix = gru({}).nodes[0].matrices()["recurrent"]
    cost = costs.kernels[kernel.name]
    few, many = (delta_count(kernel, matrix, 0.5, costs.kernels, n) for n in (100, 300))
    assert few is not None and many is not None
    assert many - few == pytest.approx(cost.per_block * 200 * 0.5)


def test_break_even_is_where_costs_are_equal() -> None:
    costs = load_costs("cortex-m4")
    assert costs is not None
    delta = kernel_named("ef_delta_matvec_s8_s16_dsp")
    dense = kernel_named("ef_matvec_pair_s8_s16_dsp")
    matrix = gru({}).nodes[0].matrices()["recurrent"]
    share = break_even(delta, dense, matrix, costs.kernels)
    assert share is not None
    at = [delta_count(k, matrix, share, costs.kernels) for k in (delta, dense)]
    assert at[0] == pytest.approx(at[1])
    assert break_even(delta, dense, matrix, {}) is None


def test_fit_finds_the_formula_of_items() -> None:
    shapes = [
        (rows, cols, fired, (rows // 4 + cols) % 50 + 3)
        for rows in (3, 10, 16, 31, 64, 96, 192) for cols in (3, 8, 31, 64)
        for fired in (0.0, 0.3 * cols, 0.7 * cols)
    ]  # fmt: skip
    counts = [
        90 + 2 * r + 30 * -(-r // 8) + 3 * c + 17 * n * f / c + 9 * f for r, c, f, n in shapes
    ]
    rows, cols, updated, items = np.array(shapes).T
    cost = fit_delta(rows, cols, updated, counts, items)
    assert cost.block == (8, 1) and cost.error_percent < 0.1
    assert (cost.per_block, cost.per_fired) == pytest.approx((17, 9), rel=0.01)


def test_fit_finds_the_formula() -> None:
    points = [
        (rows, cols, fired, 90 + 2 * rows + 30 * -(-rows // 8) + 3 * cols + 7 * -(-rows // 8) * fired + 9 * fired)
        for rows in (3, 10, 16, 31, 64, 96, 192) for cols in (3, 8, 31, 64)
        for fired in (0.0, 0.3 * cols, 0.7 * cols)
    ]  # fmt: skip
    cost = fit_delta(*np.array(points).T)
    assert cost.block == (8, 1) and cost.error_percent < 0.1
    assert (cost.per_block, cost.per_fired) == pytest.approx((7, 9), rel=0.01)


@pytest.mark.parametrize("group", [1, 2])
def test_inputs_of_the_fit_fire_as_they_say(group: int) -> None:
    matrix, x, fired = delta_case(8, 31, 0.3, group)
    node = Linear("layer", matrix)
    ones = np.ones(31, np.float32)
    names = tuple(f"x{i}" for i in range(31))
    program = Program((node,), InputFormat(0 * ones, ones, matrix.input_bits, names), 1.0)
    assert len(x) == STEPS
    assert fired_shares(program, x[None])["layer.matrix"] * 31 == pytest.approx(fired)
    assert fired / 31 == pytest.approx(0.3, abs=0.05)


def test_fired_shares_count_whole_groups() -> None:
    weight = np.ones((1, 5), np.int8)
    matrix = Matrix(weight, np.zeros(1, np.int32), np.ones(1, np.int32), 1, 12, 10, 2)
    ones = np.ones(5, np.float32)
    form = InputFormat(0 * ones, ones, 12, tuple("abcde"))
    program = Program((Linear("head", matrix),), form, 1.0)
    x = np.array([[0, 0, 0, 0, 0], [9, -10, 0, 0, 9], [0, 0, 0, 0, 10], [0, 0, 0, 0, 10]], np.int16)
    # nothing; the first two; these again and the last; nothing
    shares = fired_shares(program, x[None])
    assert shares["head.matrix"] == pytest.approx((0 + 2 + 3 + 0) / 20)
    assert sparsity(program, shares) == {
        "input_sparsity": pytest.approx(0.75),
        "state_sparsity": None,
    }


def test_sparsity_of_the_extremes() -> None:
    program = random_program(5, 6, [13], 4, 12, 12)
    x = samples(program, 5, windows=2, time=30)
    assert fired_shares(program, x) == {}
    assert set(sparsity(program, {}).values()) == {None}
    never = changed(program, threshold=65535)
    assert set(sparsity(never, fired_shares(never, x)).values()) == {1.0}
    often = changed(program, threshold=1)
    found = sparsity(often, fired_shares(often, x))
    assert all(share is not None and share < 0.5 for share in found.values())


@pytest.mark.parametrize("core", ["m0", "m3", "m4", "m7", "m33", "m55", "rv32", "a53"])
def test_stored_break_even_follows_from_the_costs(core: str) -> None:
    costs = load_costs(load_board(f"qemu-{core}").core.name)
    assert costs is not None
    assert costs.delta_break_even == break_evens(costs.kernels)
    assert 0.05 < max(costs.delta_break_even.values()) < 1

"""Block formats, their costs, and where their kernels are chosen."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.bench.fit import fit_sparse
from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.codegen import choice
from edgeflow.codegen.choice import Choice, choose_kernels
from edgeflow.codegen.costs import KernelCost, load_costs
from edgeflow.codegen.kernels import MATVEC_KERNELS, kernel_named
from edgeflow.codegen.kernels.sets.dsp import COLUMN_PAIRS, TILES
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.codegen.sparse import REFERENCE, break_even, preferred_block
from edgeflow.program import Matrix
from edgeflow.targets.core import load_core
from tests.unit.test_kernel_choice import program_of

SPARSE = [kernel for kernel in MATVEC_KERNELS if kernel.sparse and not kernel.delta]
FORMS = [kernel.sparse for kernel in MATVEC_KERNELS if kernel.sparse] + [
    BlockFormat(2, 3, step=5, reach=9),
    BlockFormat(2, 3, step=5, reach=6, by_columns=True),
]
CORES = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "rv32imc",
         "cortex-a53"]  # fmt: skip
DENSE, TILED = "ef_matvec_pair_s8_s16_dsp", "ef_matvec_sparse_4x4_pair_s8_s16_dsp"


def random_zeros(rows: int, cols: int, density: float, seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-9, 10, (rows, cols)) * (rng.random((rows, cols)) < density)
    zeros = np.zeros(rows, np.int32)
    return Matrix(weight.astype(np.int8), zeros, zeros, 1, 8)


@settings(max_examples=100, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    rows=st.integers(1, 30) | st.integers(1, 3000),
    cols=st.integers(1, 30) | st.integers(1, 400),
    density=st.sampled_from([0.0, 0.003, 0.05, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_blocks_hold_the_matrix(
    form: BlockFormat, rows: int, cols: int, density: float, seed: int
) -> None:
    matrix = random_zeros(rows, cols, density, seed)
    groups = list(form.groups(matrix))
    back = np.zeros((rows + form.rows, cols + form.cols), np.int64)
    for number, (first, weight) in enumerate(groups):
        assert weight.shape == (form.rows, len(first), form.cols)
        assert len(first) % form.step == 0
        gaps = np.diff(first, prepend=0)
        assert (gaps >= 0).all() and (gaps <= form.reach).all()
        for place, block in zip(first, weight.transpose(1, 0, 2), strict=True):
            row, column = number * form.rows, place
            if form.by_columns:
                row, column = place, number * form.cols
            back[row : row + form.rows, column : column + form.cols] += block
    np.testing.assert_array_equal(back[:rows, :cols], matrix.weight)
    assert not back[rows:].any() and not back[:, cols:].any()
    counts = [len(first) // form.step for first, _ in groups]
    if form.together == 1:
        assert form.items(matrix) == sum(counts)
    else:  # as many as all that differ could have at most
        assert sum(counts) <= form.items(matrix) <= sum(counts) + form.together * (max(counts) + 1)


def test_only_blocks_that_are_not_zero_are_stored() -> None:
    matrix = bench_matrix(64, 64, FORMATS["w8a12"], density=0.25, block=(4, 4))
    assert TILES.items(matrix) == 64 and TILES.share(matrix) == 0.25
    sizes = {k.name: k.pack(matrix).weights.nbytes for k in SPARSE if k.sparse == TILES}
    dense = kernel_named(DENSE).pack(matrix).weights.nbytes
    assert sizes[TILED] < dense / 2
    assert COLUMN_PAIRS.items(matrix) == 128


def chosen(
    density: float, block: tuple[int, int], goal: str = "balanced", core: str = "cortex-m4",
    form: str = "w8a12",
) -> Choice:  # fmt: skip
    matrix = bench_matrix(*REFERENCE, FORMATS[form], density=density, block=block)
    (result,) = choose_kernels(program_of(matrix), load_core(core), optimize=goal)
    return result


@pytest.mark.parametrize("density,block,goal,kernel", [
    (0.25, (4, 4), "balanced", TILED),
    (0.85, (4, 4), "balanced", TILED),
    (0.94, (4, 4), "balanced", DENSE),
    (0.25, (4, 2), "balanced", "ef_matvec_sparse_4x2_pair_s8_s16_dsp"),
    (0.9, (4, 2), "balanced", DENSE),
    (0.25, (4, 1), "balanced", "ef_matvec_sparse_4x1_pair_s8_s16_dsp"),
    (0.1, (1, 1), "balanced", "ef_matvec_sparse_1x1_s8_s16_dsp"),
    (0.1, (1, 1), "speed", "ef_matvec_sparse_1x1_s16_s16_dsp"),
    (0.5, (1, 1), "balanced", DENSE),
    (0.25, (4, 4), "speed", "ef_matvec_sparse_4x4_s16_s16_dsp"),
    (1.0, (4, 4), "balanced", DENSE),
    (0.25, (8, 1), "size", "ef_matvec_sparse_8x1_s8_s16"),
])  # fmt: skip
def test_sparse_where_it_is_cheaper(
    density: float, block: tuple[int, int], goal: str, kernel: str
) -> None:
    result = chosen(density, block, goal)
    assert result.kernel == kernel
    if goal == "balanced":
        allowed = [c.instructions for c in result.alternatives if c.allowed]
        assert result.instructions is not None
        assert all(i is not None and result.instructions <= 1.01 * i for i in allowed)


def test_size_takes_the_fewest_bytes() -> None:
    for form in ("w8a12", "w4a12"):
        for density in (0.1, 0.3, 0.5, 0.8, 0.95):
            result = chosen(density, (4, 4), "size", form=form)
            dense = [c for c in result.alternatives if c.allowed and "sparse" not in c.kernel]
            if "sparse" in result.kernel:
                assert all(result.weight_bytes < other.weight_bytes for other in dense)
    assert "sparse" in chosen(0.1, (4, 4), "size", form="w4a12").kernel
    assert chosen(0.8, (4, 4), "size", form="w4a12").kernel == "ef_matvec_chain_s4_s16_dsp"


def test_dense_matrices_are_not_offered_sparse_kernels() -> None:
    assert not any("sparse" in c.kernel for c in chosen(1.0, (4, 4)).alternatives)
    program = program_of(bench_matrix(20, 30, FORMATS["w8a12"]))
    (result,) = choose_kernels(program, load_core("cortex-m4"), kernel_sets=[TILED])
    assert (result.kernel, result.why) == (TILED, "asked for")


def test_without_measurements_the_dense_kernel_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "known_costs", lambda core: {})
    assert chosen(0.1, (4, 4)).kernel == DENSE


def test_fit_finds_what_made_the_counts() -> None:
    made = KernelCost(block=(4, 2), base=40, per_row=-7, per_row_block=50, per_column_block=0,
                      per_block=8.5, error_percent=0)  # fmt: skip
    points = [(rows, items, made.count(rows, 99, items))
              for rows in (3, 8, 21, 64) for items in (0, 7, 100)]  # fmt: skip
    assert fit_sparse(*np.array(points).T, COLUMN_PAIRS) == made


@pytest.mark.parametrize("name", CORES)
def test_break_even_follows_from_the_costs(name: str) -> None:
    costs = load_costs(name)
    assert costs is not None
    assert costs.break_even == break_even(costs.kernels)
    kernels = [k for k in SPARSE if k.kernel_set in load_core(name).kernels]
    assert costs.break_even.keys() == {k.name for k in kernels}
    for kernel in kernels:  # what never pays may be off
        assert costs.kernels[kernel.name].error_percent < 6 or not costs.break_even[kernel.name]


def test_break_even_is_where_both_cost_the_same() -> None:
    costs = load_costs("cortex-m4")
    assert costs is not None
    share = costs.break_even[TILED]
    rows, cols = REFERENCE
    items = share * rows * cols / 16
    sparse = costs.kernels[TILED].count(rows, cols, items)
    assert sparse == pytest.approx(costs.kernels[DENSE].count(rows, cols), rel=2e-3)


@pytest.mark.parametrize("core,bits,block", [
    ("cortex-m4", 12, (4, 4, 1)), ("cortex-m33", 8, (4, 4, 1)), ("cortex-m55", 12, (8, 1, 8)),
    ("cortex-m55", 8, (8, 1, 16)), ("cortex-m0", 12, (8, 1, 1)), ("host", 12, (8, 1, 1)),
])  # fmt: skip
def test_preferred_block(core: str, bits: int, block: tuple[int, int, int]) -> None:
    form = preferred_block(load_core(core), bits)
    assert (form.rows, form.cols, form.step) == block


def test_gathered_columns_are_at_most_what_a_byte_holds() -> None:
    for name, bits, most in (("s8_s16", 12, 256), ("s8_s8", 8, 128)):
        kernel = kernel_named(f"ef_matvec_sparse_8x1_{name}_mve")
        matrix = bench_matrix(8, most, FORMATS[f"w8a{bits}"])
        assert kernel.is_exact_for(matrix)
        wider = np.concatenate([matrix.weight, matrix.weight[:, :1]], axis=1)
        assert not kernel.is_exact_for(dataclasses.replace(matrix, weight=wider))


@pytest.mark.parametrize("core,name,density", [
    ("cortex-m3", "ef_matvec_sparse_1x1_s8_s16_armv7m", 0.45),
    ("cortex-m0", "ef_matvec_sparse_1x1_s8_s16_armv6m", 0.55),
    ("rv32imc", "ef_matvec_sparse_1x1_s8_s16_rv32", 0.45),
    ("cortex-m4", "ef_matvec_sparse_1x1_s8_s16_dsp", 0.2),
])  # fmt: skip
def test_single_zeros_are_left_out_where_that_pays(core: str, name: str, density: float) -> None:
    assert chosen(density, (1, 1), core=core).kernel == name
    assert "sparse" not in chosen(0.7, (1, 1), core=core).kernel


def test_columns_of_single_weights_are_at_most_what_a_byte_holds() -> None:
    for name, most in (("armv7m", 256), ("armv6m", 128), ("dsp", 256), ("mve", 256)):
        kernel = kernel_named(f"ef_matvec_sparse_1x1_s8_s16_{name}")
        matrix = bench_matrix(8, most, FORMATS["w8a12"])
        assert kernel.is_exact_for(matrix)
        wider = np.concatenate([matrix.weight, matrix.weight[:, :1]], axis=1)
        assert not kernel.is_exact_for(dataclasses.replace(matrix, weight=wider))

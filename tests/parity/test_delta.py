"""Delta matrices: what is held, and the same bits from oracle, onnxruntime and plain C."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.errors import ProgramError
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.nodes import Node
from edgeflow.program.onnx_file import OnnxProgram
from tests.random_nodes.draw import DRAW
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import SANITIZE, random_program, samples

RunC = Callable[..., np.ndarray]
HAVE_DELTA = ["gru", "lstm", "rnn", "gru_reset_before", "mingru", "minlstm", "cfc", "lmu", "mixer"]
# the known ones first: what is drawn of them does not change when a cell is added
DELTA_CELLS = HAVE_DELTA + [
    cell
    for cell in DRAW
    if cell not in HAVE_DELTA
    and random_program(1, 6, [9], 3, 12, 12, cells=[cell]).nodes[0].delta_sources
]


def changed(program: Program, **fields: int) -> Program:
    """Return the program with `fields` in all matrices that may be delta ones."""

    def change(node: Node) -> Node:
        matrices = node.matrices()
        found = {f: replace(m, **fields) for f, m in matrices.items() if f in node.delta_sources}
        return replace(node, **found)

    return replace(program, nodes=tuple(change(node) for node in program.nodes))


@settings(max_examples=40, deadline=None)
@given(
    threshold=st.integers(1, 300),
    group=st.integers(1, 9),
    cols=st.integers(1, 20),
    seed=st.integers(0, 999),
)
def test_a_group_follows_when_one_of_it_moves(
    threshold: int, group: int, cols: int, seed: int
) -> None:
    matrix = Matrix(
        np.ones((1, cols), np.int8), np.zeros(1, np.int32), np.ones(1, np.int32), 1, 12,
        threshold, group,
    )  # fmt: skip
    x, held = np.random.default_rng(seed).integers(-200, 200, (2, 3, cols))
    result = matrix.hold(x, held)
    for row in range(3):
        for first in range(0, cols, group):
            part = slice(first, first + group)
            moved = any(
                abs(a - b) >= threshold for a, b in zip(x[row, part], held[row, part], strict=True)
            )
            expected = x[row, part] if moved else held[row, part]
            assert result[row, part].tolist() == expected.tolist()


@pytest.mark.parametrize("cell", DELTA_CELLS)
def test_threshold_of_one_equals_dense(cell: str) -> None:
    program = random_program(5, 6, [13, 9], 4, 12, 12, cells=[cell])
    x = samples(program, 5, windows=4, time=20)
    np.testing.assert_array_equal(changed(program, threshold=1).run(x), program.run(x))
    np.testing.assert_array_equal(changed(program, threshold=1, group=3).run(x), program.run(x))


@pytest.mark.parametrize("cell", DELTA_CELLS)
def test_largest_threshold_never_fires(cell: str, run_c: RunC) -> None:
    program = random_program(5, 6, [13, 9], 4, 12, 12, cells=[cell])
    never = changed(program, threshold=65535)
    x = samples(program, 5, windows=4, time=20)
    still = changed_weights(program)
    np.testing.assert_array_equal(never.run(x), still.run(x))
    np.testing.assert_array_equal(run_c(never, x), still.run(x))


def changed_weights(program: Program) -> Program:
    """Return the program with zeros in all matrices that may be delta ones."""

    def change(node: Node) -> Node:
        found = {
            field: replace(matrix, weight=np.zeros_like(matrix.weight))
            for field, matrix in node.matrices().items()
            if field in node.delta_sources
        }
        return replace(node, **found)

    return replace(program, nodes=tuple(change(node) for node in program.nodes))


@settings(max_examples=30, deadline=None)
@given(
    cell=st.sampled_from(DELTA_CELLS),
    seed=st.integers(0, 2**32 - 1),
    hidden=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    bits=st.sampled_from([8, 12, 16]),
    extreme=st.booleans(),
)
def test_onnxruntime_equals_oracle(
    cell: str, seed: int, hidden: list[int], bits: int, extreme: bool
) -> None:
    program = random_program(seed, 5, hidden, 3, bits, bits, extreme, [cell], delta=True)
    x = samples(program, seed, windows=3, time=15)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cell=st.sampled_from(DELTA_CELLS),
    seed=st.integers(0, 2**32 - 1),
    hidden=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    bits=st.sampled_from([8, 12, 16]),
    extreme=st.booleans(),
    kernels=st.sampled_from([["c"], ["ef_matvec_s8_s16"]]),
)
def test_c_equals_oracle(
    run_c: RunC, cell: str, seed: int, hidden: list[int], bits: int, extreme: bool,
    kernels: list[str],
) -> None:  # fmt: skip
    program = random_program(seed, 5, hidden, 3, bits, bits, extreme, [cell], delta=True)
    x = samples(program, seed, windows=3, time=20)
    np.testing.assert_array_equal(run_c(program, x, kernels=kernels), program.run(x))


@pytest.mark.parametrize("kernels", [["c"], ["ef_matvec_s8_s16"]])
@pytest.mark.parametrize("extreme", [False, True])
def test_c_is_clean_under_sanitizers(run_c: RunC, extreme: bool, kernels: list[str]) -> None:
    for seed, cell in enumerate(DELTA_CELLS):
        program = random_program(seed, 5, [21, 6], 3, 16, 16, extreme, [cell], delta=True)
        x = samples(program, seed, windows=3, time=50)
        np.testing.assert_array_equal(run_c(program, x, SANITIZE, kernels), program.run(x))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.one_of(st.integers(1, 40), st.integers(2030, 4300)),
    cols=st.integers(1, 20),
    bits=st.sampled_from([8, 12, 16]),
    density=st.sampled_from([0.0, 0.004, 0.1, 0.5, 1.0]),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_plain_c_of_blocks_equals_oracle(
    run_c: RunC, rows: int, cols: int, bits: int, density: float, extreme: bool, seed: int
) -> None:
    """Also columns of which the next block is farther away than a byte tells."""
    name = "ef_delta_matvec_sparse_8x1_s8_s16"
    rng = np.random.default_rng(seed)
    matrix = random_matrix(rng, rows, cols, bits, extreme)
    stays = rng.random((-(-rows // 8), cols)) < density
    weight = matrix.weight * stays.repeat(8, axis=0)[:rows]
    threshold, group = int(rng.integers(1, 1 << bits)), int(rng.integers(1, 4))
    matrix = replace(matrix, weight=weight, threshold=threshold, group=group)
    ones = np.ones(cols, np.float32)
    form = InputFormat(0 * ones, ones, bits, tuple(f"x{i}" for i in range(cols)))
    program = Program((Linear("head", matrix),), form, 1.0)
    x = samples(program, seed, windows=1, time=12)
    np.testing.assert_array_equal(run_c(program, x, SANITIZE, kernels=[name]), program.run(x))


def test_delta_programs_have_hashes_of_their_own() -> None:
    program = random_program(5, 6, [13], 4, 12, 12)
    variants = [
        program,
        changed(program, threshold=1),
        changed(program, threshold=2),
        changed(program, threshold=2, group=2),
    ]
    assert len({variant.hash for variant in variants}) == len(variants)


def test_refusals() -> None:
    program = random_program(5, 6, [13], 4, 12, 12, cells=["lif"])
    lif = program.nodes[0]
    wrong = replace(lif, input=replace(lif.matrices()["input"], threshold=3))
    with pytest.raises(ProgramError, match="lif0: its matrix input cannot be a delta one"):
        replace(program, nodes=(wrong, *program.nodes[1:]))
    head = program.nodes[-1]
    assert isinstance(head, Linear)
    for fields, message in [
        ({"threshold": 65536}, "65536 is not in 0..65535"),
        ({"threshold": 5, "group": 256}, "group 256"),
        ({"group": 2}, "needs a threshold"),
    ]:
        with pytest.raises(ProgramError, match=message):
            replace(head.matrix, **fields)


@pytest.mark.parametrize("cell", HAVE_DELTA)
def test_no_cell_loses_its_delta_form(cell: str) -> None:
    assert random_program(1, 6, [9], 3, 12, 12, cells=[cell]).nodes[0].delta_sources

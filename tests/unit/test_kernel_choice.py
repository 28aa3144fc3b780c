"""The choice of kernels by measured cost, and the formula that holds the costs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.bench import fit as fitting
from edgeflow.bench.fit import fit, spikes
from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.bench.playback import Playback
from edgeflow.calibration import read_data
from edgeflow.codegen import choice
from edgeflow.codegen.choice import GOALS, Choice, choose_kernels
from edgeflow.codegen.costs import KernelCost, KernelCosts, load_costs
from edgeflow.codegen.cycles import Place, place_of
from edgeflow.codegen.kernels import MATVEC_KERNELS
from edgeflow.errors import TargetError
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.targets.board import load_board
from edgeflow.targets.core import load_core
from edgeflow.targets.part import load_part

M4 = load_core("cortex-m4")
BITS = {kernel.name: kernel.weight_bits for kernel in MATVEC_KERNELS}


def program_of(*matrices: Matrix) -> Program:
    """Return linear layers one after the other."""
    form = InputFormat(
        np.zeros(matrices[0].cols, np.float32),
        np.ones(matrices[0].cols, np.float32),
        matrices[0].input_bits,
        tuple(f"x{i}" for i in range(matrices[0].cols)),
    )
    nodes = tuple(Linear(f"l{i}", matrix) for i, matrix in enumerate(matrices))
    return Program(nodes, form, 1.0)


def chosen(form: str, cols: int, rows: int, goal: str, core: str = "cortex-m4") -> Choice:
    program = program_of(bench_matrix(rows, cols, FORMATS[form]))
    (result,) = choose_kernels(program, load_core(core), optimize=goal)
    return result


@pytest.mark.parametrize("form,cols,rows,goal,kernel", [
    ("w8a12", 64, 192, "balanced", "ef_matvec_pair_s8_s16_dsp"),
    ("w8a12", 64, 192, "size", "ef_matvec_pair_s8_s16_dsp"),
    ("w8a12", 64, 192, "speed", "ef_matvec_s16_s16_dsp"),
    ("w8a12", 6, 192, "balanced", "ef_matvec_narrow_s16_s16_dsp"),
    ("w8a12", 6, 192, "size", "ef_matvec_pair_s8_s16_dsp"),
    ("w4a8", 64, 192, "balanced", "ef_matvec_pair_s8_s16_dsp"),
    ("w4a8", 64, 192, "size", "ef_matvec_chain_s4_s16_dsp"),
    ("w8a2", 64, 192, "balanced", "ef_add_columns_s8_dsp"),
    # few rows save less than it costs to look for spikes
    ("w8a2", 64, 15, "balanced", "ef_add_columns_s8_dsp"),
    ("w8a2", 64, 8, "balanced", "ef_matvec_pair_s8_s16_dsp"),
    ("w8a2", 16, 12, "speed", "ef_matvec_s16_s16_dsp"),
    # the smaller of two that cost about the same
    ("w4a12", 6, 7, "balanced", "ef_matvec_narrow_s16_s16_dsp"),
])  # fmt: skip
def test_goals_on_cortex_m4(form: str, cols: int, rows: int, goal: str, kernel: str) -> None:
    assert chosen(form, cols, rows, goal).kernel == kernel


@pytest.mark.parametrize("form,goal,in_flash,kernel", [
    # fewest instructions, but twice the bytes behind five wait states
    ("w8a12", "speed", True, "ef_matvec_s16_s16_dsp"),
    ("w8a12", "cycles", True, "ef_matvec_pair_s8_s16_dsp"),
    ("w4a8", "balanced", True, "ef_matvec_chain_s4_s16_dsp"),
    ("w4a8", "cycles", True, "ef_matvec_chain_s4_s16_dsp"),
    # from RAM, where bytes cost nothing, it still has the fewest cycles
    ("w4a8", "balanced", False, "ef_matvec_chain_s4_s16_dsp"),
    ("w4a8", "size", False, "ef_matvec_chain_s4_s16_dsp"),
])  # fmt: skip
def test_the_part_decides(form: str, goal: str, in_flash: bool, kernel: str) -> None:
    place = Place(load_part("nucleo-l4r5zi"), in_flash)
    program = program_of(bench_matrix(192, 64, FORMATS[form]))
    (result,) = choose_kernels(program, M4, optimize=goal, place=place)
    assert result.kernel == kernel
    every = [result.cycles, *(a.cycles for a in result.alternatives)]
    if goal == "cycles":
        assert None not in every and result.cycles is not None
        assert result.cycles <= 1.01 * min(cycles for cycles in every if cycles is not None)
    (alone,) = choose_kernels(program, M4, optimize=goal)
    assert alone.cycles is None


def test_waits_are_those_of_the_lines_read() -> None:
    part = load_part("nucleo-l4r5zi")
    assert part.flash is not None
    assert Place(part).waits(8000) == 1000 * part.flash.line_cycles == 5000
    assert Place(part, weights_in_flash=False).waits(8000) == 0
    assert place_of(load_board("qemu-m4")) == Place(part)
    assert place_of(load_board("qemu-m4").placed(weights="ram")) == Place(part, False)
    assert place_of(load_board("host")) is None


@pytest.mark.parametrize("name", ["qemu-m4", "qemu-m7", "qemu-m33", "qemu-m3", "qemu-rv32"])
def test_no_matrix_is_without_expected_cycles(name: str) -> None:
    board = load_board(name)
    place = place_of(board)
    assert place is not None
    for form, threshold in (("w8a12", 0), ("w4a8", 0), ("w8a12", 40)):
        matrix = bench_matrix(48, 40, FORMATS[form], density=0.5, block=(4, 4))
        program = program_of(replace(matrix, threshold=threshold))
        (result,) = choose_kernels(program, board.core, place=place)
        costs = [(result.instructions, result.cycles)]
        costs += [(other.instructions, other.cycles) for other in result.alternatives]
        known = [cycles for count, cycles in costs if count is not None]
        assert known and all(cycles is not None and cycles > 0 for cycles in known)


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from([name for name in FORMATS if name != "w8a16"]),
    cols=st.integers(1, 80),
    rows=st.integers(1, 80),
    core=st.sampled_from(["cortex-m4", "cortex-m55"]),
)
def test_what_each_goal_promises(form: str, cols: int, rows: int, core: str) -> None:
    of = {goal: chosen(form, cols, rows, goal, core) for goal in GOALS}
    for result in of.values():
        mine = next(k for k in MATVEC_KERNELS if k.name == result.kernel)
        assert mine.is_exact_for(bench_matrix(rows, cols, FORMATS[form]))
        assert result.kernel not in [other.kernel for other in result.alternatives]
    counts = {goal: result.instructions for goal, result in of.items()}
    assert counts["speed"] is not None and counts["balanced"] is not None
    assert counts["speed"] <= counts["balanced"] * 1.01 + 0.1
    assert BITS[of["balanced"].kernel] <= 8 or cols <= 8
    assert BITS[of["size"].kernel] <= 8
    everything = [of["speed"].instructions, *(a.instructions for a in of["speed"].alternatives)]
    least = min(count for count in everything if count is not None)
    assert counts["speed"] <= least * 1.01 + 0.1


def test_nothing_allowed_is_faster_and_smaller() -> None:
    for cols in range(1, 40):
        result = chosen("w8a12", cols, 5, "balanced")
        for other in result.alternatives:
            if other.allowed and other.instructions is not None and result.instructions is not None:
                faster = other.instructions <= result.instructions
                assert not faster or other.weight_bytes >= result.weight_bytes


def test_a_kernel_that_saves_next_to_nothing_is_left_out() -> None:
    wide = bench_matrix(300, 6, FORMATS["w8a12"])
    narrow = program_of(wide, bench_matrix(2, 300, FORMATS["w8a16"]))
    assert choose_kernels(narrow, M4)[0].kernel == "ef_matvec_narrow_s16_s16_dsp"
    small = program_of(
        bench_matrix(64, 6, FORMATS["w8a12"]),
        Matrix(
            np.ones((400, 64), np.int8),
            np.zeros(400, np.int32),
            np.full(400, 1 << 20, np.int32),
            1,
            16,
        ),
    )
    first, second = choose_kernels(small, M4)
    assert first.kernel == second.kernel == "ef_matvec_pair_s8_s16_dsp"
    assert "saves too little" in first.why
    assert choose_kernels(small, M4, optimize="speed")[0].kernel == "ef_matvec_narrow_s16_s16_dsp"


def test_without_measurements_the_order_of_preference_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "known_costs", lambda core: {})
    result = chosen("w8a12", 64, 192, "balanced")
    assert result.kernel == "ef_matvec_pair_s8_s16_dsp"
    assert result.instructions is None and "not all are measured" in result.why
    assert chosen("w4a8", 64, 192, "size").kernel == "ef_matvec_chain_s4_s16_dsp"


def test_what_is_asked_for_wins() -> None:
    program = program_of(bench_matrix(20, 30, FORMATS["w8a12"]))
    (result,) = choose_kernels(program, M4, kernel_sets=["c"])
    assert (result.kernel, result.why) == ("ef_matvec_s8_s16", "asked for")
    (result,) = choose_kernels(program, M4, kernels={"l0.matrix": "ef_matvec_s8_s16_dsp"})
    assert (result.kernel, result.why) == ("ef_matvec_s8_s16_dsp", "asked for")
    with pytest.raises(TargetError, match="fast"):
        choose_kernels(program, M4, optimize="fast")


@given(
    block=st.tuples(st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([1, 2, 4, 8, 16])),
    terms=st.tuples(
        st.integers(20, 100),
        st.integers(0, 15),
        st.integers(10, 60),
        st.integers(0, 20),
        st.integers(2, 30),
    ),
)
@settings(max_examples=20, deadline=None)
def test_fit_finds_what_made_the_counts(
    block: tuple[int, int], terms: tuple[int, int, int, int, int]
) -> None:
    a, b, c, d, e = map(float, terms)
    made = KernelCost(
        block=block, base=a, per_row=b, per_row_block=c, per_column_block=d, per_block=e,
        error_percent=0,
    )  # fmt: skip
    points = [
        (rows, cols, made.count(rows, cols)) for rows in fitting.ROWS for cols in fitting.COLS
    ]
    found = fit(*np.array(points).T)
    assert found.error_percent <= 0.1
    for rows, cols, count in points:
        assert found.count(rows, cols) == pytest.approx(count, abs=0.5, rel=1e-3)


def test_playback_is_the_same_in_onnx() -> None:
    samples = np.arange(12, dtype=np.int16) * 100 - 500
    node = Playback("play", samples, width=4, steps=3, bits=12, reads=2)
    form = InputFormat(np.zeros(2, np.float32), np.ones(2, np.float32), 8, ("a", "b"))
    program = Program((node,), form, 1.0)
    x = np.zeros((2, 7, 2), np.int16)
    y = program.run(x)
    np.testing.assert_array_equal(y[1, :6].reshape(2, 3, 4)[1], samples.reshape(3, 4))
    np.testing.assert_array_equal(OnnxProgram(program).run(x), y)


def test_spikes_have_the_rate_in_each_column() -> None:
    assert (spikes(37).sum(axis=0) == fitting.SPIKES).all()


@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
def test_stored_costs_are_close(name: str) -> None:
    costs = load_costs(name)
    assert costs is not None
    for kernel, cost in costs.kernels.items():
        # columns of spikes: how many are skipped is not linear; delta: nor are passes over the rows
        loose = "columns" in kernel or "delta" in kernel
        # nor is what a compiler puts before a loop, in a kernel that never pays
        loose |= costs.break_even.get(kernel) == 0
        assert cost.error_percent < (15 if loose else 6), kernel


@pytest.mark.parametrize("text,message", [
    ("core = ", "not a TOML file"),
    ('core = "x"', "board"),
    ('core = "x"\nboard = "b"\ncompiler = ""\nemulator = ""\nspike_rate = 2.0\n[kernels]',
     "spike_rate"),
])  # fmt: skip
def test_wrong_file(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.toml"
    file.write_text(text)
    with pytest.raises(TargetError, match=message) as error:
        read_data(KernelCosts, file)
    assert "\n" not in str(error.value)
    with pytest.raises(TargetError, match="cannot be read"):
        read_data(KernelCosts, tmp_path / "none.toml")

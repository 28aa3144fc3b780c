"""A cut-off: oracle, onnxruntime, C and boards give the same bits, and skip the same steps."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.program import Program
from edgeflow.program.nodes.cutoff import NEVER, Cutoff, lead
from edgeflow.program.onnx_file import OnnxProgram
from tests.harness import BOARDS, Case, mismatches, none_of, sisters_slow
from tests.random_programs import SANITIZE, programs, random_program, samples

TIME = 20


def with_cutoff(program: Program, threshold: int, start: int) -> Program:
    cutoff = Cutoff("cutoff", program.outputs, threshold, start)
    return dataclasses.replace(program, nodes=(*program.nodes, cutoff), window=TIME)


def in_between(program: Program, x: np.ndarray, share: float, start: int) -> Program:
    """Return the program with a cut-off whose threshold so many of the outputs reach."""
    threshold = int(np.quantile(lead(program.run(x)), 1 - share, method="higher"))
    return with_cutoff(program, threshold, start)


@st.composite
def cut_programs(draw: st.DrawFn) -> tuple[Program, np.ndarray]:
    program = draw(programs().filter(lambda p: p.outputs > 1))
    x = samples(program, draw(st.integers(0, 2**32 - 1)), windows=4, time=TIME)
    start = draw(st.integers(1, TIME + 2))
    if draw(st.booleans()):
        return with_cutoff(program, draw(st.integers(0, NEVER)), start), x
    return in_between(program, x, draw(st.floats(0.02, 0.3)), start), x


@settings(max_examples=40, deadline=None)
@given(drawn=cut_programs())
def test_outputs_are_those_of_the_sample_that_decides(drawn: tuple[Program, np.ndarray]) -> None:
    program, x = drawn
    assert program.cutoff is not None
    whole = program.without_cutoff().run(x)
    read = program.cutoff.samples_read(whole)
    for y, full, count in zip(program.run(x), whole, read, strict=True):
        np.testing.assert_array_equal(y[:count], full[:count])
        assert (y[count:] == full[count - 1]).all()
        assert (lead(full[program.cutoff.start - 1 : count - 1]) < program.cutoff.threshold).all()


@settings(max_examples=40, deadline=None)
@given(drawn=cut_programs())
def test_onnxruntime_equals_oracle(drawn: tuple[Program, np.ndarray]) -> None:
    program, x = drawn
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=cut_programs())
def test_c_equals_oracle(
    run_c: Callable[..., np.ndarray], drawn: tuple[Program, np.ndarray]
) -> None:
    program, x = drawn
    np.testing.assert_array_equal(run_c(program, x, SANITIZE), program.run(x))


@pytest.mark.parametrize("start", [1, 7, TIME])
def test_threshold_zero_decides_at_start(start: int) -> None:
    program = random_program(1, 3, [9], 5, 12, 12)
    x = samples(program, 1, windows=4, time=TIME)
    y, whole = with_cutoff(program, 0, start).run(x), program.run(x)
    np.testing.assert_array_equal(y[:, :start], whole[:, :start])
    np.testing.assert_array_equal(
        y[:, start:], np.repeat(whole[:, start - 1 : start], TIME - start, axis=1)
    )


def test_the_largest_threshold_never_decides() -> None:
    """Outputs at both ends of int16 lead by 65535, which is not enough."""
    program = random_program(1, 3, [9], 5, 12, 12, extreme=True)
    x = samples(program, 1, windows=4, time=TIME)
    np.testing.assert_array_equal(with_cutoff(program, NEVER, 1).run(x), program.run(x))
    ends = np.array([[[-32768, 32767, -32768]] * 2])
    assert Cutoff("cutoff", 3, NEVER).samples_read(ends) == [2]
    assert Cutoff("cutoff", 3, NEVER - 1).samples_read(ends) == [1]


def test_a_tie_leads_by_nothing() -> None:
    tie = np.array([[[7, 7, 3], [8, 7, 3]]])
    assert Cutoff("cutoff", 3, 1).samples_read(tie) == [2]


def test_a_lead_of_the_threshold_decides_in_c(run_c: Callable[..., np.ndarray]) -> None:
    """Thresholds that one sample reaches and none exceeds: C that compares by ``>`` reads on."""
    program = random_program(1, 3, [9], 5, 12, 12)
    x = samples(program, 1, windows=4, time=TIME)
    for window, leads in zip(x, lead(program.run(x)), strict=True):
        cut = with_cutoff(program, int(leads[:-1].max()), 1)
        y = cut.run(window[None])
        assert np.any(y != program.run(window[None]))
        np.testing.assert_array_equal(run_c(cut, window[None]), y)


@pytest.mark.board
@pytest.mark.parametrize("board", sisters_slow(BOARDS))
def test_boards(board: str, tmp_path: Path) -> None:
    program = random_program(5, 5, [19, 7], 4, 12, 12, cells=["gru", "lif"])
    x = samples(program, 7, windows=8, time=TIME)
    program = in_between(program, x, 0.1, 2)
    assert program.cutoff is not None
    read = program.cutoff.samples_read(program.without_cutoff().run(x))
    assert len(set(read)) > 2  # decides early and late
    cases = {"cut": Case(program, x=x)}
    assert mismatches(board, cases, tmp_path) == none_of(cases)

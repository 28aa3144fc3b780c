"""Slow states and outliers on boards: what the float model decides, and no bit wrong."""

from pathlib import Path

import pytest

from edgeflow.program import Program
from tests.harness import Case, mismatches, none_of
from tests.unit.test_input_range import Tilt, compressed, marks, tilts, with_outliers
from tests.unit.test_slow_states import drifts, outcome, slow_gru, slow_rnn


def programs() -> dict[str, Program]:
    """Return programs that keep at least 98 % of their float models' accuracy."""
    found = {}
    for name, layer in {"gru": slow_gru(1000), "rnn": slow_rnn(1000)}.items():
        found[name], accuracy, _ = outcome(layer, 1000, 0.1)
        assert accuracy >= 0.98
    x, y = tilts()
    _, found["outliers"], kept = compressed(Tilt(), with_outliers(x, 3e-3, marks(-999.0)), y)
    assert kept >= 0.98
    return found


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m0", "qemu-m4", "qemu-m55", "qemu-rv32"])
def test_no_mismatch(board: str, tmp_path: Path) -> None:
    cases = {}
    for name, program in programs().items():
        raw = tilts()[0][60:64] if name == "outliers" else drifts(1000, 0.1)[0][:4]
        cases[name] = Case(program, (), program.quantize_input(raw))
    assert mismatches(board, cases, tmp_path) == none_of(cases)

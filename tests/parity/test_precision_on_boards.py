"""Slow and unlike states, and outliers, on boards: what the float model decides, no bit wrong."""

from pathlib import Path

import numpy as np
import pytest

from edgeflow.program import Program
from tests.harness import Case, mismatches, none_of
from tests.unit.test_input_range import Tilt, compressed, marks, tilts, with_outliers
from tests.unit.test_slow_states import drifts, outcome, slow_gru, slow_lstm, slow_rnn
from tests.unit.test_unlike_cells import counter, counts, unlike
from tests.unit.test_unlike_cells import outcome as unlike_outcome
from tests.unit.test_unlike_cells import tilts as unlike_tilts


def programs() -> dict[str, tuple[Program, np.ndarray]]:
    """Return programs that keep at least 98 % of their float models' accuracy, and windows."""
    found = {}
    for name, layer, level in (
        ("gru", slow_gru(1000), 0.1),
        ("rnn", slow_rnn(1000), 0.1),
        ("lstm", slow_lstm(2500), 0.02),
    ):
        program, accuracy, _ = outcome(layer, 1000, level)
        found[name] = program, drifts(1000, level)[0][:4]
        assert accuracy >= 0.98
    x, y = tilts()
    _, program, kept = compressed(Tilt(), with_outliers(x, 3e-3, marks(-999.0)), y)
    found["outliers"] = program, x[60:64]
    assert kept >= 0.98
    for name, net, (x, y) in (
        ("unlike", unlike(), unlike_tilts()),
        ("counter", counter(), counts()),
    ):
        program, accuracy = unlike_outcome(net, x, y)
        found[name] = program, x[:4]
        assert accuracy >= 0.98
    return found


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m0", "qemu-m4", "qemu-m55", "qemu-rv32"])
def test_no_mismatch(board: str, tmp_path: Path) -> None:
    cases = {
        name: Case(program, (), program.quantize_input(raw))
        for name, (program, raw) in programs().items()
    }
    assert mismatches(board, cases, tmp_path) == none_of(cases)

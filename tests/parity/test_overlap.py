"""Windows that overlap have the same bits in C, and the same scores in every command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.compression.evaluate import Compressed, compress_model
from edgeflow.data import Dataset
from edgeflow.overlap import Overlap
from edgeflow.profiling.report import render
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.training import train
from tests.random_programs import SANITIZE, random_program, samples
from tests.unit.test_train import SMALL, waves

# Reads int16 samples from stdin; writes the outputs, and of how many samples a decision is made.
HARNESS = r"""
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    static model_hop_t model;
    int16_t x[MODEL_INPUTS], y[MODEL_OUTPUTS + 1];
    long time = argc > 1 ? atol(argv[1]) : 1;
    model_hop_init(&model);
    for (long t = 0; fread(x, sizeof x, 1, stdin) == 1; t++) {
        if (t % time == 0)
            model_hop_reset(&model);
        y[MODEL_OUTPUTS] = (int16_t)model_hop_step(&model, x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return MODEL_HOP == 0;
}
"""


def hopping(window: int, hop: int, delta: bool = False) -> Program:
    program = random_program(3, 3, [7, 5], 4, 12, 12, cells=["gru", "lmu"], delta=delta)
    return replace(program, window=window, hop=hop)


@pytest.mark.parametrize("window,hop", [(20, 5), (20, 10), (20, 13), (7, 1), (2, 1), (9, 4)])
@pytest.mark.parametrize("delta", [False, True])
def test_c_has_the_bits_of_the_oracle(
    window: int, hop: int, delta: bool, run_c: Callable[..., np.ndarray]
) -> None:
    program = hopping(window, hop, delta)
    overlap = Overlap(window, hop)
    x = samples(program, 1, 3, 3 * window + 5)
    found = run_c(program, x, SANITIZE, harness=HARNESS)
    np.testing.assert_array_equal(found[..., :-1], overlap.run(program.run, x))
    due = np.flatnonzero(found[0, :, -1])
    np.testing.assert_array_equal(due, np.arange(overlap.first - 1, x.shape[1], hop))
    assert set(found[0, due, -1]) == set(range(overlap.first, window + 1, hop))


def test_each_window_has_counters_of_its_own(run_c: Callable[..., np.ndarray]) -> None:
    """Of layers at a lower rate, whose steps count from a window's first sample."""
    cells = ["taps", "decimate", "gru", "decimate", "lstm"]
    program = random_program(4, 3, [1, 1, 7, 1, 5], 4, 12, 12, cells=cells)
    program = replace(program, window=26, hop=7)
    x = samples(program, 1, 3, 80)
    found = run_c(program, x, SANITIZE, harness=HARNESS)
    assert len(np.unique(found)) > 20
    np.testing.assert_array_equal(found[..., :-1], Overlap(26, 7).run(program.run, x))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Recordings of 50 to 69 samples; windows have 20."""
    return waves(length=50)


@pytest.fixture(scope="module")
def folder(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hop")
    train(data, out=folder, hop=5, **(SMALL | {"epochs": 4}))
    return folder


@pytest.fixture(scope="module")
def compressed(folder: Path, data: Dataset) -> Compressed:
    return compress_model(folder, data)


def test_every_command_scores_the_same_decisions(
    folder: Path, compressed: Compressed, data: Dataset, tmp_path: Path
) -> None:
    trained = json.loads((folder / "metrics.json").read_text())["test"]
    scores, recordings = compressed.scores, data.split("test")
    assert (compressed.program.window, compressed.program.hop) == (20, 5)
    result = profile(compile_program(compressed.program, "host", tmp_path), data)
    assert trained["accuracy"] == scores["accuracy_float"] == result.accuracy_float
    assert scores["accuracy_int"] == result.accuracy_oracle == result.accuracy_device
    assert trained["decisions"] == scores["windows"] == result.windows and scores["hop"] == 5
    assert result.windows == sum(len(range(14, len(one.x), 5)) for one in recordings)
    assert result.mismatches == 0 and result.steps == sum(len(one.x) for one in recordings)
    assert (result.window, result.hop, result.recordings) == (20, 5, len(recordings))
    assert "decided every 5 on windows of 20 that overlap" in render(result)


def test_a_library_of_another_name(compressed: Compressed, data: Dataset, tmp_path: Path) -> None:
    build = compile_program(compressed.program, "host", tmp_path, name="gait")
    result = profile(build, data)
    assert result.mismatches == 0 and result.windows == compressed.scores["windows"]


def test_a_trained_model_gets_a_hop(folder: Path, data: Dataset) -> None:
    other = compress_model(folder, data, hop=10)
    assert other.program.hop == 10
    assert other.scores["windows"] == sum(
        len(range(19, len(one.x), 10)) for one in data.split("test")
    )
    whole = compress_model(folder, data, hop=20)
    assert whole.program.hop == 0 and "recordings" not in whole.scores


@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m0", "qemu-m4"])
def test_two_states_on_a_board(
    board: str, compressed: Compressed, data: Dataset, tmp_path: Path
) -> None:
    """The firmware never resets within a recording but for the windows; layers count for both."""
    program = compressed.program
    result = profile(compile_program(program, board, tmp_path / "hop"), data)
    assert result.mismatches == 0 and result.windows == compressed.scores["windows"]
    assert result.accuracy_device == compressed.scores["accuracy_int"]
    one = profile(compile_program(replace(program, hop=0), board, tmp_path / "one"), data)
    assert result.instructions_per_step is not None and one.instructions_per_step is not None
    for statistic, least, most in (("p50", 1.9, 2.3), ("max", 1.9, 3.0)):
        both, alone = result.instructions_per_step[statistic], one.instructions_per_step[statistic]
        assert least < both / alone < most, "two steps, and at the most a reset"
    assert [row["name"] for row in result.layers] == [row["name"] for row in one.layers]
    states = {"hop": 0, "one": 0}
    for name, ran in (("hop", result), ("one", one)):
        assert ran.ram_bytes is not None
        states[name] = ran.ram_bytes
    assert states["hop"] > states["one"]

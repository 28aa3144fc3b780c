"""Events, scores and counts after a model: oracle, onnxruntime, C and boards give the same bits."""

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render
from edgeflow.program import Program
from edgeflow.program.nodes import Count, Detect, Residual
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.targets.core import load_core
from tests.harness import BOARDS, Case, mismatches, none_of, sisters_slow
from tests.random_nodes.decisions import DECISIONS
from tests.random_programs import SANITIZE, programs, random_program, samples

TIME = 40


def decided(program: Program, kind: str, seed: int, extreme: bool = False) -> Program:
    """Return the program with a layer behind it, whose thresholds its outputs reach."""
    rng = np.random.default_rng(seed)
    seen = program.run(samples(program, seed, windows=3, time=TIME))
    node = DECISIONS[kind](rng, kind, seen.reshape(-1, program.outputs), extreme)
    return dataclasses.replace(program, nodes=(*program.nodes, node))


@st.composite
def decisions(draw: st.DrawFn) -> tuple[Program, np.ndarray]:
    kind = draw(st.sampled_from(list(DECISIONS)))
    seed = draw(st.integers(0, 2**32 - 1))
    # a residual reads forecasts and what came: an even number
    whole = programs().filter(lambda p: kind != "residual" or p.outputs % 2 == 0)
    program = decided(draw(whole), kind, seed, draw(st.booleans()))
    return program, samples(program, seed, windows=4, time=TIME)


@settings(max_examples=40, deadline=None)
@given(drawn=decisions())
def test_onnxruntime_equals_oracle(drawn: tuple[Program, np.ndarray]) -> None:
    program, x = drawn
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=decisions())
def test_c_equals_oracle(
    run_c: Callable[..., np.ndarray], drawn: tuple[Program, np.ndarray]
) -> None:
    program, x = drawn
    np.testing.assert_array_equal(run_c(program, x, SANITIZE), program.run(x))


@pytest.mark.parametrize("kind", DECISIONS)
def test_each_in_c(run_c: Callable[..., np.ndarray], kind: str) -> None:
    """Drawn so that what it decides changes, which the random ones above may not."""
    program = decided(random_program(1, 3, [9], 6, 12, 12), kind, seed=3)
    x = samples(program, 1, windows=4, time=TIME)
    y = program.run(x)
    assert np.ptp(y[1:], axis=1).any()
    np.testing.assert_array_equal(run_c(program, x), y)


@pytest.mark.board
@pytest.mark.parametrize("board", sisters_slow(BOARDS))
def test_boards(board: str, tmp_path: Path) -> None:
    cases = {
        f"{kind}{seed}": Case(decided(random_program(seed, 5, [19], 4, 12, 12), kind, seed))
        for kind in DECISIONS
        for seed in range(3)
    }
    assert mismatches(board, cases, tmp_path) == none_of(cases)


def answers(program: Program, call: str, folder: Path) -> list[int]:
    """Return what an inline function of the header says of the reference's outputs."""
    y = program.run(samples(program, 1, windows=4, time=TIME))
    library = plan_library(program, load_core("host"), kernel_sets=["c"])
    (folder / "model.h").write_text(render(library)["model.h"])
    (folder / "main.c").write_text(
        '#include "model.h"\n#include <stdio.h>\nint main(void) {\n    int16_t y[MODEL_OUTPUTS];\n'
        f'    while (fread(y, sizeof y, 1, stdin) == 1)\n        printf("%d\\n", (int){call});\n'
        "    return 0;\n}\n"
    )
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    subprocess.run(["gcc", *flags, "main.c", "-o", "main"], cwd=folder, check=True)
    done = subprocess.run([folder / "main"], input=y.tobytes(), capture_output=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_the_header_names_the_event(tmp_path: Path) -> None:
    program = decided(random_program(1, 3, [9], 5, 12, 12), "detect", seed=3)
    program = dataclasses.replace(program, classes=tuple("abcde"))
    assert isinstance(program.nodes[-1], Detect)
    y = program.run(samples(program, 1, windows=4, time=TIME)).reshape(-1, 5)
    expected = np.where(y.any(axis=1), y.argmax(axis=1), -1)
    assert 0 < (expected >= 0).sum() < len(expected)
    assert answers(program, "model_event(y)", tmp_path) == expected.tolist()
    text = (tmp_path / "model.h").read_text()
    assert "model_labels[MODEL_OUTPUTS]" in text and "model_decide" not in text


def test_the_header_tells_the_count(tmp_path: Path) -> None:
    program = decided(random_program(1, 3, [9], 5, 12, 12), "count", seed=3)
    assert isinstance(program.nodes[-1], Count)
    y = program.run(samples(program, 1, windows=4, time=TIME))
    assert answers(program, "model_count(y)", tmp_path) == y.reshape(-1).tolist()


def test_the_header_tells_the_score(tmp_path: Path) -> None:
    program = decided(random_program(1, 3, [9], 6, 12, 12), "residual", seed=3)
    assert isinstance(program.nodes[-1], Residual)
    y = program.run(samples(program, 1, windows=4, time=TIME)).reshape(-1, 2)
    assert 0 < y[:, 1].sum() < len(y)
    call = "(model_score(y) * 2 + model_anomaly(y))"
    assert answers(program, call, tmp_path) == (y[:, 0] * 2 + y[:, 1]).tolist()

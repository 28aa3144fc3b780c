"""``model_quantize_counts``: the bits of `CountsFormat` on the host and on boards, and its cost."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.cli.compile import parse_counts
from edgeflow.codegen.build import Build, compile_program
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.quantizer import counts_function
from edgeflow.codegen.render import render
from edgeflow.errors import TargetError
from edgeflow.profiling.quantizer import quantizer_cost
from edgeflow.program import InputFormat, Program
from edgeflow.program.counts import CountsFormat
from edgeflow.targets.board import load_board
from edgeflow.targets.core import load_core
from tests.random_programs import random_program

MAIN = r"""
#include <stdint.h>
#include <stdio.h>
#define EF_FLASH
#define MODEL_INPUTS 3
%s
int main(void) {
    int16_t c[MODEL_INPUTS], x[MODEL_INPUTS];
    while (fread(c, sizeof c, 1, stdin) == 1) {
        model_quantize_counts(c, x);
        fwrite(x, sizeof x, 1, stdout);
    }
    return 0;
}
"""
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined",
         "-fno-sanitize-recover")  # fmt: skip
PER_UNIT = (835.0, 417.5, 16.4)


def sensed(offset: float = 3.0) -> Program:
    program = random_program(1, 3, [4], 2, 12, 12)
    form = InputFormat(
        np.array([0.5, -offset, 0.0], np.float32), np.array([0.02, 0.01, 1.5], np.float32), 12,
        ("ax", "ay", "gx"),
    )  # fmt: skip
    return replace(program, input=form, metadata={"units": ["m/s^2", "m/s^2", "dps"]})


@pytest.mark.parametrize("offset", [3.0, 300.0, 3e6])
def test_c_has_the_bits(offset: float, tmp_path: Path) -> None:
    form = CountsFormat.of(sensed(offset).input, PER_UNIT)
    assert form.wide == (offset > 1e3)
    (tmp_path / "main.c").write_text(MAIN % counts_function(form, "model"))
    subprocess.run(["gcc", *FLAGS, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    c = np.arange(-32768, 32768).astype(np.int16)[:, None].repeat(3, axis=1)
    done = subprocess.run([tmp_path / "main"], input=c.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.int16).reshape(-1, 3)
    np.testing.assert_array_equal(found, form.quantize(c))


def test_it_is_there_where_ranges_are_known(tmp_path: Path) -> None:
    program, host = sensed(), load_board("host")
    plan = plan_library(program, load_core("host"), kernel_sets=["c"])
    assert "quantize_counts" not in "".join(render(plan).values())
    texts = render(plan, "gait", counts=PER_UNIT)
    assert (
        "void gait_quantize_counts(" in texts["gait.h"]
        and "float" not in texts["gait.c"].split("gait_quantize_counts")[1].split("}\n")[0]
    )
    own = replace(program, metadata={"counts_per_unit": [8, 8, 2]})
    assert (
        "model_quantize_counts("
        in render(plan_library(own, plan.core, kernel_sets=["c"]))["model.h"]
    )
    board = host.model_copy(update={"counts": {"m/s2": 835.0, "°/s": 16.4}})
    build = compile_program(program, board, tmp_path / "board")
    assert build.counts == (835.0, 835.0, 16.4)
    assert Build.load(tmp_path / "board").counts == build.counts
    assert compile_program(program, host, tmp_path / "none").counts is None
    asked = compile_program(program, host, tmp_path / "asked", counts=parse_counts("m/s2=8,dps=2"))
    assert asked.counts == (8.0, 8.0, 2.0)
    with pytest.raises(TargetError, match="there are channels in dps, too: give theirs"):
        compile_program(program, host, tmp_path / "lacking", counts={"m/s2": 8.0})
    for wrong in ("8192", "g=", "g=x", "=3"):
        with pytest.raises(TargetError, match="write UNIT=N"):
            parse_counts(wrong)


@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m0", "qemu-m4"])
def test_boards_take_few_instructions(board: str) -> None:
    """A core without a float unit takes some hundred instructions a channel for floats."""
    x = np.random.default_rng(0).normal(0, 20, (500, 3)).astype(np.float32)
    cost = quantizer_cost(sensed(), load_board(board), x, PER_UNIT)
    assert cost["mismatches"] == cost["counts"]["mismatches"] == 0
    assert cost["counts"]["samples"] == cost["samples"]
    assert cost["counts"]["instructions_mean"] < 120, "for 3 channels"
    if board == "qemu-m0":
        assert cost["instructions_mean"] > 5 * cost["counts"]["instructions_mean"]

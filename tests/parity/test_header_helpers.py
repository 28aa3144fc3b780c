"""Labels, decision, margin and confidence of a generated header: Python's bits, and no flash unused.

Real values of other outputs are those of Python, too, but for the rounding of a float.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render
from edgeflow.program.confidence import ONE, confidence, exponent_scale, margin
from edgeflow.targets.core import load_core
from edgeflow.tasks import OutputFormat, Regression
from tests.random_programs import random_program

CLASSES = ("a", "b", "c", "d", "e")
# Reads outputs from stdin, writes decision, margin and confidence.
MAIN = r"""
#include "model.h"
#include <stdio.h>
int main(void) {
    int16_t y[MODEL_OUTPUTS];
    while (fread(y, sizeof y, 1, stdin) == 1) {
        int32_t found[3] = {model_decide(y), model_margin(y), model_confidence(y)};
        fwrite(found, sizeof found, 1, stdout);
    }
    return model_check() + (model_labels[1][0] != 'b');
}
"""
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def header(folder: Path, scale: float, classes: tuple[str, ...] = CLASSES) -> Path:
    program = random_program(1, 3, [4], len(classes), 12, 12)
    program = replace(program, classes=classes, output_scale=scale)
    text = render(plan_library(program, load_core("host"), kernel_sets=["c"]))["model.h"]
    (folder / "model.h").write_text(text)
    return folder


def outputs(seed: int) -> np.ndarray:
    """Return int16 [n, 5]: near and far apart, equal ones, and the ends of the range."""
    rng = np.random.default_rng(seed)
    near = rng.normal(0, 10.0 ** rng.uniform(0, 4.5, (2000, 1)), (2000, 5))
    ends = rng.choice([-32768, -32767, -1, 0, 1, 32767], (500, 5))
    return np.vstack([near, ends]).clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("scale", [2e-9, 3e-6, 1 / 4096, 0.0123, 0.7, 11.09, 500.0])
def test_c_has_the_bits_of_python(scale: float, tmp_path: Path) -> None:
    (header(tmp_path, scale) / "main.c").write_text(MAIN)
    subprocess.run(
        ["gcc", *FLAGS, "-fsanitize=undefined", "-fno-sanitize-recover", "main.c", "-o", "main"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    y = outputs(1)
    done = subprocess.run([tmp_path / "main"], input=y.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.int32).reshape(-1, 3)
    expected = np.stack([y.argmax(axis=1), margin(y), confidence(y, scale)], axis=1)
    np.testing.assert_array_equal(found, expected)


@settings(deadline=None)
@given(
    y=st.lists(st.integers(-32768, 32767), min_size=1, max_size=12),
    scale=st.floats(1e-9, 1e3),
)
def test_confidence_is_the_softmax(y: list[int], scale: float) -> None:
    real = np.array(y) * scale
    expected = 1 / np.exp(real - real.max()).sum()
    found = confidence(y, scale) / ONE
    # of the polynomial, of exponents in 1/4096, and of powers cut off at 2^-15
    assert abs(found - expected) <= len(y) * 1.5e-4
    assert 1 / len(y) - 1e-4 <= found <= 1
    multiplier, shift = exponent_scale(scale)
    assert 0 <= 65535 * multiplier + (1 << shift >> 1) < 1 << 32


def test_margin_is_that_of_the_two_largest() -> None:
    y = np.array([[3, -7, 5], [5, 5, -9], [-32768, 32767, -32768]], np.int16)
    assert margin(y).tolist() == [2, 0, 65535]
    program = replace(random_program(1, 3, [4], 3, 12, 12), classes=("a", "b", "c"))
    np.testing.assert_array_equal(
        program.confidence(y), confidence(y, program.output_scale) / 32768
    )


def test_what_is_not_used_costs_nothing(tmp_path: Path) -> None:
    """Neither names nor functions are in an object, of C or C++, that only includes the header."""
    header(tmp_path, 0.01, ("walking-about", "b"))
    for compiler, suffix, standard in (("gcc", "c", "-std=c99"), ("g++", "cpp", "-std=c++11")):
        source = tmp_path / f"user.{suffix}"
        source.write_text('#include "model.h"\nint used = MODEL_INPUTS;\n')
        flags = [flag for flag in FLAGS if "std" not in flag]
        subprocess.run(
            [compiler, standard, *flags, "-c", source, "-o", tmp_path / "user.o"], check=True
        )
        content = (tmp_path / "user.o").read_bytes()
        assert b"walking-about" not in content and b"model_" not in content


def test_values_have_no_classes_to_decide_on() -> None:
    program = random_program(1, 3, [4], 2, 12, 12)
    text = render(plan_library(program, load_core("host"), kernel_sets=["c"]))["model.h"]
    assert "model_decide" not in text and "model_labels" not in text and "model_check" in text


VALUES = r"""
#include "model.h"
#include <stdio.h>
int main(void) {
    int16_t y[MODEL_OUTPUTS];
    float values[MODEL_OUTPUTS];
    while (fread(y, sizeof y, 1, stdin) == 1) {
        model_dequantize(y, values);
        fwrite(values, sizeof values, 1, stdout);
    }
    return (model_units[2][0] != 'd') + (model_outputs[1][0] != 'h');
}
"""


@pytest.mark.parametrize("scale", [3e-6, 1 / 4096, 11.09])
def test_c_has_the_values_of_python(scale: float, tmp_path: Path) -> None:
    units = ("m", "m/s", "degC", "", "")
    task = Regression(("x", "height", "t", "?", 'a "b"'), units)
    form = OutputFormat((0.0, -3e4, 20.5, 1e-7, 7.0), (1.0, 0.1, 1e-3, 2e5, 3.3), units)
    program = replace(
        random_program(1, 3, [4], 5, 12, 12),
        classes=(), output_scale=scale, output=form, metadata={"task": task.to_json()},
    )  # fmt: skip
    text = render(plan_library(program, load_core("host"), kernel_sets=["c"]))["model.h"]
    (tmp_path / "model.h").write_text(text)
    (tmp_path / "main.c").write_text(VALUES)
    subprocess.run(["gcc", *FLAGS, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    y = outputs(2)
    done = subprocess.run([tmp_path / "main"], input=y.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.float32).reshape(-1, 5)
    expected = program.scaling.real(y)  # type: ignore[union-attr]
    least = 1e-6 * np.maximum(np.abs(form.offset), np.array(form.scale) * scale * np.abs(y * 1.0))
    assert (np.abs(found - expected) <= least).all()

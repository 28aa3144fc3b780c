"""Raw samples become the same integers in C as in Python."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.program import InputFormat
from edgeflow.targets.core import load_core
from edgeflow.targets.toolchain import compile_sources
from tests.random_programs import random_program

# Reads float32 samples from stdin, writes the int16 that a step reads to stdout.
MAIN = r"""
#include "model.h"
#include <stdio.h>
int main(void) {
    float raw[MODEL_INPUTS];
    int16_t x[MODEL_INPUTS];
    while (fread(raw, sizeof raw, 1, stdin) == 1) {
        model_quantize(raw, x);
        fwrite(x, sizeof x, 1, stdout);
    }
    return 0;
}
"""


def test_model_quantize_equals_python(tmp_path: Path) -> None:
    """To the bit: constants keep all digits of a float32, halves round away from zero."""
    rng = np.random.default_rng(0)
    inputs, bits = 20, 16
    # all but the first are no short decimal numbers
    offset = np.append(0, rng.normal(0, 10, inputs - 1)).astype(np.float32)
    scale = np.append(1, rng.uniform(1e-4, 1e-2, inputs - 1)).astype(np.float32)
    form = InputFormat(offset, scale, bits, tuple(f"x{i}" for i in range(inputs)))
    program = replace(random_program(0, inputs, [3], 2, bits, 12), input=form)
    raw = offset + scale * rng.uniform(-33000, 33000, (4000, inputs)).astype(np.float32)
    raw = raw.astype(np.float32)
    raw[:9, 0] = [0.5, -0.5, 1.5, -1.5, 2.5, np.nan, np.inf, -np.inf, 32767.5]
    expected = program.quantize_input(raw)
    assert expected[:9, 0].tolist() == [1, -1, 2, -2, 3, 0, 32767, -32767, 32767]

    plan = plan_library(program, load_core("host"))
    write(render(plan), tmp_path)
    sources = ["model.c", *plan.kernel_files]
    (tmp_path / "main.c").write_text(MAIN)
    objects = compile_sources(
        load_core("host"), [tmp_path / name for name in ("main.c", *sources)],
        tmp_path / "objects", include_dirs=[tmp_path / "kernels"],
    )  # fmt: skip
    subprocess.run(["gcc", *map(str, objects), "-o", str(tmp_path / "main")], check=True)
    done = subprocess.run(
        [str(tmp_path / "main")], input=raw.tobytes(), capture_output=True, check=True
    )
    found = np.frombuffer(done.stdout, np.int16).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)

"""Random programs, and the host's C compiler as one of their targets."""

import subprocess
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from edgeflow.program import GRU, InputFormat, Linear, Matrix, Node, Program

# Reads int16 samples from stdin, writes int16 outputs to stdout; a first argument resets the
# state every so many samples.
HARNESS = r"""
#include "model.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    static model_t model;
    int16_t x[MODEL_INPUTS], y[MODEL_OUTPUTS];
    long window = argc > 1 ? atol(argv[1]) : 0;
    model_init(&model);
    for (long t = 0; fread(x, sizeof x, 1, stdin) == 1; t++) {
        if (window && t % window == 0)
            model_reset(&model);
        model_step(&model, x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]


def random_matrix(
    rng: np.random.Generator, rows: int, cols: int, bits: int, extreme: bool
) -> Matrix:
    """Return a matrix whose accumulator may come close to its limit when `extreme`."""
    if extreme:
        weight = rng.choice(np.array([-127, 127], dtype=np.int8), (rows, cols))
        magnitude = 2**31 // 2 - 1 - 127 * cols * (2 ** (bits - 1) - 1)
        bias = rng.choice([-1, 1], rows) * max(0, magnitude)
        multiplier = rng.integers(2**30, 2**31, rows)
    else:
        weight = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
        bias = rng.integers(-(2**20), 2**20, rows)
        multiplier = rng.integers(0, 2**27, rows)
    return Matrix(
        weight,
        np.asarray(bias).astype(np.int32),
        np.asarray(multiplier).astype(np.int32),
        1,
        bits,
    )


def random_program(seed: int, inputs: int, hidden: list[int], outputs: int, input_bits: int,
                   state_bits: int, extreme: bool = False) -> Program:  # fmt: skip
    """Return a stack of GRUs and a linear layer with random parameters."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    width, bits = inputs, input_bits
    for number, size in enumerate(hidden):
        nodes.append(
            GRU(
                f"gru{number}",
                random_matrix(rng, 3 * size, width, bits, extreme),
                random_matrix(rng, 3 * size, size, state_bits, extreme),
                state_bits,
            )
        )
        width, bits = size, state_bits
    nodes.append(Linear("head", random_matrix(rng, outputs, width, bits, extreme)))
    form = InputFormat(
        np.zeros(inputs, np.float32),
        np.full(inputs, 0.5, np.float32),
        input_bits,
        tuple(f"x{i}" for i in range(inputs)),
    )
    return Program(tuple(nodes), form, output_scale=0.01)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Draw stacks of GRUs of odd sizes, widths and extreme parameters."""
    size = st.integers(1, 40)
    return random_program(
        seed=draw(st.integers(0, 2**32 - 1)),
        inputs=draw(st.integers(1, 20)),
        hidden=draw(st.lists(size, min_size=1, max_size=3)),
        outputs=draw(st.integers(1, 12)),
        input_bits=draw(st.sampled_from([8, 12, 16])),
        state_bits=draw(st.integers(8, 16)),
        extreme=draw(st.booleans()),
    )


def samples(program: Program, seed: int, windows: int, time: int) -> np.ndarray:
    """Return int16 [windows, time, inputs] with runs of the extreme values among random ones."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-32768, 32768, (windows, time, program.inputs)).astype(np.int16)
    x[0] = np.where(np.arange(time)[:, None] % 7 < 4, -32768, 32767)
    return x


def run_harness(binary: Path, program: Program, x: np.ndarray) -> np.ndarray:
    """Feed windows x [n, time, inputs] to the harness; return its outputs."""
    done = subprocess.run(
        [str(binary), str(x.shape[1])], input=x.tobytes(), capture_output=True, check=True
    )
    return np.frombuffer(done.stdout, np.int16).reshape(*x.shape[:2], program.outputs)

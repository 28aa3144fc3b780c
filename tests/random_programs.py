"""Random programs, and the host's C compiler as one of their targets."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from edgeflow.program import InputFormat, Linear, Node, Program
from edgeflow.program.nodes import (
    Decimate,
    ZeroOrderHold,
)
from edgeflow.program.start import start_range, starting
from tests.random_nodes.between import (
    random_add,
    random_multiply,
)
from tests.random_nodes.draw import DRAW
from tests.random_nodes.matrices import (
    random_matrix,
    with_delta,
    with_low_rank,
)

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


def random_program(seed: int, inputs: int, hidden: list[int], outputs: int, input_bits: int,
                   state_bits: int, extreme: bool = False,
                   cells: Sequence[str] = ("gru",), delta: bool = False,
                   low_rank: bool = False) -> Program:  # fmt: skip
    """Return a stack of `cells`, in turn, and a linear layer with random parameters.

    With `delta`, most matrices that may be delta ones are, with `low_rank`, most are of low rank.
    What is slower than the samples is held at the end.

    The linear layer is drawn such that what the stack gives shows in its outputs.
    """
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    width, bits = inputs, input_bits
    for number, size in enumerate(hidden):
        cell = cells[number % len(cells)]
        node = DRAW[cell](rng, f"{cell}{number}", width, size, bits, state_bits, extreme)
        node = with_low_rank(rng, node, extreme) if low_rank else node
        nodes.append(with_delta(rng, node) if delta else node)
        width, bits = nodes[-1].outputs, nodes[-1].output_bits
    form = InputFormat(
        np.zeros(inputs, np.float32),
        np.full(inputs, 0.5, np.float32),
        input_bits,
        tuple(f"x{i}" for i in range(inputs)),
    )
    slow = any(isinstance(node, Decimate) for node in nodes)
    hold = [ZeroOrderHold("hold", width, bits)] if slow else []
    stack = Program((*nodes, *hold), form, output_scale=0.01)
    seen = stack.run(samples(stack, seed, windows=3, time=12)).reshape(-1, width)
    head = Linear("head", random_matrix(rng, outputs, width, bits, extreme, seen))
    node = with_low_rank(rng, head, extreme) if low_rank else head
    node = with_delta(rng, node) if delta else node
    hold = [ZeroOrderHold("hold", outputs, node.output_bits)] if slow else []
    return replace(stack, nodes=(*nodes, node, *hold))


def random_graph(seed: int, inputs: int, sizes: Sequence[int], outputs: int, input_bits: int,
                 state_bits: int, extreme: bool = False, cells: Sequence[str] = ("gru",),
                 delta: bool = False) -> Program:  # fmt: skip
    """Return a graph of a cell of each size, in turn, that read any values before them.

    Where values of equal size meet, they are added or multiplied. What a layer reads is of one
    clock, and what is slower than the samples is held where nothing reads it. Two linear heads read what
    nothing else does, one of them the input, too; the first, an inner value and the second are the
    outputs.
    """
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    sources: list[tuple[int, ...]] = []
    form = InputFormat(
        np.zeros(inputs, np.float32),
        np.full(inputs, 0.5, np.float32),
        input_bits,
        tuple(f"x{i}" for i in range(inputs)),
    )
    given = [(inputs, input_bits)]
    clocks = [(0, 1)]

    def append(node: Node, reads: Sequence[int]) -> None:
        nodes.append(with_delta(rng, node) if delta else node)
        sources.append(tuple(reads))
        given.append((node.outputs, node.output_bits))
        first, period = clocks[reads[0]]
        if isinstance(node, Decimate):
            first, period = first + node.first * period, period * node.stride
        clocks.append((0, 1) if isinstance(node, ZeroOrderHold) else (first, period))

    for number, size in enumerate(sizes):
        count = int(rng.integers(1, 4))
        reads = [int(k) for k in rng.choice(len(given), min(count, len(given)), replace=False)]
        if len(nodes) and rng.integers(3):
            reads = [len(nodes), *(k for k in reads if k != len(nodes))]
        reads = [k for k in reads if clocks[k] == clocks[reads[0]]]
        width, bits = sum(given[k][0] for k in reads), max(given[k][1] for k in reads)
        cell = cells[number % len(cells)]
        append(DRAW[cell](rng, f"{cell}{number}", width, size, bits, state_bits, extreme), reads)
        alike = [
            k for k in range(len(given) - 1)
            if given[k][0] == given[-1][0] and clocks[k] == clocks[-1]
        ]  # fmt: skip
        if alike:
            pair = [int(rng.choice(alike)), len(nodes)]
            bits = max(given[k][1] for k in pair)
            width, name = 2 * given[-1][0], f"join{number}"
            if rng.integers(2):
                node = random_multiply(rng, name, width, 0, bits, state_bits, extreme)
            else:
                node = random_add(rng, name, width, 0, bits, state_bits, extreme, 2)
            append(node, pair)
    for k in sorted({*range(1, len(nodes) + 1)}.difference(*sources)):
        if clocks[k] != (0, 1):
            append(ZeroOrderHold(f"hold{k}", *given[k]), [k])
    rest = sorted({*range(1, len(nodes) + 1)}.difference(*sources))
    inner = int(rng.choice([k for k in range(1, len(nodes) + 1) if clocks[k] == (0, 1)]))
    whole = Program(tuple(nodes), form, 0.01, sources=(*sources, (0, *rest)))
    seen = whole.run(samples(whole, seed, windows=3, time=12)).reshape(-1, whole.outputs)
    for name, reads in (("head", rest), ("other", [0, *rest])):
        width, bits = sum(given[k][0] for k in reads), max(given[k][1] for k in reads)
        x = seen[:, -width:]
        append(Linear(name, random_matrix(rng, outputs, width, bits, extreme, x)), reads)
    head = len(nodes) - 1
    return Program(tuple(nodes), form, 0.01, sources=(*sources, (head, inner, head + 1)))


@st.composite
def graphs(draw: st.DrawFn) -> Program:
    """Draw graphs of cells of odd sizes, some of them equal, widths and extreme parameters."""
    return random_graph(
        seed=draw(st.integers(0, 2**32 - 1)),
        inputs=draw(st.integers(1, 12)),
        sizes=draw(st.lists(st.sampled_from([1, 3, 4, 8, 17, 17, 30]), min_size=1, max_size=4)),
        outputs=draw(st.integers(1, 6)),
        input_bits=draw(st.sampled_from([8, 12, 16])),
        state_bits=draw(st.integers(8, 16)),
        extreme=draw(st.booleans()),
        cells=draw(st.lists(st.sampled_from(list(DRAW)), min_size=1, max_size=3)),
        delta=draw(st.booleans()),
    )


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Draw stacks of cells of odd sizes, widths and extreme parameters."""
    size = st.integers(1, 80)
    return random_program(
        seed=draw(st.integers(0, 2**32 - 1)),
        inputs=draw(st.integers(1, 20)),
        hidden=draw(st.lists(size, min_size=1, max_size=3)),
        outputs=draw(st.integers(1, 12)),
        input_bits=draw(st.sampled_from([8, 12, 16])),
        state_bits=draw(st.integers(8, 16)),
        extreme=draw(st.booleans()),
        cells=draw(st.lists(st.sampled_from(list(DRAW)), min_size=1, max_size=3)),
        delta=draw(st.booleans()),
    )


def with_start(program: Program, seed: int) -> Program:
    """Return the program with random first states, at the ends of their range, too."""
    rng, start = np.random.default_rng(seed), dict[str, tuple[int, ...]]()
    for name, (_, _, vector) in starting(program.nodes).items():
        low, high = start_range(vector)
        values = rng.integers(low, high + 1, vector.size)
        values[rng.random(vector.size) < 0.3] = rng.choice([low, high])
        start[name] = tuple(values.tolist())
    return replace(program, start=start)


def samples(program: Program, seed: int, windows: int, time: int) -> np.ndarray:
    """Return int16 [windows, time, inputs]: runs of the extreme values, then random ones."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-32768, 32768, (windows, time, program.inputs)).astype(np.int16)
    x[1::2] >>= 16 - program.input.bits  # within the width of the input; the others are clipped
    x[0] = np.where(np.arange(time)[:, None] % 7 < 4, -32768, 32767)
    return x


def run_harness(binary: Path, program: Program, x: np.ndarray) -> np.ndarray:
    """Feed windows x [n, time, inputs] to a harness; return what it writes of each sample."""
    done = subprocess.run(
        [str(binary), str(x.shape[1])], input=x.tobytes(), capture_output=True, check=True
    )
    return np.frombuffer(done.stdout, np.int16).reshape(*x.shape[:2], -1)

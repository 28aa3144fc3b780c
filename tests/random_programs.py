"""Random programs, and the host's C compiler as one of their targets."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edgeflow.cells.legendre import legendre, zero_order_hold
from edgeflow.cells.lmu import quantize_memory
from edgeflow.program import GRU, InputFormat, Linear, Matrix, Node, Program
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes import (
    L2MU,
    LIF,
    LMU,
    LSTM,
    Accumulate,
    CubaL2MU,
    CubaLIF,
    LMUFeedForward,
    MinGRU,
    MinLSTM,
    RecurrentCubaLIF,
    RecurrentLIF,
)
from edgeflow.program.nodes.cfc import CFC, MAX_GAIN, PURE_CFC
from edgeflow.program.nodes.ltc import LTCS, MAX_SUM, MIN_DENOMINATOR
from edgeflow.program.nodes.min_rnn import MinRNN

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
        magnitude = 2**31 // 2 - 1 - 127 * cols * largest_magnitude(bits)
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


# Each draws a layer of `size` units that reads `width` values of `bits` bits and gives values of at
# most `state_bits` bits.
def random_gru(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return GRU(
        name,
        random_matrix(rng, 3 * size, width, bits, extreme),
        random_matrix(rng, 3 * size, size, state_bits, extreme),
        state_bits,
    )


def random_lstm(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return LSTM(
        name,
        random_matrix(rng, 4 * size, width, bits, extreme),
        random_matrix(rng, 4 * size, size, state_bits, extreme),
        state_bits,
        cell_fraction=int(rng.integers(8, 16)),
    )


def random_min_rnn(kind: type[MinRNN]) -> Callable[..., Node]:
    def draw(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
        matrix = random_matrix(rng, kind.blocks * size, width, bits, extreme)
        ints = {"output_shift": int(rng.integers(1, 31))}
        if kind is MinLSTM:
            ints["gate_shift"] = int(rng.integers(0, 5))
        return kind(name, matrix, state_bits, **ints)

    return draw


def random_spike_matrix(rng: np.random.Generator, rows: int, cols: int, extreme: bool) -> Matrix:
    """Return a matrix for spikes, which matter beside the bias unless `extreme`."""
    matrix = random_matrix(rng, rows, cols, 2, extreme)
    if extreme:
        return matrix
    bias, multiplier = matrix.bias >> 14, rng.integers(0, 2**31, rows).astype(np.int32)
    return replace(matrix, bias=bias, multiplier=multiplier, shift=3)


def random_spiking(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                   state_bits: int, extreme: bool) -> Node:  # fmt: skip
    kind = (LIF, RecurrentLIF, CubaLIF, RecurrentCubaLIF)[rng.integers(4)]
    high = 1 << int(rng.integers(1, 16))
    fields: dict[str, Any] = {"input": random_matrix(rng, size, width, bits, extreme)}
    if "recurrent" in kind.matrix_fields:
        fields["recurrent"] = random_spike_matrix(rng, size, size, extreme)
    for field in kind.array_fields:
        limit = high if field == "threshold" else 1 << 15
        fields[field] = rng.integers(0, limit, size).astype(np.int16)
    return kind(name, **fields, reset=int(rng.integers(3)))


def random_l2mu(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                state_bits: int, extreme: bool) -> Node:  # fmt: skip
    """Draw a spiking LMU that reads spikes or, before other layers have made some, numbers."""
    kind = (L2MU, CubaL2MU)[rng.integers(2)]
    order, memories = int(rng.integers(1, 13)), int(rng.integers(1, 9))
    cols, neurons = width + size + memories * order, memories + memories * order + size

    def matrix(rows: int) -> Matrix:
        if bits == 2:
            return random_spike_matrix(rng, rows, cols, extreme)
        return random_matrix(rng, rows, cols, bits, extreme)

    high = 1 << int(rng.integers(1, 16))
    fields: dict[str, Any] = {
        "encode": matrix(memories),
        "transition": random_spike_matrix(rng, order, order + 1, extreme),
        "update": matrix(size),
    }
    for field in kind.array_fields:
        limit = high if field == "threshold" else 1 << 15
        fields[field] = rng.integers(0, limit, neurons).astype(np.int16)
    return kind(name, **fields, reset=int(rng.integers(3)))


def random_cfc(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    """Draw a gated or pure cell with a backbone of any depth."""
    pure, layers = bool(rng.integers(2)), int(rng.integers(len(CFC)))
    units, width_inside = int(rng.integers(1, 41)), int(rng.integers(8, 17))
    heads = (1 if pure else 3) * size
    rows = units if layers else heads
    fields: dict[str, object] = {
        "input": random_matrix(rng, rows, width, bits, extreme),
        "recurrent": random_matrix(rng, rows, size, state_bits, extreme),
    }
    for field in ("second", "third")[: max(layers - 1, 0)]:
        fields[field] = random_matrix(rng, units, units, width_inside, extreme)
    if layers:
        fields["heads"] = random_matrix(rng, heads, units, width_inside, extreme)
    if pure:
        reach = np.array([[1 << 15], [MAX_GAIN]])
        draw = rng.choice([-1, 1], (2, size)) if extreme else rng.uniform(-1, 1, (2, size))
        fields["offset"], fields["gain"] = np.round(draw * reach).astype(np.int32)
    return (PURE_CFC if pure else CFC)[layers](
        name=name, gate=0 if pure else int(rng.integers(2)), state_bits=state_bits,
        backbone_bits=width_inside, **fields,
    )  # fmt: skip


def random_memory(rng: np.random.Generator, order: int, extreme: bool) -> dict[str, Any]:
    """Return A and B of a memory, with accumulators that reach their limit when `extreme`."""
    if not extreme:
        A, B = (t.numpy() for t in zero_order_hold(*legendre(order, rng.uniform(order, 200))))
        return quantize_memory(A, B, rng.uniform(0.5, 2, order))
    shift = rng.integers(1, 31, order)
    transition, drive = np.zeros((order, order), np.int64), np.zeros(order, np.int64)
    for i in range(order):
        rest = (2**31 - 1 - 2 ** (shift[i] - 1)) // 2**15
        for j in rng.permutation(order):
            transition[i, j] = rng.integers(0, min(rest, 32767) + 1) * rng.choice([-1, 1])
            rest -= abs(transition[i, j])
        drive[i] = min(rest, 32767) * rng.choice([-1, 1])
    parts = {"transition": transition.reshape(-1), "drive": drive, "shift": shift}
    arrays: dict[str, Any] = {name: array.astype(np.int16) for name, array in parts.items()}
    return arrays | {"fraction": int(rng.integers(1, 16))}


def random_lmu(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    order, memories = int(rng.integers(1, 13)), int(rng.integers(1, 9))
    read_bits = int(rng.integers(2, 17))
    common = {
        **random_memory(rng, order, extreme),
        "input": random_matrix(rng, memories + size, width, bits, extreme),
        "memory_size": memories,
        "read_shift": int(rng.integers(1, 24)),
        "read_bits": read_bits,
        "state_bits": state_bits,
    }
    if rng.integers(3) == 0:
        memory = random_matrix(rng, size, memories * order, read_bits, extreme)
        return LMUFeedForward(name, memory=memory, **common)
    # the rows of u are there or left out
    rows = size + memories * rng.integers(0, 2, 2)
    memory = random_matrix(rng, int(rows[1]), memories * order, read_bits, extreme)
    if rows[1] > size:
        memory.bias[:memories] = 0
    return LMU(
        name,
        recurrent=random_matrix(rng, int(rows[0]), size, state_bits, extreme),
        memory=memory,
        **common,
    )


def random_ltc(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    """Draw an LTC cell, sparse, whose sums come close to their limits when `extreme`."""

    def int16(shape: tuple[int, int], low: int, high: int) -> np.ndarray:
        if extreme:
            return rng.choice(np.array([low, high], np.int16), shape)
        return rng.integers(low, high + 1, shape).astype(np.int16)

    # weights [size, width + size] such that a unit's sum stays below 2^15
    share = rng.dirichlet(np.ones(width + size), size)
    most = MAX_SUM - MIN_DENOMINATOR - 32767 - 1
    weight = np.floor(share * (most // 32767)).astype(np.int16)
    reversal = (weight * rng.choice([-1, 0, 1], weight.shape)).astype(np.int16)
    weight[rng.random(weight.shape) < 0.3] = 0
    rest = most - 32767 * weight.astype(np.int64).sum(axis=1)
    capacity = (most // 32767 - np.abs(reversal.astype(np.int64)).sum(axis=1)).astype(np.int16)
    if not extreme:
        capacity //= 2
        rest //= 2
    arrays = {
        "sensory_slope": int16((size, width), -32768, 32767),
        "sensory_offset": int16((size, width), -32768, 32767),
        "sensory_weight": weight[:, :width],
        "sensory_reversal": reversal[:, :width],
        "slope": int16((size, size), -32768, 32767),
        "offset": int16((size, size), -32768, 32767),
        "weight": weight[:, width:],
        "reversal": reversal[:, width:],
        "capacity": capacity,
        "leak": rng.integers(-30000, 30001, size).astype(np.int32),
        "rest": (rest + MIN_DENOMINATOR).astype(np.int32),
    }
    return LTCS[int(rng.integers(1, 7))](
        name, source_bits=bits, motors=int(rng.integers(1, size + 1)),
        sensory_shift=int(rng.integers(1, 16)), shift=int(rng.integers(1, 16)),
        **{field: np.ascontiguousarray(array).reshape(-1) for field, array in arrays.items()},
    )  # fmt: skip


def random_sum(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    decay = int(rng.choice([0, 32767, 32768, rng.integers(32769)]))
    return Accumulate(name, width, bits, decay, int(rng.integers(16)))


DRAW: dict[str, Callable[..., Node]] = {
    "gru": random_gru,
    "cfc": random_cfc,
    "ltc": random_ltc,
    "lstm": random_lstm,
    "mingru": random_min_rnn(MinGRU),
    "minlstm": random_min_rnn(MinLSTM),
    "lif": random_spiking,
    "sum": random_sum,
    "lmu": random_lmu,
    "l2mu": random_l2mu,
}


def random_program(seed: int, inputs: int, hidden: list[int], outputs: int, input_bits: int,
                   state_bits: int, extreme: bool = False,
                   cells: Sequence[str] = ("gru",)) -> Program:  # fmt: skip
    """Return a stack of `cells`, in turn, and a linear layer with random parameters."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    width, bits = inputs, input_bits
    for number, size in enumerate(hidden):
        cell = cells[number % len(cells)]
        nodes.append(DRAW[cell](rng, f"{cell}{number}", width, size, bits, state_bits, extreme))
        width, bits = nodes[-1].outputs, nodes[-1].output_bits
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

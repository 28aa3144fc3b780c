"""Random programs, and the host's C compiler as one of their targets."""

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeflow.cells import CELLS, build_cell
from edgeflow.cells.cells import is_known, layer_of
from edgeflow.cells.chain import output_of
from edgeflow.cells.legendre import legendre, zero_order_hold
from edgeflow.cells.lmu import quantize_memory
from edgeflow.errors import ProgramError
from edgeflow.program import GRU, InputFormat, Linear, Matrix, Node, Program
from edgeflow.program.fixedpoint import largest_magnitude, saturate
from edgeflow.program.nodes import (
    L2MU,
    LIF,
    LMU,
    LSTM,
    LTC,
    RNN,
    Accumulate,
    Add,
    CfC,
    ChannelMixer,
    Count,
    Curve,
    Decimate,
    Detect,
    Difference,
    Gravity,
    GRUResetBefore,
    LayerNorm,
    LMUFeedForward,
    Magnitude,
    MinGRU,
    MinLSTM,
    MovingMax,
    MovingMean,
    Multiply,
    PureCfC,
    ReLU,
    Residual,
    Sigmoid,
    SlowGRU,
    Tanh,
    Taps,
    WideLSTM,
    ZeroOrderHold,
)
from edgeflow.program.nodes.base import zeros
from edgeflow.program.nodes.biquad import biquad_of
from edgeflow.program.nodes.cfc import BACKBONES, MAX_GAIN
from edgeflow.program.nodes.layer_norm import MAX_BIAS, MAX_EPSILON
from edgeflow.program.nodes.log_mel import SIZES, log_mel_of
from edgeflow.program.nodes.ltc import MAX_SUM, MIN_DENOMINATOR
from edgeflow.program.nodes.min_rnn import MinRNN
from edgeflow.program.nodes.moving_mean import reciprocal
from edgeflow.program.sections import Cascade
from edgeflow.quantization import Calibration, Signal, Widths

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
    rng: np.random.Generator, rows: int, cols: int, bits: int, extreme: bool,
    seen: np.ndarray | None = None,
) -> Matrix:  # fmt: skip
    """Return a matrix whose results change with x, by an eighth of a table's range to all of it.

    The largest weights if `extreme`, with rows of three kinds: accumulators that come close to their
    limit, with a multiplier that brings them into range or with one that saturates, and rows without
    a bias. `seen` [n, cols] is what x may be; by default x is spread over its width.
    """
    largest = largest_magnitude(bits)
    reach = cols * largest
    top = min(127, (2**30 - 1 - 2**20) // reach)  # as large as the accumulator allows
    if extreme:
        weight = rng.choice(np.array([-top, top], dtype=np.int8), (rows, cols))
    else:
        weight = rng.integers(-top, top + 1, (rows, cols)).astype(np.int8)
    if seen is None:
        spread = largest / 2 * np.sqrt((weight.astype(np.float64) ** 2).sum(axis=1))
    else:
        spread = (seen.astype(np.float64) @ weight.T).std(axis=0)
    spread = np.maximum(spread, 1)
    ratio = 2.0 ** rng.uniform(9, 14) * rng.uniform(0.5, 1.5, rows) / spread
    ratio[rng.random(rows) < 0.02] = 0
    bias = spread * rng.uniform(-1.5, 1.5, rows)
    # the smallest shift that holds the ratios
    products = np.abs(weight.astype(np.int64)).sum(axis=1) * largest
    room = int(np.log2((2**31 - 1) // max(1, products.max())))
    shift = int(np.clip(np.ceil(np.log2(max(ratio.max(), 0.5))) + 1, 1, min(15, room)))
    limit = ((2**31 - 1) >> shift) - products
    if extreme:
        kind, sign = rng.choice([0, 1, 2, 2], rows), rng.choice([-1, 1], rows)
        bias = np.where(kind == 2, 0, sign * limit)
        in_range = rng.uniform(0.5, 1, rows) * 2.0**14 / np.maximum(limit, 1)
        ratio = np.where(kind == 0, in_range, np.where(kind == 1, 2.0 ** (shift - 1), ratio))
    return Matrix(
        weight,
        np.clip(bias, -limit, limit).astype(np.int32),
        np.minimum(ratio * 2.0 ** (32 - shift), 2**31 - 1).astype(np.int32),
        shift,
        bits,
    )


def with_delta(rng: np.random.Generator, node: Node) -> Node:
    """Return the layer with most of its matrices as delta ones, of any threshold and group."""
    changes = {}
    for field, matrix in node.matrices().items():
        if field in node.delta_sources and rng.integers(4):
            reach = 2 * largest_magnitude(matrix.x_bits)
            threshold = rng.choice([1, rng.integers(1, reach), rng.integers(1, 9), 65535])
            group = int(rng.choice([1, 2, 4, rng.integers(1, 256)]))
            changes[field] = with_threshold(matrix, int(threshold), group)
    return replace(node, **changes)


def with_threshold(matrix: Matrix, threshold: int, group: int) -> Matrix:
    """Return the matrix as a delta one; it is the factor that has the threshold, if there is one."""
    if matrix.factor is None:
        return replace(matrix, threshold=threshold, group=group)
    return replace(matrix, factor=replace(matrix.factor, threshold=threshold, group=group))


def with_low_rank(rng: np.random.Generator, node: Node, extreme: bool = False) -> Node:
    """Return the layer with most of its matrices replaced by ones of low rank."""
    changes = {}
    for field, matrix in node.matrices().items():
        if field in node.delta_sources and rng.integers(4):
            rank, bits = int(rng.integers(1, 18)), int(rng.choice([8, 12, 13, 16]))
            factor = random_matrix(rng, rank, matrix.cols, matrix.input_bits, extreme)
            left = random_matrix(rng, matrix.rows, rank, bits, extreme)
            changes[field] = replace(left, factor=within(factor, bits))
    return replace(node, **changes)


def within(matrix: Matrix, bits: int) -> Matrix:
    """Return the matrix with multipliers such that no row leaves a width."""
    limit, bound = largest_magnitude(bits), matrix.accumulator_bound()
    most = ((limit << 32) - (1 << 31)) // (np.maximum(bound, 1) << matrix.shift)
    return replace(matrix, multiplier=np.minimum(matrix.multiplier, most).astype(np.int32))


# Each draws a layer of `size` units that reads `width` values of `bits` bits and gives values of at
# most `state_bits` bits.
def random_gru(kind: type[GRU | SlowGRU]) -> Callable[..., Node]:
    def draw(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
        return kind(
            name,
            random_matrix(rng, 3 * size, width, bits, extreme),
            random_matrix(rng, 3 * size, size, state_bits, extreme),
            state_bits,
        )

    return draw


def random_gru_reset_before(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                            state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return GRUResetBefore(
        name,
        random_matrix(rng, 3 * size, width, bits, extreme),
        random_matrix(rng, 2 * size, size, state_bits, extreme),
        random_matrix(rng, size, size, state_bits, extreme),
        state_bits,
    )


def random_rnn(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return RNN(
        name,
        random_matrix(rng, size, width, bits, extreme),
        random_matrix(rng, size, size, state_bits, extreme),
        state_bits,
        state_shift=int(rng.integers(16)),
        relu=int(rng.integers(2)),
    )


def random_lstm(kind: type[LSTM | WideLSTM]) -> Callable[..., Node]:
    low, high = kind.int_fields["cell_fraction"]

    def draw(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
        return kind(
            name,
            random_matrix(rng, 4 * size, width, bits, extreme),
            random_matrix(rng, 4 * size, size, state_bits, extreme),
            state_bits,
            cell_fraction=int(rng.integers(low, high + 1)),
        )

    return draw


def random_min_rnn(kind: type[MinRNN]) -> Callable[..., Node]:
    def draw(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
        matrix = random_matrix(rng, kind.blocks * size, width, bits, extreme)
        ints = {"output_shift": int(rng.integers(1, 31))}
        if kind is MinLSTM:
            ints["gate_shift"] = int(rng.integers(0, 5))
        return kind(name, matrix, state_bits, **ints)

    return draw


def with_thresholds(rng: np.random.Generator, node: Any, bits: int) -> Any:
    """Return a spiking layer whose neurons fire in 2 to 98 % of the steps, where they can.

    Some layers get any threshold, so that there are silent ones and such that always fire.
    """
    neurons = node.threshold.size
    if rng.integers(4) == 0:
        high = 1 << int(rng.integers(1, 16))
        return replace(node, threshold=rng.integers(0, high, neurons).astype(np.int16))
    limit = 1 if bits == 2 else largest_magnitude(bits)
    x = saturate(rng.integers(-limit, limit + 1, (60, 8, node.inputs)), 0 if bits == 2 else -limit)
    rest = rng.uniform(0.02, 0.98, neurons)
    for _ in range(3):  # what fires changes what is fed back
        state = {name: zeros(8, vector.size) for name, vector in node.states.items()}
        membranes = []
        for values in x:
            _, state = node.step(values, state)
            membranes.append(state["u"])
        u = np.sort(np.concatenate(membranes), axis=0)
        threshold = u[(rest * len(u)).astype(int), np.arange(neurons)]
        node = replace(node, threshold=saturate(threshold, 0).astype(np.int16))
    return node


def random_spiking(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                   state_bits: int, extreme: bool) -> Node:  # fmt: skip
    synapse, recurrent = divmod(int(rng.integers(4)), 2)
    fields: dict[str, Any] = {"input": random_matrix(rng, size, width, bits, extreme)}
    if recurrent:
        fields["recurrent"] = random_matrix(rng, size, size, 2, extreme)
    for field in ["alpha"] * synapse + ["beta", "threshold"]:
        fields[field] = rng.integers(0, 1 << 15, size).astype(np.int16)
    node = LIF(name, **fields, reset=int(rng.integers(3)))
    return with_thresholds(rng, node, bits)


def random_l2mu(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                state_bits: int, extreme: bool) -> Node:  # fmt: skip
    """Draw a spiking LMU that reads spikes or, before other layers have made some, numbers."""
    synapse = int(rng.integers(2))
    order, memories = int(rng.integers(1, 13)), int(rng.integers(1, 9))
    cols, neurons = width + size + memories * order, memories + memories * order + size
    fields: dict[str, Any] = {
        "encode": random_matrix(rng, memories, cols, bits, extreme),
        "transition": random_matrix(rng, order, order + 1, 2, extreme),
        "update": random_matrix(rng, size, cols, bits, extreme),
    }
    for field in ["alpha"] * synapse + ["beta", "threshold"]:
        fields[field] = rng.integers(0, 1 << 15, neurons).astype(np.int16)
    node = L2MU(name, **fields, reset=int(rng.integers(3)))
    return with_thresholds(rng, node, bits)


def random_cfc(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    """Draw a gated or pure cell with a backbone of any depth."""
    pure, layers = bool(rng.integers(2)), int(rng.integers(len(BACKBONES)))
    units, width_inside = int(rng.integers(1, 41)), int(rng.integers(8, 17))
    heads = (1 if pure else 3) * size
    rows = units if layers else heads
    fields: dict[str, object] = {
        "input": random_matrix(rng, rows, width, bits, extreme),
        "recurrent": random_matrix(rng, rows, size, state_bits, extreme),
    }
    for field in BACKBONES[layers]:
        rows = heads if field == "heads" else units
        fields[field] = random_matrix(rng, rows, units, width_inside, extreme)
    if pure:
        reach = np.array([[1 << 15], [MAX_GAIN]])
        draw = rng.choice([-1, 1], (2, size)) if extreme else rng.uniform(-1, 1, (2, size))
        fields["offset"], fields["gain"] = np.round(draw * reach).astype(np.int32)
    return (PureCfC if pure else CfC)(
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
    return LTC(
        name, unfolds=int(rng.integers(1, 7)), source_bits=bits, motors=int(rng.integers(1, size + 1)),
        sensory_shift=int(rng.integers(1, 16)), shift=int(rng.integers(1, 16)),
        **{field: np.ascontiguousarray(array).reshape(-1) for field, array in arrays.items()},
    )  # fmt: skip


def random_sum(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool) -> Node:  # fmt: skip
    decay = int(rng.choice([0, 32767, 32768, rng.integers(32769)]))
    return Accumulate(name, width, bits, decay, int(rng.integers(16)))


def random_taps(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                state_bits: int, extreme: bool) -> Node:  # fmt: skip
    # few, as each multiplies the width of what follows
    return Taps(name, width, bits, int(rng.integers(2, 5)), int(rng.integers(1, 4)))


def random_decimate(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                    state_bits: int, extreme: bool) -> Node:  # fmt: skip
    stride = 1 if extreme else int(rng.integers(2, 4))
    return Decimate(name, width, bits, int(rng.integers(4)), stride)


def random_moving_max(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                      state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return MovingMax(name, width, bits, int(rng.integers(2, 9 if extreme else 4)))


def random_relu(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return ReLU(name, width, bits, int(rng.integers(2, state_bits + 1)), int(rng.integers(16)))


def random_add(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
               state_bits: int, extreme: bool, branches: int = 0) -> Node:  # fmt: skip
    """Draw a sum of so many branches, of sums close to their limit when `extreme`; 0: any."""
    fits = [k for k in range(1, min(width, 5) + 1) if width % k == 0]
    branches = branches or int(rng.choice(fits))
    size, shift = width // branches, int(rng.integers(1, 31 if extreme else 12))
    most = (2**31 - 1 - (1 << (shift - 1))) // (branches * largest_magnitude(bits))
    gain, bias = np.full(width, min(most, 32767)), np.zeros(size, np.int64)
    if extreme:
        gain *= rng.choice([-1, 1], width)
        rest = 2**31 - 1 - (1 << (shift - 1)) - branches * abs(gain[0]) * largest_magnitude(bits)
        bias = rest * rng.choice([-1, 0, 1], size)
    else:  # a branch's unit is 1/2 to 2 times y's
        gain = np.minimum(rng.uniform(0.5, 2, width) * 2.0**shift / branches, gain)
        gain *= rng.choice([-1, 1, 1], width)
    return Add(
        name, gain.astype(np.int16), bias.astype(np.int32), branches, bits, state_bits, shift
    )


def random_multiply(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                    state_bits: int, extreme: bool) -> Node:  # fmt: skip
    usual = 2.0 ** (30 + state_bits - 2 * bits) * rng.uniform(1, 4, width // 2)
    ends = rng.choice([0, 2**31 - 1, 2**31 - 1], width // 2)
    multiplier = np.minimum(ends if extreme else usual, 2**31 - 1)
    return Multiply(name, multiplier.astype(np.int32), bits, state_bits)


def random_squash(kind: type[Node]) -> Callable[..., Node]:
    def draw(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
        shift = int(rng.integers(1, 16 if extreme else 3))
        ratio = 2.0 ** (14 - bits) * rng.uniform(0.2, 2, width)  # x at its width gives 1.6 to 16
        multiplier = ratio * 2.0 ** (32 - shift)
        if extreme:
            multiplier = rng.choice([0, 2**31 - 1, rng.integers(2**31)], width)
        limited = np.minimum(multiplier, 2**31 - 1).astype(np.int32)
        return kind(name, limited, bits, state_bits, shift)  # type: ignore[call-arg]

    return draw


def random_curve(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                 state_bits: int, extreme: bool) -> Node:  # fmt: skip
    reads: Any = random_squash(Tanh)(rng, name, width, size, bits, state_bits, extreme)
    fraction = int(rng.integers(1, 31 if extreme else 16))
    room = (2**31 - 1 - 2 ** (fraction - 1)) // (largest_magnitude(bits) + 32767)
    room = min(room, 32767)
    factors = rng.integers(-room, room + 1, (3, width))
    table = rng.integers(-32767, 32768, 257)
    if extreme:
        factors, table = rng.choice([-room, room], (3, width)), rng.choice([-32767, 32767], 257)
    return Curve(
        name, reads.multiplier, *factors.astype(np.int16), bits, state_bits, reads.shift, fraction,
        table.astype(np.int16) if rng.random() < 0.7 else None,
    )  # fmt: skip


def random_mixer(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                 state_bits: int, extreme: bool) -> Node:  # fmt: skip
    hidden_bits = int(rng.integers(2, 17))
    skip = np.full(width, 32767) if extreme else rng.integers(0, 32768, width)
    return ChannelMixer(
        name,
        random_matrix(rng, size, width, bits, extreme),
        random_matrix(rng, width, size, hidden_bits, extreme),
        skip.astype(np.int16),
        hidden_bits,
        state_bits,
    )


def random_norm(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                state_bits: int, extreme: bool) -> Node:  # fmt: skip
    gain = rng.integers(-32768, 32768, width)
    if extreme:
        epsilon = int(rng.choice([1, 1, 1, MAX_EPSILON]))
        bias = rng.choice([-MAX_BIAS, 0, 0, MAX_BIAS], width)
    else:
        epsilon = 1 << int(rng.integers(30))
        gain >>= rng.integers(8)
        bias = rng.integers(-9999, 9999, width)
    return LayerNorm(
        name, gain.astype(np.int16), bias.astype(np.int32), epsilon, bits, state_bits,
        int(rng.integers(16 if extreme else 8)),
    )  # fmt: skip


def random_range(rng: np.random.Generator, width: int) -> tuple[int, int]:
    """Return the first of the values that a front end works on, and how many."""
    first = int(rng.integers(width))
    return first, int(rng.integers(1, width - first + 1))


def random_magnitude(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                     state_bits: int, extreme: bool) -> Node:  # fmt: skip
    first, count = random_range(rng, width)
    most = min(count, (2**32 - 1) // largest_magnitude(bits) ** 2)
    group = int(rng.integers(1, most + 1))
    shift = int(rng.choice([0, 0, 1, rng.integers(bits)]))
    return Magnitude(name, width, bits, first, count // group, group, int(rng.integers(2)), shift)


def random_difference(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                      state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return Difference(name, width, bits, *random_range(rng, width), int(rng.integers(2)))


def random_gravity(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                   state_bits: int, extreme: bool) -> Node:  # fmt: skip
    rate = rng.choice([1, 32767]) if extreme else 2 ** rng.uniform(5, 15)
    return Gravity(name, width, bits, *random_range(rng, width), int(rate))


def random_biquad(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                  state_bits: int, extreme: bool) -> Node:  # fmt: skip
    part = random_range(rng, width)
    while True:
        with suppress(ProgramError):  # its gains are not of the kind that fits
            return biquad_of(name, width, bits, *part, random_sections(rng, extreme))


def random_sections(rng: np.random.Generator, extreme: bool) -> NDArray[np.float64]:
    """Return second-order sections of a filter as loud as its input."""
    sections = int(rng.integers(1, 5))
    radius = rng.choice([0.0, 0.995], sections) if extreme else rng.uniform(0, 0.98, sections)
    pole = radius * np.exp(1j * rng.uniform(0, np.pi, sections))
    zero = rng.uniform(0.5, 1, sections) * np.exp(1j * rng.uniform(0, np.pi, sections))
    ones = np.ones(sections)
    sos = np.stack(
        [ones, -2 * zero.real, abs(zero) ** 2, ones, -2 * pole.real, abs(pole) ** 2], axis=1
    )
    sos[0, :3] /= Cascade.of_sos(sos).gains()[-1] / rng.uniform(1, 3)
    return sos


def random_log_mel(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                   state_bits: int, extreme: bool) -> Node:  # fmt: skip
    points = next(number for number in SIZES if number > width)
    channels = int(rng.integers(1, 13))
    made = log_mel_of(
        name, 16e3, hop=width, frame=points, size=points, channels=channels, low_hz=0.0,
        high_hz=8e3, bits=state_bits, floor=float(rng.uniform(-40, 10)),
    )  # fmt: skip
    window = np.full(points, 32767) if extreme else rng.integers(0, 32768, points)
    edges = np.sort(rng.integers(1, points // 2 + 1, channels + 2))
    weight = rng.choice([0, 32767], points // 2 - 1) if extreme else made.weight
    return replace(
        made, window=window.astype(np.int16), edges=edges.astype(np.int16),
        weight=weight.astype(np.int16),
    )  # fmt: skip


def random_cell_of(cell: str) -> Callable[..., Node]:
    """Return what draws a cell of the registry: quantized as usual, then other parameters."""

    def draw(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(1 << 31)))
            module = build_cell(cell, width, size, 1, 0.0)
        module = next(m for m in module.modules() if is_known(m))
        (layer,) = layer_of(module).unstack(module)
        unit = 1.0 / largest_magnitude(bits)
        x = rng.uniform(-1, 1, (4, 20, width)).astype(np.float32)
        source = Signal(np.zeros(width), np.full(width, unit), bits, x)
        real = output_of(layer, torch.from_numpy(x)).detach().numpy()
        given = Calibration(name, source, real, Widths(state=state_bits))
        return randomised(rng, layer_of(layer).convert(layer, given).node, extreme)

    return draw


def randomised(rng: np.random.Generator, node: Node, extreme: bool) -> Node:
    """Return the layer with any values that its class promises to compute with.

    Matrices are drawn anew, half of the arrays and ints within their ranges, at their ends if
    `extreme`; what the layer refuses, as other fields or sizes depend on it, stays.
    """
    changes: dict[str, Any] = {
        field: random_matrix(rng, matrix.rows, matrix.cols, matrix.input_bits, extreme)
        for field, matrix in node.matrices().items()
    }
    for field, (low, high) in node.array_fields.items():
        if (array := getattr(node, field)) is not None:
            ends = [low, high, min(max(low, 0), high)]
            drawn = (
                rng.choice(ends, array.size) if extreme else rng.integers(low, high + 1, array.size)
            )
            changes[field] = drawn.astype(array.dtype)
    for field, (low, high) in node.int_fields.items():
        changes[field] = int(rng.choice([low, high]) if extreme else rng.integers(low, high + 1))
    for field, value in changes.items():
        with suppress(ProgramError):
            if field in node.matrix_fields or rng.integers(2):
                node = replace(node, **{field: value})
    return node


#: Cells that a draw below stands for, which is named after another one.
_FAMILIES = ("lmu-ff", "cuba-lif", "cuba-l2mu", "lmuformer", "lmuformer-snn")
DRAW: dict[str, Callable[..., Node]] = {
    "gru": random_gru(GRU),
    "slow_gru": random_gru(SlowGRU),
    "cfc": random_cfc,
    "ltc": random_ltc,
    "lstm": random_lstm(LSTM),
    "wide_lstm": random_lstm(WideLSTM),
    "rnn": random_rnn,
    "gru_reset_before": random_gru_reset_before,
    "mingru": random_min_rnn(MinGRU),
    "minlstm": random_min_rnn(MinLSTM),
    "lif": random_spiking,
    "sum": random_sum,
    "lmu": random_lmu,
    "l2mu": random_l2mu,
    "taps": random_taps,
    "decimate": random_decimate,
    "moving_max": random_moving_max,
    "relu": random_relu,
    "mixer": random_mixer,
    "add": random_add,
    "sigmoid": random_squash(Sigmoid),
    "tanh": random_squash(Tanh),
    "curve": random_curve,
    "norm": random_norm,
    "magnitude": random_magnitude,
    "difference": random_difference,
    "gravity": random_gravity,
    "biquad": random_biquad,
    "log_mel": random_log_mel,
}
#: Cells that have no draw of their own.
PLAIN = [cell for cell in CELLS if cell not in (*DRAW, *_FAMILIES)]
DRAW |= {cell: random_cell_of(cell) for cell in PLAIN}


def random_detect(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    size = seen.shape[1]
    low, high = np.sort(np.quantile(seen, rng.uniform(0.3, 0.9, (2, size))), axis=0)
    if extreme:
        low, high = np.sort(rng.choice([-32768, -1, 0, 32767], (2, size)), axis=0)
    steps = int(rng.integers(1, 6))
    return Detect(
        name, high.astype(np.int16), low.astype(np.int16), size,
        relative=int(size > 1 and rng.integers(2)), shift=int(rng.integers(16 if extreme else 3)),
        needed=int(rng.integers(1, steps + 1)), steps=steps, refractory=int(rng.integers(9)),
    )  # fmt: skip


def random_count(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    channel = int(rng.integers(seen.shape[1]))
    low, high = np.sort(np.quantile(seen[:, channel], rng.uniform(0.2, 0.8, 2)))
    if extreme:
        low, high = np.sort(rng.choice([-32768, -1, 0, 32767], 2))
    return Count(name, seen.shape[1], channel, int(high), int(low), int(rng.integers(5)))


def random_mean(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    steps = int(rng.integers(2, 20))
    return MovingMean(name, seen.shape[1], 16, steps, reciprocal(steps))


def random_residual(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    size = seen.shape[1] // 2
    weight = np.floor(rng.dirichlet(np.ones(size)) * (1 << 15)).clip(0, 32767).astype(np.int16)
    learn = int(rng.choice([0, 32767])) if extreme else int(rng.integers(25))
    return Residual(
        name, weight, size, up=int(rng.integers(16 if extreme else 2)),
        horizon=int(rng.integers(4)), change=int(rng.integers(2)), shift=int(rng.integers(16 if extreme else 4)), learn=learn,
        wait=int(rng.integers(9)), gain=65535 if extreme else int(rng.integers(2000, 7000)),
        threshold=int(rng.integers(2)) * int(np.abs(seen).mean()),
        keep=int(rng.integers((1 << 15) + 1)),
    )  # fmt: skip


#: Layers behind a program, for what its outputs [n, outputs] are.
DECISIONS: dict[str, Callable[..., Node]] = {
    "detect": random_detect, "count": random_count, "mean": random_mean,
    "residual": random_residual,
}  # fmt: skip


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

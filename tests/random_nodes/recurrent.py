"""Random recurrent layers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgeflow.cells.legendre import legendre, zero_order_hold
from edgeflow.cells.lmu import quantize_memory
from edgeflow.program import GRU, Node
from edgeflow.program.fixedpoint import largest_magnitude, saturate
from edgeflow.program.nodes import (
    L2MU,
    LIF,
    LMU,
    LSTM,
    LTC,
    RNN,
    CfC,
    GRUResetBefore,
    LMUFeedForward,
    MinLSTM,
    PureCfC,
    SlowGRU,
    WideLSTM,
)
from edgeflow.program.nodes.base import zeros
from edgeflow.program.nodes.cfc import BACKBONES, MAX_GAIN
from edgeflow.program.nodes.ltc import MAX_SUM, MIN_DENOMINATOR
from edgeflow.program.nodes.min_rnn import MinRNN
from tests.random_nodes.matrices import (
    random_matrix,
)


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

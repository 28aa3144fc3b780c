"""Random layers that stand between others."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeflow.program import Node
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes import (
    Accumulate,
    Add,
    AttentionPool,
    ChannelMixer,
    Curve,
    Decimate,
    LayerNorm,
    MovingMax,
    Multiply,
    ReLU,
    RunningMax,
    Tanh,
    Taps,
)
from edgeflow.program.nodes.layer_norm import MAX_BIAS, MAX_EPSILON
from tests.random_nodes.matrices import random_matrix


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


def random_running_max(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                       state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return RunningMax(name, width, bits)


def random_attention_pool(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                          state_bits: int, extreme: bool) -> Node:  # fmt: skip
    if width < 2:  # no score
        return random_running_max(rng, name, width, size, bits, state_bits, extreme)
    shift = int(rng.integers(31))
    # a score at its width is an exponent of about 1, 2, ... 2^18 if extreme
    exponent = 2.0 ** rng.uniform(0, 18 if extreme else 4)
    multiplier = int(min(32767, exponent * 2.0 ** (12 + shift - bits)))
    out = int(rng.integers(1, 25) if extreme else rng.integers(12, 18))
    return AttentionPool(name, width - 1, bits, multiplier, shift, out, state_bits)


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

"""The integer arithmetic that every part of EdgeFlow agrees on.

Everything here is defined for every input; ``docs/integer-semantics.md`` says why it looks
like this, ``firmware/kernels/ef_math.h`` is the same in C. All functions take and return int64
arrays so that nothing wraps; results fit the range given. They take `Traced` tensors, too: the
ONNX functions are traces of them.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.program.traced import Traced

Ints = NDArray[np.int64]

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
INT32_MAX = (1 << 31) - 1

#: Fractional bits of gate pre-activations: int16 in Q3.12, that is [-8, 8).
PREACTIVATION_FRACTION = 12
#: Table nodes are 1/16 apart over [-8, 8].
TABLE_SIZE = 257


def symmetric_max(bits: int) -> int:
    """Return the largest value of a signed symmetric format, ``2**(bits - 1) - 1``."""
    return (1 << (bits - 1)) - 1


def largest_magnitude(bits: int) -> int:
    """Return the largest magnitude that a value of a declared width can have.

    Narrower formats are symmetric; one of 16 bits is whatever `saturate` leaves, -32768 included.
    """
    return 1 << 15 if bits == 16 else symmetric_max(bits)


def saturate(value: ArrayLike, low: int | Ints = INT16_MIN, high: int | Ints = INT16_MAX) -> Ints:
    """Clip to [low, high], int16 by default."""
    if isinstance(value, Traced):
        return np.maximum(np.minimum(value, high), low)
    return np.clip(_wide(value), low, high)


def shift_right_round(value: ArrayLike, bits: int | Ints) -> Ints:
    """Return ``floor(value / 2**bits + 1/2)`` (arithmetic shift, half rounds up)."""
    return (_wide(value) + (1 << (bits - 1))) >> bits


def clip(value: ArrayLike, bits: int) -> Ints:
    """Clip to the signed symmetric format of a width."""
    limit = symmetric_max(bits)
    return saturate(value, -limit, limit)


def narrow(value: ArrayLike, shift: int, bits: int) -> Ints:
    """Round off the lowest `shift` >= 1 bits, then `clip`."""
    return clip(shift_right_round(value, shift), bits)


def requantize(accumulator: ArrayLike, multiplier: ArrayLike, shift: int) -> Ints:
    """Scale an int32 accumulator to int16: ``sat16(((acc << shift) * multiplier + 2**31) >> 32)``.

    Equals Arm's SMMULR on ``acc << shift`` and, as ``shift >= 1``, Helium's VQRDMULH on
    ``acc << (shift - 1)``. The real ratio is ``multiplier * 2**(shift - 32)``.

    Parameters
    ----------
    accumulator : int array
        ``abs(accumulator) << shift`` must stay below 2**31; `Matrix` proves it.
    multiplier : int array
        In [0, 2**31).
    shift : int
        In 1..15.
    """
    acc = _wide(accumulator) << shift
    return saturate((acc * _wide(multiplier) + (1 << 31)) >> 32)


def interpolate(nodes: Ints, position: Ints, bits: int) -> Ints:
    """Interpolate linearly between nodes that are ``2**bits`` apart; rounded once."""
    index, fraction = position >> bits, position & ((1 << bits) - 1)
    left = nodes[index]
    return left + (((nodes[index + 1] - left) * fraction + (1 << (bits - 1))) >> bits)


def nodes_of(name: str, like: Ints) -> Ints:
    """Return a table for `interpolate`: as int64, or traced as `like` is."""
    return like.table(name) if isinstance(like, Traced) else table(name).astype(np.int64)


def lookup(name: str, value: ArrayLike) -> Ints:
    """Interpolate a table of `TABLES` linearly at an int16 Q3.12 value; the result is Q0.15."""
    if isinstance(value, Traced):
        return value.lookup(name)
    return _everywhere(name)[_wide(value) + (1 << 15)]


@functools.cache
def _everywhere(name: str) -> Ints:
    """Return a table interpolated at each int16: to look it up is three times as fast."""
    return interpolate(table(name).astype(np.int64), np.arange(1 << 16), 8)


def split(value: Ints, parts: int) -> Sequence[Ints]:
    """Return equal parts of the last axis."""
    if isinstance(value, Traced):
        return value.split(parts)
    size = value.shape[-1] // parts
    return [value[..., k * size : (k + 1) * size] for k in range(parts)]


def largest(value: Ints, count: int) -> Ints:
    """Return the `count` largest values of the last axis, in descending order."""
    if isinstance(value, Traced):
        return value.largest(count)
    return np.sort(np.partition(value, -count, axis=-1)[..., -count:], axis=-1)[..., ::-1]


def switch(number: int, *cases: Callable[[], Ints]) -> Ints:
    """Return the result of the case at a position; a traced number runs all, and chooses one."""
    if not isinstance(number, Traced):
        return cases[number]()
    result = cases[-1]()
    for position in reversed(range(len(cases) - 1)):
        result = np.where(number == position, cases[position](), result)
    return result


def _wide(value: Any) -> Any:
    """Return int64, or a traced tensor as it is."""
    return value if isinstance(value, Traced) else np.asarray(value, dtype=np.int64)


#: Function of each table, whose nodes are its values at -8, -8 + 1/16, ..., 8; "reciprocal" and
#: "log2" at 1, 1 + 1/256, ..., 2. In Q0.15, log_sigmoid in Q3.12; "decay" is within +-12055.
_FUNCTIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "decay": lambda x: x * np.exp(-np.abs(x)),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)) / 8,
    "reciprocal": lambda x: 1 / (1.5 + x / 16),
    "log2": lambda x: np.log2(1.5 + x / 16),
}


@functools.cache
def table(name: str) -> NDArray[np.int16]:
    """Return a constant table of `TABLE_SIZE` nodes, within +-32767: one of `TABLES`."""
    real = _FUNCTIONS[name]((np.arange(TABLE_SIZE) - 128) / 16)
    scaled = np.floor(real * (1 << 15) + 0.5)
    nodes = np.clip(scaled, -INT16_MAX, INT16_MAX).astype(np.int16)
    nodes.flags.writeable = False
    return nodes


#: Constant tables by name.
TABLES = {name: functools.partial(table, name) for name in _FUNCTIONS}

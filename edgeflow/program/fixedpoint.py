"""The integer arithmetic that every part of EdgeFlow agrees on.

Everything here is defined for every input; ``docs/integer-semantics.md`` says why it looks
like this, ``firmware/kernels/ef_math.h`` is the same in C and ``onnx_functions`` in ONNX.
All functions take and return int64 arrays so that nothing wraps; results fit the range given.
"""

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def saturate(value: ArrayLike, low: int = INT16_MIN, high: int = INT16_MAX) -> Ints:
    """Clip to [low, high], int16 by default."""
    return np.clip(np.asarray(value, dtype=np.int64), low, high)


def shift_right_round(value: ArrayLike, bits: int) -> Ints:
    """Return ``floor(value / 2**bits + 1/2)`` (arithmetic shift, half rounds up)."""
    value = np.asarray(value, dtype=np.int64)
    return (value + (1 << (bits - 1))) >> bits


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
    acc = np.asarray(accumulator, dtype=np.int64) << shift
    return saturate((acc * np.asarray(multiplier, dtype=np.int64) + (1 << 31)) >> 32)


def lookup(table: NDArray[np.int16], value: ArrayLike) -> Ints:
    """Interpolate a 257-entry table linearly at an int16 Q3.12 value; the result is Q0.15."""
    position = np.asarray(value, dtype=np.int64) + (1 << 15)
    index, fraction = position >> 8, position & 0xFF
    nodes = table.astype(np.int64)
    left = nodes[index]
    return left + (((nodes[index + 1] - left) * fraction + 128) >> 8)


@functools.cache
def sigmoid_table() -> NDArray[np.int16]:
    """Return sigmoid at -8, -8 + 1/16, ..., 8 in Q0.15, at most 32767."""
    x = (np.arange(TABLE_SIZE) - 128) / 16
    return _q15(1 / (1 + np.exp(-x)))


@functools.cache
def tanh_table() -> NDArray[np.int16]:
    """Return tanh at -8, -8 + 1/16, ..., 8 in Q0.15, within +-32767."""
    x = (np.arange(TABLE_SIZE) - 128) / 16
    return _q15(np.tanh(x))


@functools.cache
def decay_table() -> NDArray[np.int16]:
    """Return ``x exp(-abs(x))`` at -8, -8 + 1/16, ..., 8 in Q0.15, within +-12055."""
    x = (np.arange(TABLE_SIZE) - 128) / 16
    return _q15(x * np.exp(-np.abs(x)))


@functools.cache
def log_sigmoid_table() -> NDArray[np.int16]:
    """Return the logarithm of sigmoid at -8, -8 + 1/16, ..., 8 in Q3.12, not below -32767."""
    x = (np.arange(TABLE_SIZE) - 128) / 16
    return _q15(-np.log1p(np.exp(-x)) / 8)


@functools.cache
def reciprocal_table() -> NDArray[np.int16]:
    """Return 1 / m at m = 1, 1 + 1/256, ..., 2 in Q0.15, at most 32767."""
    return _q15(1 / (1 + np.arange(TABLE_SIZE) / 256))


def _q15(real: NDArray[np.float64]) -> NDArray[np.int16]:
    scaled = np.floor(real * (1 << 15) + 0.5)
    table = np.clip(scaled, -INT16_MAX, INT16_MAX).astype(np.int16)
    table.flags.writeable = False
    return table

"""A quantized affine map: int8 weights, int32 bias and one multiplier per row.

It is dense or delta, or of low rank: a product of two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import INT32_MAX, Ints, largest_magnitude, requantize

#: Rows and columns are 16-bit numbers in C.
MAX_SIZE = 65535
#: A threshold is a 16-bit number in C, a group an 8-bit one.
MAX_THRESHOLD, MAX_GROUP = 65535, 255


def round_up(size: int) -> int:
    """Return `size` up to a multiple of 4: kernels may read x that far, and pairs stay aligned."""
    return -(-size // 4) * 4


@dataclass(frozen=True, eq=False, repr=False)
class Matrix:
    """``y = requantize(weight @ x + bias, multiplier, shift)``, int16 in and out.

    A delta matrix (Neil et al. 2016, arXiv 1612.05571) reads ``x_hat = hold(x, x_hat)`` instead:
    values that moved by less than the threshold keep what they were, and cost nothing.

    One of low rank has a factor: it reads ``factor.apply(x)``, so that a matrix [rows, inputs] of
    rank r takes ``r (rows + inputs)`` multiplications.

    Parameters
    ----------
    weight : int8 array [rows, cols]
        In [-127, 127]: -128 is left out so that two rows can share a halfword.
    bias : int32 array [rows]
        In units of the accumulator.
    multiplier : int32 array [rows]
        In [0, 2**31).
    shift : int
        In 1..15.
    input_bits : int
        Declared width of x, 2..16: its values are within `largest_magnitude`.
    threshold : int
        0: dense. 1..65535: least change that updates a column, in units of x.
    group : int
        Columns updated together, 1..255: all of a group if one of them changes enough.
    factor : Matrix, optional
        [cols, inputs]: what x is multiplied by first. It may be a delta one; this one is not then.

    Raises
    ------
    ProgramError
        If a value is out of range, the accumulator could overflow for some input, or the factor's
        result leave `input_bits`.
    """

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: int
    input_bits: int
    threshold: int = 0
    group: int = 1
    factor: "Matrix | None" = None

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.weight.dtype != np.int8 or 0 in self.weight.shape:
            raise ProgramError("weights must be a non-empty int8 matrix")
        if max(self.weight.shape) > MAX_SIZE:
            raise ProgramError(f"a matrix of {self.rows} x {self.cols} has a side over {MAX_SIZE}")
        for name in ("bias", "multiplier"):
            array = getattr(self, name)
            if array.dtype != np.int32 or array.shape != (self.rows,):
                raise ProgramError(
                    f"{name} must be int32 with one value for each of {self.rows} rows"
                )
        if self.weight.min() < -127:
            raise ProgramError("a weight is -128; the range is [-127, 127]")
        if self.multiplier.min() < 0:
            raise ProgramError("a multiplier is negative; the range is [0, 2**31)")
        if not 1 <= self.shift <= 15:
            raise ProgramError(f"shift {self.shift} is not in 1..15")
        if not 2 <= self.input_bits <= 16:
            raise ProgramError(f"input width {self.input_bits} is not in 2..16 bits")
        if not 0 <= self.threshold <= MAX_THRESHOLD or not 1 <= self.group <= MAX_GROUP:
            raise ProgramError(
                f"threshold {self.threshold} is not in 0..{MAX_THRESHOLD}, or group {self.group} "
                f"not in 1..{MAX_GROUP}"
            )
        if not self.threshold and self.group != 1:
            raise ProgramError("a group needs a threshold of at least 1")
        bound = self.accumulator_bound() << self.shift
        if bound.max() > INT32_MAX:
            raise ProgramError(
                f"row {int(bound.argmax())} can overflow its 32-bit accumulator (bound "
                f"{int(bound.max())}): use narrower activations or fewer columns"
            )
        if self.factor is not None:
            self._check_factor(self.factor)

    def _check_factor(self, factor: "Matrix") -> None:
        if factor.rows != self.cols or factor.factor is not None or self.threshold:
            raise ProgramError(
                f"a factor of {factor.rows} rows for {self.cols} columns: it needs as many, no "
                "factor of its own, and to be the one that has the threshold"
            )
        reach = requantize(factor.accumulator_bound(), factor.multiplier, factor.shift)
        if int(reach.max()) > largest_magnitude(self.input_bits):
            raise ProgramError(
                f"row {int(reach.argmax())} of a factor can reach {int(reach.max())}, beyond the "
                f"{self.input_bits} bits that are read"
            )

    @property
    def rows(self) -> int:
        return int(self.weight.shape[0])

    @property
    def cols(self) -> int:
        return int(self.weight.shape[1])

    @property
    def inputs(self) -> int:
        """Number of values of x."""
        return self.cols if self.factor is None else self.factor.cols

    @property
    def x_bits(self) -> int:
        """Declared width of x."""
        return self.input_bits if self.factor is None else self.factor.input_bits

    @property
    def weight_bits(self) -> int:
        """Bits that kernels store a weight in: 4 where all fit, else 8."""
        return 4 if int(np.abs(self.weight.astype(np.int64)).max()) <= 7 else 8

    def __repr__(self) -> str:
        details = [f"int{self.weight_bits}", f"reads {self.input_bits} bits"]
        if self.threshold:
            details.append(f"threshold {self.threshold}")
        if self.factor is not None:
            details.append(f"factor {self.factor.rows}x{self.factor.cols}")
        return f"{type(self).__name__}({self.rows}x{self.cols}, {', '.join(details)})"

    def accumulator_bound(self) -> Ints:
        """Return the largest magnitude that each row's accumulator, or a partial sum, can reach."""
        magnitude = np.abs(self.weight.astype(np.int64)).sum(axis=1) * largest_magnitude(
            self.input_bits
        )
        return magnitude + np.abs(self.bias.astype(np.int64))

    def accumulate(self, x: Ints) -> Ints:
        """Return ``x @ weight.T + bias`` for x [..., cols]."""
        # float64 holds these sums exactly (below 2**53) and has a fast product
        product = x.astype(np.float64) @ self.weight.T.astype(np.float64)
        return product.astype(np.int64) + self.bias

    def hold(self, x: Ints, held: Ints) -> Ints:
        """Return x_hat [..., cols] after a sample x, given what was held before.

        It is 0 after a reset. Where ``abs(x - x_hat) >= threshold`` for any of a group of columns,
        the whole group becomes x.
        """
        updated = np.abs(x - held) >= self.threshold
        if self.group > 1:
            padded = np.pad(updated, [(0, 0)] * (x.ndim - 1) + [(0, -self.cols % self.group)])
            groups = padded.reshape(*x.shape[:-1], -1, self.group).any(axis=-1)
            updated = np.repeat(groups, self.group, axis=-1)[..., : self.cols]
        return np.where(updated, x, held)

    def apply(self, x: Ints) -> Ints:
        """Return the int16 result [..., rows] for x [..., cols]."""
        if self.factor is not None:
            x = self.factor.apply(x)
        return requantize(self.accumulate(x), self.multiplier, self.shift)

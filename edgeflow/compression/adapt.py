"""Read-outs that learn on the device, made of a trained one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.program.confidence import exponent_scale
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.adaptive_linear import HALF_RANGE, weight_limit
from edgeflow.program.nodes.head_linear import MASTER_FRACTION, ONE_FRACTION, HeadLinear
from edgeflow.program.nodes.prototype_linear import (
    FULL,
    RATE_FRACTION,
    SHIFT_FRACTION,
    PrototypeLinear,
)

#: How many times as large as the largest trained weight a learned one may become.
ROOM = 4.0


@dataclass(frozen=True)
class Rows:
    """Trained rows in one unit, with room to grow.

    Parameters
    ----------
    base : int16 array [outputs * inputs]
    bias : int32 array [outputs]
    multiplier : int
        2^31 times `unit`.
    unit : float
        Units of y of a product of a weight and an x of 1.
    """

    base: NDArray[np.int16]
    bias: NDArray[np.int32]
    multiplier: int
    unit: float

    @classmethod
    def of(cls, matrix: Matrix) -> "Rows":
        """Return the rows of a read-out that is neither delta nor of low rank."""
        limit = weight_limit(matrix.cols, matrix.input_bits)
        ratio = matrix.multiplier.astype(np.float64) * 2.0 ** (matrix.shift - 32)
        weight = matrix.weight * ratio[:, None]
        bias = matrix.bias * ratio
        unit = max(
            ROOM * float(np.abs(weight).max()) / limit, float(np.abs(bias).max()) / HALF_RANGE
        )
        multiplier = int(np.clip(round(unit * 2.0**31), 1, 2**31 - 1))
        unit = multiplier * 2.0**-31
        base = np.clip(np.round(weight / unit), -limit, limit)
        offset = np.clip(np.round(bias / unit), -HALF_RANGE, HALF_RANGE)
        return cls(base.reshape(-1).astype(np.int16), offset.astype(np.int32), multiplier, unit)


def _fraction(value: float, most: int, highest: int = 30) -> tuple[int, int]:
    """Return m <= `most` and a shift of 1..`highest` with ``m / 2^shift`` about `value`."""
    shift = next((s for s in range(highest, 1, -1) if round(value * 2**s) <= most), 1)
    return min(round(value * 2**shift), most), shift


def with_prototypes(
    name: str, matrix: Matrix, prototypes: ArrayLike, *, prior: float, gain: float
) -> PrototypeLinear:
    """Return the read-out whose rows follow the means of labelled x.

    Parameters
    ----------
    name : str
    matrix : Matrix [outputs, inputs]
    prototypes : array [outputs, inputs]
        Means of x in the training data, in units of x.
    prior : float
        Examples that a prototype of the training data counts for, 0.25 or more.
    gain : float
        What the squared distance of two x that differ by their whole range in one value counts in
        y: units of y.
    """
    rows, largest = Rows.of(matrix), symmetric_max(matrix.input_bits)
    counts, means = np.arange(FULL + 1), np.asarray(prototypes, np.float64)
    rates = np.round((1 << RATE_FRACTION) / (counts + prior)).clip(0, 1 << RATE_FRACTION)
    # of a change of a row by one unit of x, in units of y
    slope = gain / largest**2 / rows.unit
    factor, shift = _fraction(slope / (1 << SHIFT_FRACTION), 1 << 14)
    return PrototypeLinear(
        name, matrix, rows.base, rows.bias, rows.multiplier,
        np.round(means).clip(-largest, largest).reshape(-1).astype(np.int16),
        rates.astype(np.int16), factor, shift,
    )  # fmt: skip


def with_descent(
    name: str, matrix: Matrix, output_scale: float, *, keep: int, passes: int, rate: float
) -> HeadLinear:
    """Return the read-out that is trained on the last `keep` examples of each class.

    `rate` is that of gradient descent on outputs of a unit of `output_scale`, with x of 1 at the
    end of its range.
    """
    rows = Rows.of(matrix)
    # a weight of 1 is so many units of masters per unit of x of 2^-11
    unit = rows.unit * output_scale * (1 << ONE_FRACTION)
    slope = rate / unit * 2.0**MASTER_FRACTION / (1 << ONE_FRACTION)
    factor, shift = _fraction(slope / (1 << 15), (1 << 15) - 1)
    exponent, exponent_shift = exponent_scale(output_scale)
    return HeadLinear(
        name, matrix, rows.base, rows.bias, rows.multiplier, keep, passes, factor, shift,
        exponent, exponent_shift,
    )  # fmt: skip

r"""A sensor's int16 counts as the integers that a step reads, without a float.

A count :math:`c` of a channel is :math:`c / k` in the unit of the data, for :math:`k` counts per
unit; the program's input is :math:`(c / k - o) / s` of offset o and scale s, rounded and clipped.
That is an affine map of c, taken with a multiplier :math:`m`, a bias :math:`b` and a shift
:math:`n` of each channel, which are made of the float32 values as they are, in exact arithmetic:

.. math::
    x = clip\left(\left\lfloor \frac{c \, m + b}{2^n} \right\rfloor\right), \qquad
    m = round\left(\frac{2^n}{k s}\right), \qquad
    b = round\left(-\frac{o}{s} 2^n\right) + 2^{n - 1}

Halves of c m + b are rounded up. Where 32 bits hold the sum for every count, n is the largest for
which they do; :attr:`CountsFormat.error` then bounds the distance of (c m + b) / 2^n - 1/2 from the
exact value wherever that is not clipped. Sums are of 64 bits where this is more than `MOST_ERROR`.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.input_format import InputFormat

#: Of a unit of the input. With rounding, and with the error of float32, the result is within one
#: unit of what the float path gives.
MOST_ERROR = Fraction(9, 10)
#: Largest shifts, of sums of 32 and 64 bits.
_SHIFTS = {32: 30, 64: 46}
#: Least and largest counts per unit.
RANGE = (1e-6, 1e9)


@dataclass(frozen=True, eq=False)
class CountsFormat:
    """The integer map of a program's input from counts.

    Attributes
    ----------
    multiplier, bias : int64 array [channels]
        Those of sums of 32 bits are within int32.
    shift : int64 array [channels]
        0..46.
    wide : bool
        Whether sums need 64 bits.
    limit : int
        Largest magnitude of the result.
    error : float
        Largest distance from the exact value before rounding, in units of the input.
    """

    multiplier: NDArray[np.int64]
    bias: NDArray[np.int64]
    shift: NDArray[np.int64]
    wide: bool
    limit: int
    error: float

    @classmethod
    def of(cls, form: InputFormat, per_unit: ArrayLike) -> "CountsFormat":
        """Return the map of a sensor with so many counts per unit, of each channel.

        Raises
        ------
        ProgramError
            If a number of counts is out of range, or one count more than the input's whole range.
        """
        counts = np.asarray(per_unit, dtype=np.float64)
        low, high = RANGE
        if counts.shape != (len(form.channels),) or not ((counts >= low) & (counts <= high)).all():
            raise ProgramError(
                f"counts per unit {counts.tolist()}: give one of {low:g} to {high:g} for each of "
                f"{len(form.channels)} channels"
            )
        limit = symmetric_max(form.bits)
        scales = [Fraction(float(scale)) for scale in form.scale]
        slopes = [1 / (Fraction(float(k)) * s) for k, s in zip(counts, scales, strict=True)]
        starts = [-Fraction(float(o)) / s for o, s in zip(form.offset, scales, strict=True)]
        for name, slope in zip(form.channels, slopes, strict=True):
            if slope > 2 * limit:
                raise ProgramError(
                    f"channel '{name}': one count of the sensor is more than the whole range of "
                    "the input: more counts per unit are needed"
                )
        for bits in (32, 64):
            rows = [_row(*line, bits, limit) for line in zip(slopes, starts, strict=True)]
            error = max(row[3] for row in rows)
            if error <= MOST_ERROR:
                break
        else:
            raise ProgramError(f"an offset of the input is out of range: {form.offset.tolist()}")
        m, b, n = (np.array(column, np.int64) for column in list(zip(*rows, strict=True))[:3])
        return cls(m, b, n, bits == 64, limit, float(error))

    def quantize(self, counts: ArrayLike) -> NDArray[np.int16]:
        """Return int16 for counts int16 [..., channels].

        Raises
        ------
        ProgramError
            If they are no int16, or of another number of channels.
        """
        c = np.asarray(counts)
        n = len(self.shift)
        if c.dtype != np.int16 or c.ndim == 0 or c.shape[-1] != n:
            raise ProgramError(f"counts must be int16 [..., {n}], not {c.dtype} {list(c.shape)}")
        value = (c.astype(np.int64) * self.multiplier + self.bias) >> self.shift
        return np.clip(value, -self.limit, self.limit).astype(np.int16)


def _row(slope: Fraction, start: Fraction, bits: int, limit: int) -> tuple[int, int, int, Fraction]:
    """Return multiplier, bias, shift and error bound of slope * c + start in sums of `bits`."""
    shift, top = _SHIFTS[bits], 2 ** (bits - 1) - 1
    while True:
        half = 2**shift // 2
        m, b = round(slope * 2**shift), round(start * 2**shift) + half
        if abs(m) * 2**15 + abs(b) <= top or shift == 0:
            break
        shift -= 1
    if abs(m) * 2**15 + abs(b) > top:
        return m, b, shift, Fraction(2**40)
    # counts whose exact value is not clipped; the error grows with the count
    most = min(Fraction(2**15), (limit + 1 + abs(start)) / slope)
    error = abs(Fraction(m, 2**shift) - slope) * most
    return m, b, shift, error + abs(Fraction(b - half, 2**shift) - start)

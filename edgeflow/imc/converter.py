"""The converters around an array: a DAC for its inputs, an ADC for the sums of its columns."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ImcError
from edgeflow.program.fixedpoint import Ints, symmetric_max

#: Fewest and most bits of a converter.
MIN_BITS, MAX_BITS = 2, 16


@dataclass(frozen=True, eq=False)
class Converter:
    """A symmetric mid-tread quantizer: ``2**bits - 1`` levels from -bound to bound, 0 among them.

    Steps are ``2 * bound / (2**bits - 2)``; halves round to even, what is beyond the bound is
    clipped. Codes are those of the DAC and ADC of aihwkit 1.1.0 (``UniformQuantize`` and the clamp
    behind it, of a ``TorchInferenceRPUConfig`` with ``2**bits - 2`` steps and no noise), as long as
    it is float32 that is converted. Arithmetic is of the type of the values, float64 for integers;
    an array of bounds takes part in it.

    Parameters
    ----------
    bits : int
        2..16.
    bound : float or array
        Largest magnitude, above 0, in the units of what is converted. An array has one value for
        each of the last axis: a converter a column.

    Raises
    ------
    ImcError
        If a value is out of range.
    """

    bits: int
    bound: float | NDArray[np.floating[Any]]

    def __post_init__(self) -> None:
        if self.bits not in range(MIN_BITS, MAX_BITS + 1):
            raise ImcError(
                f"a converter of {self.bits} bits: it must have {MIN_BITS} to {MAX_BITS}"
            )
        bound = np.asarray(self.bound)
        wrong = bound[~(np.isfinite(bound) & (bound > 0))]
        if wrong.size:
            raise ImcError(
                f"a converter with a bound of {wrong[0]}: it must be above 0 and finite; calibrate "
                "it on inputs that reach the converter"
            )
        if bound.ndim == 0:  # a float leaves float32 what it is, a numpy.float64 does not
            object.__setattr__(self, "bound", float(bound))

    @cached_property
    def step(self) -> Any:
        """Distance of two levels, in the units of `bound`; an array if that is one."""
        return 2 * self.bound / (2 ** int(self.bits) - 2)

    def codes(self, x: ArrayLike) -> Ints:
        """Return the codes of values, within ``2**(bits - 1) - 1`` of 0."""
        return self._rounded(x).astype(np.int64)

    def convert(self, x: ArrayLike) -> NDArray[Any]:
        """Return the level nearest to each value, ``codes(x) * step``, in the units of `bound`."""
        return self._rounded(x) * self.step

    def _rounded(self, x: ArrayLike) -> NDArray[Any]:
        top = symmetric_max(self.bits)
        return np.clip(np.rint(np.asarray(x) / self.step), -top, top)

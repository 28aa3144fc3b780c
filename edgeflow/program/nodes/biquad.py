"""Any recursive filter as second-order sections, with proven bounds of its sums and its error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import INT32_MAX, Ints, clip, largest_magnitude, shift_right_round
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.front import FrontEnd
from edgeflow.program.sections import Cascade

#: Fractional bits of coefficients and gains.
COEFFICIENT = 28
#: What every section gives stays below: three products by less than 2^31 and two by 2^29 and 2^28
#: then fit 64 bits.
LIMIT = 1 << 30
#: Most sections, which the step unrolls.
MAX_SECTIONS = 8


@dataclass(frozen=True, eq=False, repr=False)
class Biquad(FrontEnd):
    r"""Second-order sections in direct form I, each reading the one before it.

    With :math:`v_0 = 2^{fraction} x` and coefficients in Q28:

    .. math:: v_k(t) = (b_0 v_{k-1}(t) + b_1 v_{k-1}(t - 1) + b_2 v_{k-1}(t - 2)
              - a_1 v_k(t - 1) - a_2 v_k(t - 2) + 2^{27}) \gg 28

    y is x with :math:`clip((v_{last} + 2^{fraction - 1}) \gg fraction)` in the place of the values.
    After a reset the past is that of a signal that has always been the first sample: all v_k are
    :math:`v_0` times `steady`.

    No sum can overflow: the l1 norm of the impulse response from x to each section, and those from
    each rounding to the sections behind it, are computed from the integers when the node is made,
    and must keep all :math:`|v_k|` below :math:`2^{30}` for any input of its width.

    Oppenheim and Schafer, Discrete-Time Signal Processing, chapter 6: bounds by absolute sums.

    Parameters
    ----------
    name : str
    size, bits, first, count
        As of every front end.
    coefficients : int32 array [5 * sections]
        b_0, b_1, b_2, a_1, a_2 of each section, Q28.
    steady : int32 array [sections]
        What v_k is of a constant v_0 of 1, Q28.
    sections : int
        1..`MAX_SECTIONS`.
    fraction : int
        Bits of the sections' values below a unit of x, 1..20.
    """

    coefficients: NDArray[np.int32]
    steady: NDArray[np.int32]
    sections: int
    fraction: int

    op_type = "Biquad"
    array_fields = {
        "coefficients": (-INT32_MAX, INT32_MAX), "steady": (-INT32_MAX, INT32_MAX),
    }  # fmt: skip
    int_fields = {
        **FrontEnd.int_fields, "sections": (1, MAX_SECTIONS), "fraction": (1, 20),
    }  # fmt: skip
    unrolled_fields = ("sections",)
    state_fields = {"past": ("values", 32), "started": (1, 2)}
    c_struct = "ef_biquad"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            (self.coefficients.size, self.steady.size) == (5 * self.sections, self.sections),
            f"{self.sections} sections need {5 * self.sections} coefficients and {self.sections} "
            f"gains, not {self.coefficients.size} and {self.steady.size}",
        )
        a = self.coefficients.reshape(-1, 5)[:, 3:].astype(np.int64)
        one = 1 << COEFFICIENT
        stable = (np.abs(a[:, 1]) < one) & (np.abs(a[:, 0]) < one + a[:, 1])
        self.require(stable, "a section is not stable: its poles are not within the unit circle")
        self.require(
            np.abs(_steady(self.coefficients) - self.steady) <= 1,
            "a steady gain is not that of the sections",
        )
        reach = self._reach
        self.require(
            reach < LIMIT,
            f"a section could reach 2^{np.log2(float(reach.max())):.1f}: at most 2^30 is safe",
        )

    @property
    def outputs(self) -> int:
        return self.size

    @property
    def values(self) -> int:
        """Values of the past: of x and of each section, two samples."""
        return 2 * (self.sections + 1) * self.count

    @property
    def _cascade(self) -> Cascade:
        return Cascade(self.coefficients.reshape(-1, 5) / float(1 << COEFFICIENT))

    @property
    def _noise(self) -> NDArray[np.float64]:
        """Largest error [sections] of each v_k, in its units, that all roundings add up to.

        One of half a unit in each step. And those of the two steady values, each half a unit and
        what the gain's rounding makes of a value below 2^30: ``v_k`` is off by d twice, as errors
        of d - b_0 d and of d + a_1 d - (b_0 + b_1) d would make it, with ``|a_1| < 2``.
        """
        steps, peaks = self._cascade.noise_gains()
        b = np.abs(self._cascade.coefficients[:, :2])
        start = (0.5 + 2.0) * (4 + 2 * b[:, 0] + b[:, 1])
        total: NDArray[np.float64] = (0.5 * steps + start[:, None] * peaks).sum(axis=0)
        return total

    @property
    def _reach(self) -> NDArray[np.float64]:
        largest = float(largest_magnitude(self.bits) << self.fraction)
        reach: NDArray[np.float64] = largest * self._cascade.gains() + self._noise
        return np.append(reach, largest)

    @property
    def rounding_error(self) -> float:
        """Largest distance of y from the same filter without rounding, in units of x, unclipped."""
        return float(self._noise[-1]) / (1 << self.fraction) + 0.5

    def error(self, sos: NDArray[np.float64]) -> float:
        """Return the largest distance of y from a float filter, in units of x, unclipped.

        Parameters
        ----------
        sos : float64 array [any, 6]
            Second-order sections as scipy gives them.
        """
        largest = largest_magnitude(self.bits)
        return self.rounding_error + largest * self._cascade.distance(Cascade.of_sos(sos))

    def macs(self) -> int:
        return 5 * self.sections * self.count

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        count, started = self.count, state["started"] > 0
        first = v = self.chosen(x).astype(np.int64) << self.fraction
        past: list[Ints] = []
        before = [np.where(started, _part(state["past"], k, count), first) for k in range(2)]
        for k in range(self.sections):
            b0, b1, b2, a1, a2 = (
                self.coefficients[5 * k + i : 5 * k + i + 1].astype(np.int64) for i in range(5)
            )
            gain = self.steady[k : k + 1].astype(np.int64)
            steady = shift_right_round(gain * first, COEFFICIENT)
            given = [
                np.where(started, _part(state["past"], 2 * k + 2 + i, count), steady)
                for i in range(2)
            ]
            past += [v, before[0]]
            total = b0 * v + b1 * before[0] + b2 * before[1] - a1 * given[0] - a2 * given[1]
            v, before = shift_right_round(total, COEFFICIENT), given
        past += [v, before[0]]
        y = self.placed(x, clip(shift_right_round(v, self.fraction), self.bits))
        following = {"past": np.concatenate(past, axis=1), "started": state["started"] * 0 + 1}
        return y, following


def _steady(coefficients: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the steady gains [sections] of integer coefficients, in their unit."""
    c = coefficients.reshape(-1, 5).astype(np.float64)
    one = float(1 << COEFFICIENT)
    gains: NDArray[np.float64] = one * np.cumprod(
        c[:, :3].sum(axis=1) / np.maximum(one + c[:, 3:].sum(axis=1), 1)
    )
    return gains


def _part(past: Ints, number: int, count: int) -> Ints:
    return past[:, number * count : (number + 1) * count]


def biquad_of(
    name: str, size: int, bits: int, first: int, count: int, sos: NDArray[np.float64]
) -> Biquad:
    """Return the node of a filter's second-order sections.

    Sections are scaled such that none but the last gives more than its input has, which leaves the
    values between them as many bits below a unit as fit.

    Parameters
    ----------
    sos : float64 array [sections, 6]
        As scipy's ``output="sos"``: b_0, b_1, b_2, 1, a_1, a_2.

    Raises
    ------
    ProgramError
        If the filter is not stable, or its gains do not fit.
    """
    scaled = Cascade.of_sos(sos).balanced().coefficients
    one = float(1 << COEFFICIENT)
    if (largest := float(np.abs(scaled).max())) >= 8:
        raise ProgramError(
            f"layer {name}: a coefficient of {largest:.3g}: they are below 8, so use a smaller gain"
        )
    coefficients = np.round(scaled * one).astype(np.int32)
    steady = np.clip(np.round(_steady(coefficients)), -INT32_MAX, INT32_MAX).astype(np.int32)
    gains = Cascade(coefficients / one).gains()
    room = np.log2(LIMIT / (float(largest_magnitude(bits)) * max(1.0, float(gains.max()))))
    for fraction in range(int(np.clip(np.floor(room), 1, 20)), 0, -1):
        try:
            return Biquad(
                name, size, bits, first, count, coefficients.reshape(-1),
                steady, len(scaled), fraction,
            )  # fmt: skip
        except ProgramError:
            if fraction == 1:
                raise
    raise AssertionError

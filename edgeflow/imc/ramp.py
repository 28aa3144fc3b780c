"""The nonlinear ramp ADC: a gate's function out of a column of memristors, without a table.

A ramp ADC compares a column's voltage with a ramp, and counts clocks until the ramp is above it.
Here each step of the ramp is made by a memristor of one more column of the array: steps as wide as
the differences of ``f^-1((k + 1/2) / (2**bits - 1))`` make the count the code of ``f(x)``.

Source: Yang et al., Nature Communications 16 (2025), s41467-025-56254-6, arXiv 2411.18271: 2**bits
devices make the ramp, 5 more shift it, which repairs errors of programming and devices that are
stuck off (fig. 3). Its full text could not be read. EdgeFlow's own are therefore: the largest step
takes g_max; the ramp starts one step before its first threshold; the shift makes the zero crossing
right; its devices are programmed one after another, each for what those before it left, and stay
off if that is worse.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ImcError
from edgeflow.program.fixedpoint import INT16_MAX, INT16_MIN, PREACTIVATION_FRACTION, Ints

Floats = NDArray[np.float64]

#: Fewest and most bits of a ramp.
MIN_BITS, MAX_BITS = 2, 8
#: Devices that shift a ramp.
SHIFT_DEVICES = 5
#: (low, slope) of each function: low + (1 - low) / (1 + exp(-slope x)).
_SHAPES = {"sigmoid": (0, 1), "tanh": (-1, 2)}


@dataclass(frozen=True, eq=False)
class Ramp:
    """A nonlinear ramp ADC: code k, of 0..2**bits - 1, is a level of its function's range.

    Make one with `ideal` or `drawn`.

    Attributes
    ----------
    function : str
        "sigmoid" or "tanh".
    bits : int
        2..8.
    raw : float64 array [2**bits - 1]
        Where the code changes from k to k + 1 without the calibration, in units of Q3.12 (4096 is
        1.0); never falling.
    shift : float
        What the calibration devices add to all of `raw`.
    """

    function: str
    bits: int
    raw: Floats
    shift: float = 0.0

    @classmethod
    def ideal(cls, function: str, bits: int) -> "Ramp":
        """Return the ramp of exact devices: f, its output rounded to one of 2**bits levels.

        Raises
        ------
        ImcError
            If there is no ramp of that function or width.
        """
        return cls(function, bits, _ideal_thresholds(function, bits))

    @classmethod
    def drawn(
        cls,
        function: str,
        bits: int,
        noise: float,
        rng: np.random.Generator,
        stuck_off: float = 0.0,
    ) -> "Ramp":
        """Return a ramp of devices as a chip has them, calibrated at its zero crossing.

        Parameters
        ----------
        function : str
            "sigmoid" or "tanh".
        bits : int
            2..8.
        noise : float
            Standard deviation of a device's conductance after programming, as a share of g_max.
        rng : numpy.random.Generator
            As many numbers are drawn for each chip, whatever they are.
        stuck_off : float
            Share of devices that do not conduct, calibration devices among them.

        Raises
        ------
        ImcError
            If there is no ramp of that function or width, or a share is not in [0, 1].

        Notes
        -----
        Largest errors of a chip, max |INL| in LSB, with a noise of 0.02: of 5 bits 0.58 in the
        mean (0.87 without the calibration), 0.94 in the 95th percentile, above 1 in 3 % of chips;
        of 4, 6, 7 and 8 bits 0.19, 1.7, 4.8 and 15 in the mean: steps in the middle are narrower
        than the noise.
        """
        for name, share in (("programming noise", noise), ("devices stuck off", stuck_off)):
            if not 0 <= share <= 1:
                raise ImcError(f"a ramp with {name} of {share}: give a share in [0, 1]")
        ideal = _ideal_thresholds(function, bits)
        steps = np.diff(ideal, prepend=2 * ideal[0] - ideal[1])
        g_max = steps.max()  # in units of the ramp
        errors = noise * rng.standard_normal(len(steps) + SHIFT_DEVICES)
        works = rng.random(len(steps) + SHIFT_DEVICES) >= stuck_off
        made = _made(steps / g_max, errors[: len(steps)], works[: len(steps)])
        raw = ideal[0] - steps[0] + g_max * np.cumsum(made)
        left = zero = raw[len(raw) // 2] / g_max
        for error, work in zip(errors[len(steps) :], works[len(steps) :], strict=True):
            after = left - np.sign(left) * _made(min(abs(left), 1.0), error, work)
            if abs(after) < abs(left):
                left = after
        return cls(function, bits, raw, float((left - zero) * g_max))

    @property
    def uncalibrated(self) -> "Ramp":
        """The same devices without the shift."""
        return replace(self, shift=0.0)

    @property
    def thresholds(self) -> Floats:
        """[2**bits - 1]: where the code changes from k to k + 1, in units of Q3.12."""
        return self.raw + self.shift

    @property
    def inl(self) -> Floats:
        """[2**bits - 1]: integral nonlinearity in LSB of the output.

        What f is at a threshold, above what it is at the ideal one.
        """
        at = _share(self.function, self.thresholds) * (2**self.bits - 1)
        return at - (np.arange(2**self.bits - 1) + 0.5)

    @property
    def dnl(self) -> Floats:
        """[2**bits - 2]: differential nonlinearity in LSB of the output; -1 is a missing code.

        How much further than one LSB f is at a threshold than at the one before.
        """
        return np.diff(self.inl)

    @property
    def levels(self) -> NDArray[np.int16]:
        """[2**bits]: what each code means, in Q0.15 within +-32767."""
        low, _ = _SHAPES[self.function]
        real = low + (1 - low) * np.arange(2**self.bits) / (2**self.bits - 1)
        scaled = np.floor(real * (1 << 15) + 0.5)
        return np.clip(scaled, -INT16_MAX, INT16_MAX).astype(np.int16)

    @cached_property
    def table(self) -> NDArray[np.int16]:
        """[65536]: the level at -32768, -32767, ..., 32767."""
        codes = np.searchsorted(self.thresholds, np.arange(INT16_MIN, INT16_MAX + 1), side="right")
        return self.levels[codes]

    def lookup(self, value: ArrayLike) -> Ints:
        """Return the level at an int16 Q3.12 value, in Q0.15; one at a threshold is above it."""
        return self.table[np.asarray(value, dtype=np.int64) - INT16_MIN].astype(np.int64)


def _ideal_thresholds(function: str, bits: int) -> Floats:
    if function not in _SHAPES:
        why = ", as it rises and falls" if function == "decay" else ""
        raise ImcError(f"there is no ramp of '{function}'{why} (there are: {', '.join(_SHAPES)})")
    if bits not in range(MIN_BITS, MAX_BITS + 1):
        raise ImcError(f"a ramp of {bits} bits: it must have {MIN_BITS} to {MAX_BITS}")
    _, slope = _SHAPES[function]
    share = (np.arange(2**bits - 1) + 0.5) / (2**bits - 1)
    return np.log(share / (1 - share)) / slope * (1 << PREACTIVATION_FRACTION)


def _share(function: str, value: Floats) -> Floats:
    """Return where in its range f is at Q3.12 values: 0 at the lowest, 1 at the highest."""
    _, slope = _SHAPES[function]
    return 1 / (1 + np.exp(-slope * value / (1 << PREACTIVATION_FRACTION)))


def _made(target: ArrayLike, error: Floats, works: NDArray[np.bool_]) -> Floats:
    """Return what conductances become, as shares of g_max: none is negative."""
    return np.maximum(np.asarray(target) + error, 0.0) * works

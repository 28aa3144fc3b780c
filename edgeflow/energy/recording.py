"""What a power probe recorded, whatever program or file it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from edgeflow.errors import EnergyError

#: Watts that no board takes.
_MOST_W = 1e5


@dataclass(frozen=True)
class Recording:
    """Power over time, and the digital lines beside it.

    Sample k is the mean from k to k + 1 samples after the start; what was not recorded is NaN.

    Attributes
    ----------
    rate_hz
        Samples a second.
    power_w
        float64 [n], in watts; NaN in gaps.
    current_a
        float64 [n], in amperes; None of a probe that tells energies only.
    digital
        Lines by name, bool [n].
    events
        Lines of which only edges are known, by name: seconds from the start, ascending.
    source
        The format or the probe, for messages.
    notes
        What the reader guessed or found missing, a line each.
    """

    rate_hz: float
    power_w: np.ndarray
    current_a: np.ndarray | None = None
    digital: Mapping[str, np.ndarray] = field(default_factory=dict)
    events: Mapping[str, np.ndarray] = field(default_factory=dict)
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not np.isfinite(self.rate_hz) or self.rate_hz <= 0:
            raise EnergyError(f"{self.source}: no rate of samples: {self.rate_hz:g} Hz")
        if len(self.power_w) < 2 or not np.isfinite(self.power_w).any():
            raise EnergyError(f"{self.source}: fewer than two samples of power")
        most = float(np.nanmax(np.abs(self.power_w)))
        if not most < _MOST_W:
            raise EnergyError(f"{self.source}: a power of {most:.3g} W: check the columns' units")

    def with_notes(self, *notes: str) -> "Recording":
        """Return the recording with further notes."""
        return replace(self, notes=self.notes + notes)

    def named(self, source: str) -> "Recording":
        """Return the recording with another name in messages."""
        return replace(self, source=source)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.power_w)

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to the end of the last one."""
        return self.samples / self.rate_hz

    @property
    def lost(self) -> int:
        """Number of samples in gaps."""
        return int(np.isnan(self.power_w).sum())

    @cached_property
    def _sums(self) -> np.ndarray:
        """Watts times samples up to the begin of each sample, float64 [n + 1]; gaps count as 0."""
        sums = np.zeros(self.samples + 1)
        np.cumsum(np.nan_to_num(self.power_w), out=sums[1:])
        return sums

    @cached_property
    def _missing(self) -> np.ndarray:
        """Samples in gaps up to the begin of each sample, int64 [n + 1]."""
        return np.concatenate([[0], np.cumsum(np.isnan(self.power_w))])

    def energy_j(self, begin: np.ndarray | float, end: np.ndarray | float) -> np.ndarray:
        """Return the energy between two places, in joules; what is in gaps counts as 0.

        Parameters
        ----------
        begin, end
            In samples from the start, fractions included.
        """
        places = np.arange(self.samples + 1)
        at = [np.interp(x, places, self._sums) for x in (begin, end)]
        return np.asarray((at[1] - at[0]) / self.rate_hz)

    def whole(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return which of some intervals, in samples, are recorded without a gap; bool."""
        low = np.floor(begin).astype(int)
        high = np.ceil(end).astype(int)
        inside = (low >= 0) & (high <= self.samples)
        low, high = (np.clip(x, 0, self.samples) for x in (low, high))
        return np.asarray(inside & (self._missing[high] == self._missing[low]))

"""Energy between edges that mark the time, as in the energy mode of MLPerf Tiny."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.energy.recording import Recording
from edgeflow.errors import EnergyError


@dataclass(frozen=True)
class Windows:
    """Measurements between two edges each.

    Attributes
    ----------
    inferences
        In each window.
    joules, seconds
        Of an inference, float64 [windows] each.
    """

    inferences: int
    joules: np.ndarray
    seconds: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values; the median is the benchmark's result."""
        return {
            "windows": len(self.joules),
            "inferences": self.inferences,
            "uj_per_inference": float(1e6 * np.median(self.joules)),
            "inferences_per_s": float(1 / np.median(self.seconds)),
            "uj_of_windows": (1e6 * self.joules).tolist(),
        }


def between_edges(recording: Recording, inferences: int, line: str | None = None) -> Windows:
    """Measure windows that begin and end with a falling edge each.

    Parameters
    ----------
    recording : Recording
    inferences : int
        In each window: N of ``infer N W``.
    line : str, optional
        Default: the only one with edges.

    Raises
    ------
    EnergyError
        If there is no such line, or its edges are no pairs.
    """
    edges = _edges(recording, line)
    whole = len(edges) // 2
    if whole == 0:
        raise EnergyError(f"{recording.source}: fewer than two edges mark the time")
    if len(edges) % 2:
        raise EnergyError(
            f"{recording.source}: {len(edges)} edges mark the time: one of a pair is missing"
        )
    begin, end = edges[::2] * recording.rate_hz, edges[1::2] * recording.rate_hz
    joules = recording.energy_j(begin, end) / inferences
    return Windows(inferences, joules, (end - begin) / recording.rate_hz / inferences)


def _edges(recording: Recording, line: str | None) -> np.ndarray:
    """Return the times of falling edges in seconds."""
    found = dict(recording.events)
    for name, levels in recording.digital.items():
        falls = np.flatnonzero(levels[:-1] & ~levels[1:]) + 1
        if len(falls):
            found.setdefault(name, falls / recording.rate_hz)
    if line is None:
        if len(found) == 1:
            return next(iter(found.values()))
        there = ", ".join(found) or "none"
        raise EnergyError(
            f"{recording.source}: say which line marks the time by --marker; with edges: {there}"
        )
    if line not in found:
        there = ", ".join(found) or "none"
        raise EnergyError(f"{recording.source}: no edges of '{line}'; there are: {there}")
    return found[line]

"""Steps in a recording: where each began and ended, by the edges of a digital line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgeflow.energy.recording import Recording
from edgeflow.errors import EnergyError

#: How much longer than nine of ten a pulse may be before an edge is taken to be missing.
_TOO_LONG = 1.5
#: Pulses of one sample are glitches where the others have this many.
_GLITCH = 5
#: Samples before and after an edge that may belong to it, and beside these that are flat.
_REACH, _SIDE = 3, 2
#: Samples by which the delays of rises and falls may differ.
_AGREE = 0.2
#: Share of the changes of a line of layers that are in steps.
_MOST_INSIDE = 0.9
#: Delay of a line that nothing is known of, and its spread.
_DELAY, _DELAY_SPREAD = -0.25, 0.25


@dataclass(frozen=True)
class Expected:
    """What ran while it was recorded, from a profile.

    Attributes
    ----------
    steps
        Number of steps that ran.
    layers
        Names of the layers, in order.
    step_s, longest_s
        Mean and longest duration of a step in seconds; None: not known.
    pace_hz
        Steps a second, of a paced run.
    marker_s
        Seconds that the marker's calls take of each step, and of each layer.
    """

    steps: int
    layers: tuple[str, ...] = ()
    step_s: float | None = None
    longest_s: float | None = None
    pace_hz: float | None = None
    marker_s: float = 0.0


@dataclass(frozen=True)
class Steps:
    """Steps of a recording.

    Attributes
    ----------
    begin, end
        In samples from the start, fractions included, float64 [steps].
    by
        How they were found: ``edges of D0`` or ``pattern``.
    confidence
        0..1: that what was found are the steps.
    marks
        Ends of the layers, float64 [steps, layers]; NaN of a step whose marks are not whole. None
        without a line of layers.
    notes
        What is missing, a line each.
    guard
        Samples beside a step that may hold a part of it.
    delay
        In samples, of edges; see `edge_delay`.
    """

    begin: np.ndarray
    end: np.ndarray
    by: str
    confidence: float = 1.0
    marks: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    guard: int = 2
    delay: float = 0.0


def edges_of(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first high and first low samples of a line's whole pulses, int64 [pulses] each."""
    change = np.flatnonzero(line[1:] != line[:-1]) + 1
    if line[0]:
        change = change[1:]
    whole = len(change) // 2 * 2
    return change[:whole:2], change[1:whole:2]


def choose_lines(
    recording: Recording, expected: Expected, marker: str | None, layers: str | None
) -> tuple[str | None, str | None]:
    """Return the names of the lines that mark steps and layers; None where there is none.

    Without a name the line is taken in whose pulses others change, and whose number of pulses is
    next to that of the steps.

    Raises
    ------
    EnergyError
        If there is no line of a name that was given.
    """
    digital = recording.digital
    for name in (marker, layers):
        if name is not None and name not in digital:
            there = ", ".join(digital) or "none"
            raise EnergyError(f"{recording.source}: no digital line '{name}'; there are: {there}")
    pulses = {name: len(edges_of(line)[0]) for name, line in digital.items()}
    if marker is None:
        likely = [
            name
            for name, found in pulses.items()
            if name != layers and 1 < found <= 2 * expected.steps
        ]
        marker = min(
            likely,
            key=lambda name: (-_inside(digital, name, likely), abs(pulses[name] - expected.steps)),
            default=None,
        )
    if layers is None and marker is not None and expected.layers:
        wanted = expected.steps * len(expected.layers)
        others = [
            name
            for name, line in digital.items()
            if name != marker and 0.5 * wanted <= np.count_nonzero(line[1:] != line[:-1])
        ]
        layers = others[0] if others else None
    return marker, layers


def _inside(digital: Mapping[str, np.ndarray], name: str, others: Sequence[str]) -> bool:
    """Return if another line changes, as that of layers does, in the pulses of a line alone."""
    line = digital[name]
    for other in others:
        at = np.flatnonzero(digital[other][1:] != digital[other][:-1]) + 1
        # a mark of the last layer may be in the sample of the end
        if other != name and len(at) and (line[at] | line[at - 1]).mean() > _MOST_INSIDE:
            return True
    return False


def by_edges(
    recording: Recording, expected: Expected, marker: str, layers: str | None = None
) -> Steps:
    """Find steps by a line that is high from begin to end of each.

    Pulses in which an edge is missing, so that they are longer than any step, are left out.

    Raises
    ------
    EnergyError
        If the line has no pulse.
    """
    begin, end = edges_of(recording.digital[marker])
    if len(begin) == 0:
        raise EnergyError(f"{recording.source}: the line {marker} has no pulse: is it connected?")
    begin, end = _without_glitches(begin, end)
    good = _of_one_step(begin, end, recording.rate_hz, expected)
    notes = list(recording.notes)
    found = int(good.sum())
    if found < expected.steps:
        notes.append(
            f"{marker} has whole pulses of {found:,} of {expected.steps:,} steps: the energy is of "
            "these"
        )
    elif found > expected.steps:
        notes.append(f"{marker} has {found:,} pulses, {expected.steps:,} steps were profiled")
    begin, end = begin[good], end[good]
    delay = edge_delay(recording, begin, end)
    steps = Steps(
        begin + delay, end + delay, f"edges of {marker}", min(1.0, found / expected.steps),
        notes=tuple(notes), delay=delay,
    )  # fmt: skip
    if layers is None:
        return steps
    marks, note = _marks(recording.digital[layers], begin, end, len(expected.layers), layers)
    added = () if note is None else (note,)
    return replace(steps, marks=marks + delay, notes=steps.notes + added)


def _without_glitches(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pulses without those, and without gaps, of one sample, if that is an exception."""
    if np.median(end - begin) < _GLITCH:
        return begin, end
    joined = np.concatenate([[False], begin[1:] - end[:-1] <= 1])
    last = np.append(~joined[1:], True)
    begin, end = begin[~joined], end[last]
    keep = end - begin > 1
    return begin[keep], end[keep]


def _of_one_step(
    begin: np.ndarray, end: np.ndarray, rate_hz: float, expected: Expected
) -> np.ndarray:
    """Return which pulses are of one step alone: not two with the edges between them missing."""
    length = end - begin
    limit = _TOO_LONG * float(np.percentile(length, 90))
    if expected.longest_s is not None:
        limit = max(limit, 1.1 * expected.longest_s * rate_hz + 2)
    return np.asarray(length <= limit)


def edge_delay(recording: Recording, begin: np.ndarray, end: np.ndarray) -> float:
    """Return how much after its first high sample a pulse begins in the power, in samples, -2..1.

    A probe notes the level of a line at one moment of a sample, and the power of all of it, and
    some lines pass a filter. The mean rise and fall of the power at the edges tell the difference;
    where noise hides them, it is half of a sample before to the same sample.
    """
    gaps = np.concatenate([[np.inf], begin[1:] - end[:-1], [np.inf]])
    rise = begin[gaps[:-1] >= _REACH + _SIDE]
    fall = end[gaps[1:] >= _REACH + _SIDE]
    found = [(_DELAY, _DELAY_SPREAD)]
    if len(begin) and np.median(end - begin) >= _REACH + _SIDE:
        told = [_delay(recording.power_w, at) for at in (rise, fall)]
        # a last layer of a few samples is no flat level
        found += told[:1] if abs(told[0][0] - told[1][0]) > _AGREE else told
    weights = [1 / spread**2 for _, spread in found]
    mean = sum(w * delay for w, (delay, _) in zip(weights, found, strict=True)) / sum(weights)
    return float(np.clip(mean, -2.0, 1.0))


def _delay(power: np.ndarray, at: np.ndarray) -> tuple[float, float]:
    """Return the delay that the mean power at some edges tells, and its standard error."""
    first, last = -_REACH - _SIDE, _REACH - 1 + _SIDE
    at = at[(at + first >= 0) & (at + last <= len(power))]
    if len(at) < 8:
        return _DELAY, np.inf
    window = power[at[:, None] + np.arange(first, last)]
    mean = np.nanmean(window, axis=0)
    before, after = float(mean[:_SIDE].mean()), float(mean[-_SIDE:].mean())
    noise = float(np.nanstd(window[:, :_SIDE], axis=0).min()) / np.sqrt(len(at))
    if abs(after - before) <= 4 * noise:
        return _DELAY, np.inf
    edge = mean[_SIDE:-_SIDE]  # from -_REACH to _REACH - 2
    delay = float(np.sum((after - edge) / (after - before)) - _REACH)
    slope = max(abs(mean[1] - mean[0]), abs(mean[-1] - mean[-2]))  # levels that are not flat
    return delay, 0.02 + (2 * slope + 3 * noise) / abs(after - before)


def _marks(
    line: np.ndarray, begin: np.ndarray, end: np.ndarray, layers: int, name: str
) -> tuple[np.ndarray, str | None]:
    """Return the changes of a line within each step, float64 [steps, layers]."""
    change = np.flatnonzero(line[1:] != line[:-1]) + 1
    first = np.searchsorted(change, begin)
    found = np.searchsorted(change, end, side="right") - first
    whole = found == layers
    marks = np.full((len(begin), layers), np.nan)
    marks[whole] = change[first[whole, None] + np.arange(layers)]
    if whole.all():
        return marks, None
    return marks, (
        f"{name} marks all {layers} layers in {int(whole.sum()):,} of {len(begin):,} steps: layers "
        "are of these"
    )

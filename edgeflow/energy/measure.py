"""Energy of steps, layers, rest and wake-ups of a recording."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.energy.pattern import by_pattern
from edgeflow.energy.recording import Recording
from edgeflow.energy.steps import Expected, Steps, by_edges, choose_lines
from edgeflow.errors import EnergyError

#: Samples that the surroundings of a step are read of.
_FLANK = 4
#: Points of a curve that a report draws.
_POINTS = 1200


@dataclass(frozen=True)
class Measured:
    """What a recording tells of the steps in it.

    Attributes
    ----------
    steps
        Where they are.
    energy_j
        Of each step that was recorded whole, float64 [n]; without the marker's cost.
    duration_s
        Of the same, float64 [n].
    layers_j
        Mean of each layer, and of what comes behind the last one, float64 [layers + 1]; None
        without marks.
    idle_w
        Power between steps: the median.
    sleep_j, sleep_s
        Mean energy and time from the end of a step to the begin of the next one.
    wakeup_j, wakeup_s
        Mean energy above idle, and time, of what leads to a step; 0: nothing does.
    marker_j
        Mean energy of the marker, which `energy_j` is without.
    curve
        For a picture: ``begin_s``, ``step_s``, ``power_mw`` (mean of a stretch each) and ``steps``
        (begin and end in seconds) of the first steps.
    """

    recording: Recording
    steps: Steps
    energy_j: np.ndarray
    duration_s: np.ndarray
    layers_j: np.ndarray | None
    idle_w: float
    sleep_j: float
    sleep_s: float
    wakeup_j: float
    wakeup_s: float
    marker_j: float
    curve: dict[str, Any]

    def to_json(self, expected: Expected) -> dict[str, Any]:
        """Return the result as JSON values: energies in microjoules, times in microseconds."""
        energy, steps = self.energy_j * 1e6, self.steps
        p50, p99 = np.percentile(energy, [50, 99], method="inverted_cdf")
        layers = None
        if self.layers_j is not None:
            names = (*expected.layers, "(rest)")
            layers = [
                {"name": name, "energy_uj": 1e6 * float(value)}
                for name, value in zip(names, self.layers_j, strict=True)
            ]
        return {
            "recording": self.recording.source,
            "rate_hz": self.recording.rate_hz,
            "duration_s": self.recording.duration_s,
            "lost_samples": self.recording.lost,
            "by": steps.by,
            "confidence": steps.confidence,
            "steps": len(energy),
            "steps_profiled": expected.steps,
            "energy_uj": {
                "mean": float(energy.mean()),
                "p50": float(p50),
                "p99": float(p99),
                "max": float(energy.max()),
                "error_of_mean": float(energy.std() / np.sqrt(len(energy))),
            },
            "step_us": 1e6 * float(self.duration_s.mean()),
            "active_uw": 1e6 * float(self.energy_j.sum() / self.duration_s.sum()),
            "marker_uj": 1e6 * self.marker_j,
            "layers": layers,
            "idle_uw": 1e6 * self.idle_w,
            "sleep": {"energy_uj": 1e6 * self.sleep_j, "us": 1e6 * self.sleep_s},
            "wakeup": {"energy_uj": 1e6 * self.wakeup_j, "us": 1e6 * self.wakeup_s},
            "curve": self.curve,
            "notes": list(steps.notes),
        }


def measure(
    recording: Recording,
    expected: Expected,
    *,
    marker: str | None = None,
    layer_marker: str | None = None,
) -> Measured:
    """Measure the steps of a recording.

    Steps are found by the edges of a digital line, or by the pattern of the power where no line
    has as many pulses as there were steps.

    Parameters
    ----------
    recording : Recording
    expected : Expected
        What ran.
    marker, layer_marker : str, optional
        Lines that mark steps and layers; default: found by their edges.

    Raises
    ------
    EnergyError
        If there is no such line, or steps cannot be told without one, or none was recorded whole.
    """
    _check_length(recording, expected)
    line, layers = choose_lines(recording, expected, marker, layer_marker)
    if line is None:
        steps = by_pattern(recording, expected)
    else:
        steps = by_edges(recording, expected, line, layers)
    whole = recording.whole(steps.begin, steps.end)
    if not whole.any():
        raise EnergyError(f"{recording.source}: no step was recorded without a gap")
    energy, duration = step_energies(recording, steps)
    marker_w = float(energy[whole].sum() / duration[whole].sum())
    marks = 1 if steps.marks is None else 1 + steps.marks.shape[1]
    marker_j = marker_w * expected.marker_s * marks
    gaps = _Gaps(recording, steps)
    return Measured(
        recording, steps, energy[whole] - marker_j,
        duration[whole] - expected.marker_s * marks, _layers(recording, steps, whole, expected,
        marker_w), gaps.idle_w, *gaps.sleep(), *gaps.wakeup(), marker_j, curve_of(recording, steps),
    )  # fmt: skip


def _check_length(recording: Recording, expected: Expected) -> None:
    """Refuse a recording that cannot hold half of the steps."""
    if expected.pace_hz is None and expected.step_s is None:
        return
    each = 1 / expected.pace_hz if expected.pace_hz else expected.step_s or 0.0
    if recording.duration_s < 0.5 * expected.steps * each:
        raise EnergyError(
            f"{recording.source}: {recording.duration_s:.2f} s are shorter than the profile, whose "
            f"{expected.steps:,} steps take {expected.steps * each:.2f} s: record all of it"
        )


def step_energies(recording: Recording, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Return energy and duration of each step, in joules and seconds, float64 [steps] each.

    An edge may be anywhere in a sample. So what a few samples beside a step have more than their
    surroundings counts as the step's, where steps are far enough from each other.
    """
    begin, end, guard = steps.begin, steps.end, steps.guard
    low, high = np.floor(begin).astype(int) - guard, np.ceil(end).astype(int) + guard
    seconds = 1 / recording.rate_hz
    plain = recording.energy_j(begin, end)
    before = recording.energy_j(low - _FLANK, low) / (_FLANK * seconds)
    after = recording.energy_j(high, high + _FLANK) / (_FLANK * seconds)
    outside = before * (begin - low) + after * (high - end)
    wide = recording.energy_j(low, high) - outside * seconds
    reach = 2 * (guard + _FLANK)
    room = np.append(True, begin[1:] - end[:-1] > reach) & np.append(
        begin[1:] - end[:-1] > reach, True
    )
    room &= recording.whole(low - _FLANK, high + _FLANK)
    return np.where(room, wide, plain), (end - begin) * seconds


def _layers(
    recording: Recording, steps: Steps, whole: np.ndarray, expected: Expected, power: float
) -> np.ndarray | None:
    """Return the mean energy of each layer, and of what comes behind the last one."""
    if steps.marks is None:
        return None
    marked = whole & ~np.isnan(steps.marks).any(axis=1)
    marked &= recording.whole(steps.begin - 2 * _FLANK, steps.end + 2 * _FLANK)
    if not marked.any():
        return None
    bounds = np.column_stack([steps.begin, steps.marks, steps.end])[marked]
    mean = recording.energy_j(bounds[:, :-1], bounds[:, 1:]).mean(axis=0)
    mean += np.diff(_corners(recording, bounds, steps.delay))
    mean -= power * expected.marker_s  # each mark's own, and that of begin and end
    return np.asarray(mean)


def _corners(recording: Recording, bounds: np.ndarray, delay: float) -> np.ndarray:
    """Return what the energy up to each bound lacks on average, in joules, float64 [bounds].

    The power changes at a bound, which is anywhere in a sample: read at one place of it, and
    between the sums of whole samples, the energy is short of 1/8 + f (1 - f) / 2 samples of the
    change, where f is the place's fraction of a sample.
    """
    edges = np.column_stack([bounds[:, :1] - _FLANK - 2, bounds, bounds[:, -1:] + _FLANK + 2])
    margin = np.minimum(1.0, np.diff(edges) / 4)  # without the samples of the bounds themselves
    low, high = edges[:, :-1] + margin, edges[:, 1:] - margin
    length = np.maximum(high - low, 1e-6)  # two marks may be in one sample
    power = (recording.energy_j(low, high) * recording.rate_hz / length).mean(axis=0)
    before, after = power[:-1], power[1:]
    fraction = delay % 1.0
    share = 1 / 8 + fraction * (1 - fraction) / 2
    return np.asarray(share * (before - after) / recording.rate_hz)


class _Gaps:
    """Stretches from the end of a step to the begin of the next one."""

    def __init__(self, recording: Recording, steps: Steps) -> None:
        self.recording = recording
        begin, end = steps.end[:-1] + 1, steps.begin[1:] - 1
        long = (end - begin >= 2 + _FLANK) & recording.whole(begin, end)
        if long.any():  # not the pauses of the host
            long &= end - begin <= 3 * np.median((end - begin)[long])
        self.begin, self.end = begin[long], end[long]
        self.idle_w = self._idle()

    def _idle(self) -> float:
        power = self.recording.power_w
        if len(self.begin) == 0:
            rest = np.ones(len(power), dtype=bool)
            return float(np.nanpercentile(power[rest], 10))
        # the later three quarters, without what leads to the next step
        low = self.begin + 0.25 * (self.end - self.begin)
        high = self.begin + 0.75 * (self.end - self.begin)
        means = self.recording.energy_j(low, high) * self.recording.rate_hz / (high - low)
        return float(np.median(means))

    def sleep(self) -> tuple[float, float]:
        """Return mean energy and time of a gap."""
        if len(self.begin) == 0:
            return 0.0, 0.0
        energy = self.recording.energy_j(self.begin - 1, self.end + 1)
        seconds = (self.end - self.begin + 2) / self.recording.rate_hz
        return float(energy.mean()), float(seconds.mean())

    def wakeup(self) -> tuple[float, float]:
        """Return energy above idle, and time, of the mean wake-up; 0, 0 without one."""
        if len(self.begin) == 0:
            return 0.0, 0.0
        reach = int(np.median(self.end - self.begin) / 4)
        if reach < _FLANK:
            return 0.0, 0.0
        at = np.floor(self.end[:2000]).astype(int)
        window = self.recording.power_w[at[:, None] + np.arange(-2 * reach, 0)]
        mean = window.mean(axis=0)
        rest, lead = mean[:reach], mean[reach:]
        threshold = rest.mean() + max(4 * rest.std(), 0.05 * abs(rest.mean()))
        above = lead > threshold
        length = int(np.argmin(above[::-1])) if not above.all() else reach
        if length == 0:
            return 0.0, 0.0
        excess = float((lead[-length:] - rest.mean()).sum())
        # and the sample beside the step, which was left out
        length, excess = length + 1, excess * (length + 1) / length
        return excess / self.recording.rate_hz, length / self.recording.rate_hz


def curve_of(recording: Recording, steps: Steps, shown: int = 8) -> dict[str, Any]:
    """Return the power over the first steps, for a picture."""
    last = min(shown, len(steps.begin)) - 1
    margin = max(8.0, 0.5 * float(np.median(steps.end - steps.begin)))
    low = int(max(0, steps.begin[0] - margin))
    high = int(min(recording.samples, steps.end[last] + margin))
    places = np.linspace(low, high, min(_POINTS, high - low) + 1)
    width = (places[1] - places[0]) / recording.rate_hz
    power = recording.energy_j(places[:-1], places[1:]) / width * 1e3
    return {
        "begin_s": low / recording.rate_hz,
        "step_s": width,
        "power_mw": [round(float(value), 6) for value in power],
        "steps": [
            [float(b / recording.rate_hz), float(e / recording.rate_hz)]
            for b, e in zip(steps.begin[: last + 1], steps.end[: last + 1], strict=True)
        ],
    }

"""Steps in a recording without a digital line: by the pattern of the power itself."""

from statistics import NormalDist

import numpy as np

from edgeflow.energy.recording import Recording
from edgeflow.energy.steps import Expected, Steps
from edgeflow.errors import EnergyError

#: Below it what was found is not taken for the steps.
LEAST_CONFIDENCE = 0.95
#: Share of the steps that may not be found, or be found too much.
_COUNT = 0.02
#: How far from their place at the pace bursts may be, in periods.
_OFF = 0.25
#: Spreads of the noise from a threshold to rest and to work, in the smoothed power.
_STEADY = 12.0
#: How much a burst's duration may differ from the step's.
_DURATION = 0.5


def by_pattern(recording: Recording, expected: Expected) -> Steps:
    """Find steps as bursts of power of a step's duration, at the run's pace.

    The power is freed of its drift and smoothed over a third of a step; what is above half of
    the way from rest to work is a burst. Bursts that do not follow the pace are left out. The
    confidence is the probability that work and rest are told apart in one step, times the
    correlation of the power with the pattern of the bursts.

    Raises
    ------
    EnergyError
        If bursts are not as many, or not as long, as the steps of the profile; or the confidence
        is below 95 %. With what was found.
    """
    source = recording.source
    why = "record the marker's line too (docs/energy.md)"
    if expected.step_s is None:
        raise EnergyError(
            f"{source}: no digital line, and the profile knows no time of a step: {why}"
        )
    width = expected.step_s * recording.rate_hz
    if width < 3:
        raise EnergyError(f"{source}: no digital line, and a step is shorter than 3 samples: {why}")
    box = max(1, int(width / 3))
    power = _filled(recording.power_w)
    excess = power - _baseline(power, recording, expected)
    coarse = _smooth(excess, box)
    low, high = _levels(coarse)
    noise = _noise(excess, low, high)
    # just enough for the noise: edges stay where they are
    fine = min(box, max(1, int(np.ceil((_STEADY * noise / max(high - low, 1e-12)) ** 2))))
    smooth = _smooth(excess, fine)
    begin, end = _bursts(smooth, (low + high) / 2, box, width)
    if expected.pace_hz is not None and len(begin) > 2:
        kept = _on_pace(begin, recording.rate_hz / expected.pace_hz)
        begin, end = begin[kept], end[kept]
    if abs(len(begin) - expected.steps) > max(1, _COUNT * expected.steps):
        after = "" if expected.pace_hz else " (steps ran one after another: profile with --pace)"
        raise EnergyError(
            f"{source}: no digital line, and the power shows {len(begin):,} bursts for "
            f"{expected.steps:,} steps{after}: {why}"
        )
    begin_at = _crossing(smooth, begin, (low + high) / 2)
    end_at = _crossing(smooth, end, (low + high) / 2)
    found = float(np.median(end_at - begin_at))
    if abs(found / width - 1) > _DURATION:
        raise EnergyError(
            f"{source}: no digital line, and bursts of the power take "
            f"{1e6 * found / recording.rate_hz:.0f} µs, a step {1e6 * expected.step_s:.0f}: {why}"
        )
    apart = (high - low) * np.sqrt(width) / (2 * noise) if noise > 0 else np.inf
    confidence = NormalDist().cdf(min(apart, 9.0)) * _correlation(coarse, begin, end, box)
    if confidence < LEAST_CONFIDENCE:
        raise EnergyError(
            f"{source}: no digital line, and steps do not stand out of the power (confidence "
            f"{100 * confidence:.0f} %, less than {100 * LEAST_CONFIDENCE:.0f} %): {why}"
        )
    notes = list(recording.notes)
    if len(begin) != expected.steps:
        notes.append(f"the power shows {len(begin):,} of {expected.steps:,} steps")
    return Steps(
        begin_at,
        end_at,
        "pattern of the power",
        confidence,
        notes=tuple(notes),
        guard=2 + fine // 2,
    )


def _filled(power: np.ndarray) -> np.ndarray:
    """Return the power with gaps filled by what was before them."""
    bad = np.isnan(power)
    if not bad.any():
        return power
    last = np.maximum.accumulate(np.where(bad, 0, np.arange(len(power))))
    return np.nan_to_num(power[last])


def _baseline(power: np.ndarray, recording: Recording, expected: Expected) -> np.ndarray:
    """Return the power at rest over time: medians of blocks of a few periods, joined by lines."""
    period = recording.rate_hz / expected.pace_hz if expected.pace_hz else len(power) / 16
    block = int(max(4 * period, 64))
    count = max(1, len(power) // block)
    medians = np.median(power[: count * block].reshape(count, -1), axis=1)
    return np.interp(np.arange(len(power)), (np.arange(count) + 0.5) * block, medians)


def _smooth(values: np.ndarray, box: int) -> np.ndarray:
    """Return the mean of `box` samples around each."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low = np.clip(np.arange(len(values)) - box // 2, 0, None)
    high = np.clip(low + box, None, len(values))
    return (sums[high] - sums[low]) / (high - low)


def _levels(values: np.ndarray) -> tuple[float, float]:
    """Return rest and work: the two means that halves of the way between them have."""
    low, high = 0.0, float(values.max())
    for _ in range(50):
        above = values > (low + high) / 2
        if not above.any() or above.all():
            break
        new = float(np.median(values[~above])), float(np.median(values[above]))
        if np.allclose(new, (low, high), rtol=1e-6):
            break
        low, high = new
    return low, high


def _noise(excess: np.ndarray, low: float, high: float) -> float:
    """Return the spread of a sample at rest, of differences: free of drift and wake-ups."""
    rest = excess[:-1] < (low + high) / 2
    steps = np.diff(excess)[rest]
    return float(1.4826 * np.median(np.abs(steps)) / np.sqrt(2)) if len(steps) else 0.0


def _bursts(
    smooth: np.ndarray, threshold: float, box: int, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return begin and end of stretches above a threshold that are no noise."""
    high = np.concatenate([[False], smooth > threshold, [False]])
    begin = np.flatnonzero(high[1:] & ~high[:-1])
    end = np.flatnonzero(~high[1:] & high[:-1])
    if len(begin) == 0:
        return begin, end
    apart = begin[1:] - end[:-1] > box
    begin, end = begin[np.append(True, apart)], end[np.append(apart, True)]
    inside = (end - begin > width / 4) & (begin > 0) & (end < len(smooth))
    return begin[inside], end[inside]


def _on_pace(begin: np.ndarray, period: float) -> np.ndarray:
    """Return which bursts are one or more whole periods from most others next to them."""

    def off(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        turns = (b - a) / period
        return np.abs(turns - np.maximum(1, np.rint(turns)))

    after = off(begin[:-1], begin[1:]) < _OFF
    kept = np.append(after, False) | np.append(False, after)
    if not (~kept).any():
        return np.asarray(kept)
    # of neighbours on either side of a burst between them
    skip = np.zeros(len(begin), dtype=bool)
    near = off(begin[:-2], begin[2:]) < _OFF
    skip[:-2] |= near
    skip[2:] |= near
    return np.asarray(kept | skip)


def _crossing(smooth: np.ndarray, at: np.ndarray, threshold: float) -> np.ndarray:
    """Return where the power crosses a threshold before some samples, with fractions.

    Sample k is the mean of k to k + 1, so its value stands at k + 1/2.
    """
    before, here = smooth[at - 1], smooth[at]
    return at - 0.5 + (threshold - before) / (here - before)


def _correlation(smooth: np.ndarray, begin: np.ndarray, end: np.ndarray, box: int) -> float:
    """Return the correlation of the power with bursts smoothed alike, 0..1."""
    pattern = np.zeros(len(smooth) + 1)
    np.add.at(pattern, begin, 1.0)
    np.add.at(pattern, end, -1.0)
    pattern = _smooth(np.cumsum(pattern[:-1]), box)
    if pattern.std() == 0 or smooth.std() == 0:
        return 0.0
    return float(np.clip(np.corrcoef(pattern, smooth)[0, 1], 0.0, 1.0))

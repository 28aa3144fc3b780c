"""What recordings are worth before anything is trained on them: clipping, axes, balance."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.channels import axis_triples
from edgeflow.data.dataset import Dataset, Recording, everybody
from edgeflow.data.matching import plain_unit
from edgeflow.data.wording import listed

Floats = NDArray[np.float64]

#: Samples at an end of a channel's range, each beside another: a sensor that went no further.
CLIPPED = 1e-4
#: Share of a channel's range within which the ends of devices differ, and most that a step may be.
_NEAR_END, _FINE = 0.05, 0.01
#: Seconds of one value that no worn sensor has.
FLAT_S = 1.0
_FLAT_SHARE = 0.01
#: Times as much of the largest class as of the smallest.
UNBALANCED = 5.0
#: Share of the power of a channel's changes that its bandwidth holds.
_POWER = 0.95
#: Share of half the rate from which a bandwidth is near it.
_NEAR_HALF = 0.8
#: Samples of a segment of a spectrum.
_SEGMENT = 256
#: Gravity in the units that accelerometers have.
_GRAVITY = {"m/s²": 9.80665, "g": 1.0, "mg": 1000.0}
_GRAVITY_WITHIN = 0.15
#: Spread of the lengths of vectors that are directions, a share of their mean.
_ONE_LENGTH = 1e-2
#: Cosine between a subject's gravity and that of the others, from which it points elsewhere.
_TURNED = -0.5


@dataclass(frozen=True)
class ChannelQuality:
    """A channel in all recordings.

    Attributes
    ----------
    name, unit : str
    low, high, mean, sd : float
        In its unit.
    step : float
        Smallest difference of two values in a row, in its unit; 0: it never changes.
    clipped : float
        Share of samples at an end of their recording, beside another one there.
    flat : float
        Share of samples in stretches of one value of `FLAT_S` and more.
    bandwidth_hz : float
        95 % of the power of its movement is below; 0: it never changes.
    """

    name: str
    unit: str
    low: float
    high: float
    mean: float
    sd: float
    step: float
    clipped: float
    flat: float
    bandwidth_hz: float


@dataclass(frozen=True)
class Quality:
    """What `check` found.

    Attributes
    ----------
    dataset : str
    rate_hz : float
    window : int
        Samples of a window.
    recordings : int
    seconds : dict of dict
        By subject and class, those of all recordings; classes without are 0. Without classes {}.
    channels : list of ChannelQuality
    gravity : list of dict
        Of each accelerometer that feels it: "sensor", "median" (length of its vector), "unit"
        (told from that, "" if it is none), "subjects" (mean direction [3] by subject).
    findings : list of str
        What to look at before training, a line each.
    notes : list of str
        Of the reader.
    spectra : list of (float64 array, float64 array)
        Of each channel, as of `spectrum`.
    """

    dataset: str
    rate_hz: float
    window: int
    recordings: int
    seconds: dict[str, dict[str, float]]
    channels: list[ChannelQuality]
    gravity: list[dict[str, Any]]
    findings: list[str]
    notes: list[str]
    spectra: list[tuple[Floats, Floats]] = field(default_factory=list, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return all of it but the spectra as JSON values."""
        return {k: v for k, v in asdict(replace(self, spectra=[])).items() if k != "spectra"}


def check(dataset: Dataset) -> Quality:
    """Look at recordings for what spoils a training.

    Parameters
    ----------
    dataset : Dataset
        Of any number of subjects; its splits are not looked at.
    """
    xs = [recording.x.astype(np.float64) for recording in dataset.recordings]
    units = [*dataset.units, *[""] * (len(dataset.channels) - len(dataset.units))]
    directions = set(_directions_of_unit_length(dataset.channels, xs))
    each = [[x[:, i] for x in xs] for i in range(len(dataset.channels))]
    spectra = [spectrum(one, dataset.rate_hz) for one in each]
    channels = [
        _channel(name, unit, each[i], spectra[i], dataset.rate_hz, i not in directions)
        for i, (name, unit) in enumerate(zip(dataset.channels, units, strict=True))
    ]
    gravity = list(_gravity(dataset, units))
    seconds = _seconds(dataset)
    findings = [
        *_about_labels(dataset, seconds),
        *_about_channels(channels, dataset.rate_hz),
        *(line for one in gravity for line in _about_gravity(one)),
    ]
    return Quality(
        dataset=dataset.name, rate_hz=dataset.rate_hz, window=dataset.window,
        recordings=len(xs), seconds=seconds, channels=channels, gravity=gravity,
        findings=findings, notes=list(dataset.notes), spectra=spectra,
    )  # fmt: skip


def spectrum(xs: Sequence[Floats], rate_hz: float) -> tuple[Floats, Floats]:
    """Return frequencies in Hz, and the mean power of a channel's recordings at each.

    Hann windows of at most 256 samples that overlap by half, each without its mean (Welch 1967);
    shorter recordings are left out. Without any that is long enough the power is 0.
    """
    longest = max(len(x) for x in xs)
    size = min(_SEGMENT, longest)
    weight = np.hanning(size + 2)[1:-1]
    total, count = np.zeros(size // 2 + 1), 0
    for x in xs:
        for start in range(0, len(x) - size + 1, max(size // 2, 1)):
            part = x[start : start + size]
            total += np.abs(np.fft.rfft((part - part.mean()) * weight)) ** 2
            count += 1
    return np.asarray(np.fft.rfftfreq(size, 1 / rate_hz), np.float64), total / max(count, 1)


def _channel(
    name: str,
    unit: str,
    xs: Sequence[Floats],
    spectrum: tuple[Floats, Floats],
    rate_hz: float,
    clips: bool,
) -> ChannelQuality:
    every = np.concatenate(xs)
    low, high = float(every.min()), float(every.max())
    changes = np.abs(np.concatenate([np.diff(x) for x in xs]))
    steps = changes[changes > 0]
    frequencies, power = spectrum
    whole = power.sum()
    place = int(np.searchsorted(np.cumsum(power), _POWER * whole)) if whole > 0 else 0
    least = max(round(FLAT_S * rate_hz), 2)
    step = float(steps.min()) if len(steps) else 0.0
    fine = 0 < step < _FINE * (high - low)  # coarse values are often alike
    return ChannelQuality(
        name, unit, low, high, float(every.mean()), float(every.std()),
        step,
        sum(_clipped(x, low, high) for x in xs) / len(every) if clips and fine else 0.0,
        sum(_flat(x, least) for x in xs) / len(every),
        float(frequencies[min(place, len(frequencies) - 1)]),
    )  # fmt: skip


def _clipped(x: Floats, low: float, high: float) -> int:
    """Return how many samples stay at an end of a recording, if that is near one of all.

    Ends differ a little from device to device, by their calibration.
    """
    count, near = 0, _NEAR_END * (high - low)
    for end, other in ((x.min(), low), (x.max(), high)):
        if abs(end - other) > near:
            continue
        there = x == end
        beside = np.zeros_like(there)
        beside[1:] |= there[:-1]
        beside[:-1] |= there[1:]
        count += int((there & beside).sum())
    return count


def _flat(x: Floats, least: int) -> int:
    """Return how many samples are in stretches of `least` equal ones and more."""
    edges = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1], [True]]))
    lengths = np.diff(edges)
    return int(lengths[lengths >= least].sum())


def _seconds(dataset: Dataset) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {
        person: dict.fromkeys(dataset.classes, 0.0) for person in everybody(dataset.recordings)
    }
    for recording in dataset.recordings if dataset.classes else ():
        name = dataset.classes[recording.label]
        found[recording.person][name] += len(recording.x) / dataset.rate_hz
    return found


def _about_labels(dataset: Dataset, seconds: dict[str, dict[str, float]]) -> Iterator[str]:
    if len(seconds) < 3:
        yield (
            f"{_count(len(seconds), 'subject')}: a split by subject (train, val, test) needs at "
            "least 3, and a figure that holds needs many more: record other people"
        )
    if dataset.target is not None:
        return
    if len(dataset.classes) < 2:
        yield f"one label ({listed(dataset.classes)}): at least 2 are needed"
        return
    whole = {name: sum(one[name] for one in seconds.values()) for name in dataset.classes}
    fewest, most = min(whole, key=whole.__getitem__), max(whole, key=whole.__getitem__)
    if whole[most] > UNBALANCED * whole[fewest]:
        yield (
            f"{whole[most] / max(whole[fewest], 1e-9):.0f} times as much of '{most}' "
            f"({whole[most]:.0f} s) as of '{fewest}' ({whole[fewest]:.0f} s): record more of it, "
            "and judge by macro-F1"
        )
    for name in dataset.classes:
        people = [person for person, one in seconds.items() if one[name] > 0]
        if len(people) < 3 <= len(seconds):
            yield (
                f"'{name}' is recorded of {listed(people)} alone: with fewer than 3 subjects one "
                "split of train, val and test has none of it"
            )


def _about_channels(channels: Sequence[ChannelQuality], rate_hz: float) -> Iterator[str]:
    moving = [one for one in channels if one.low < one.high]
    if still := [one for one in channels if one.low == one.high]:
        yield f"{_values(still, 'low')}: one value throughout; is the sensor connected?"
    if clipped := [one for one in moving if one.clipped > CLIPPED]:
        yield (
            f"clipped samples, at an end of the range: {_values(clipped, 'clipped', '.2%')}; set "
            "the sensor to a wider range, or expect the peaks of movements to be lost"
        )
    if flat := [one for one in moving if one.flat > _FLAT_SHARE]:
        yield (
            f"samples that stay the same for {FLAT_S:g} s and more: {_values(flat, 'flat', '.1%')};"
            " a sensor that stalls, or samples that were repeated"
        )
    if wide := [one for one in moving if one.bandwidth_hz > _NEAR_HALF * rate_hz / 2]:
        yield (
            f"95 % of the power is only below {_values(wide, 'bandwidth_hz', '.3g')} Hz, near half "
            f"of the rate ({rate_hz / 2:.3g} Hz): faster movements may be folded into slower ones; "
            "sample faster, or let the sensor filter"
        )


def _values(channels: Sequence[ChannelQuality], field: str, form: str = "g") -> str:
    return listed(f"{one.name} {getattr(one, field):{form}}" for one in channels)


def _directions_of_unit_length(channels: Sequence[str], xs: Sequence[Floats]) -> Iterator[int]:
    """Return the axes of vectors that have one length: their ends are no limits of a sensor."""
    for first in axis_triples(channels):
        part = slice(first, first + 3)
        lengths = np.concatenate([np.linalg.norm(x[:, part], axis=1) for x in xs])
        if lengths.std() < _ONE_LENGTH * lengths.mean():
            yield from range(first, first + 3)


def _gravity(dataset: Dataset, units: Sequence[str]) -> Iterator[dict[str, Any]]:
    for first in axis_triples(dataset.channels):
        sensor = dataset.channels[first][:-1].rstrip("_- .") or "sensor"
        if not sensor.lower().startswith("a") or "ang" in sensor.lower():
            continue
        part = slice(first, first + 3)
        vectors = [r.x[:, part].astype(np.float64) for r in dataset.recordings]
        median = float(np.median(np.concatenate([np.linalg.norm(v, axis=1) for v in vectors])))
        unit = next((u for u, g in _GRAVITY.items() if abs(median / g - 1) <= _GRAVITY_WITHIN), "")
        yield {
            "sensor": sensor,
            "median": median,
            "unit": unit,
            "stated": units[first].strip(),
            "subjects": _directions(dataset.recordings, vectors),
        }


def _directions(
    recordings: Sequence[Recording], vectors: Sequence[Floats]
) -> dict[str, list[float]]:
    """Return the mean direction of each subject, every recording counting alike."""
    sums: dict[str, Floats] = {}
    for recording, vector in zip(recordings, vectors, strict=True):
        mean = vector.mean(axis=0)
        length = float(np.linalg.norm(mean))
        if length > 0:
            sums[recording.person] = sums.get(recording.person, np.zeros(3)) + mean / length
    return {
        person: (one / max(float(np.linalg.norm(one)), 1e-12)).tolist()
        for person, one in sums.items()
    }


def _about_gravity(found: dict[str, Any]) -> Iterator[str]:
    sensor, unit, stated = found["sensor"], found["unit"], found["stated"]
    if not unit:
        yield (
            f"the vector of {sensor} has a length of {found['median']:.4g} in the middle, gravity "
            "in none of m/s², g and mg: gravity is taken out, or the unit is another one"
        )
        return
    if plain_unit(stated) in map(plain_unit, _GRAVITY) and plain_unit(stated) != plain_unit(unit):
        yield (
            f"{sensor} is said to be in {stated}, and its gravity of {found['median']:.4g} is in "
            f"{unit}: correct the unit or the samples"
        )
    people = found["subjects"]
    for person, direction in people.items():
        others = [np.array(one) for name, one in people.items() if name != person]
        if len(others) < 3:
            return
        middle = np.median(others, axis=0)
        cosine = float(np.dot(direction, middle) / max(float(np.linalg.norm(middle)), 1e-12))
        if cosine < _TURNED:
            yield (
                f"{sensor} of subject {person} points the other way than that of the others "
                f"(cosine {cosine:.2f}): worn turned, or on the other arm; leave it in only if "
                "users will wear it so"
            )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

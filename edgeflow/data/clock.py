"""What a column of times says: rate and jitter, pauses, samples that are there twice."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.reading import UNITS
from edgeflow.errors import DataError

#: A step of more periods is a pause: more than one sample is missing.
PAUSE = 2.5
_AGREE = 0.1  # two rates that differ by more contradict each other
_NEAR = 0.02  # by less, they are the same
_COARSE = 0.1  # share of repeated times from which the clock's ticks are longer than the period
_ALTERNATE = 0.9  # share of times that are there equally often
_MOST_PAUSES = 0.1  # share of steps
_LOST = 0.01  # share of steps back in time, above which rows are out of order


@dataclass(frozen=True, eq=False)
class Clock:
    """What a clock says of its rows.

    Attributes
    ----------
    rate_hz : float
        Of the samples, without pauses.
    keep : bool [rows]
        Not for rows whose time is that of the row before.
    starts : bool [rows]
        Where a recording begins: those given, and those after a pause.
    notes : list of str
    """

    rate_hz: float
    keep: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    notes: list[str]


def read_clock(
    name: str,
    times: NDArray[np.float64],
    starts: NDArray[np.bool_],
    *,
    unit: str | None,
    stated: float | None,
    numbered: bool,
    where: Callable[[int], str],
) -> Clock | None:
    """Measure a clock.

    Parameters
    ----------
    name : str
        Of the column.
    times : float64 [rows]
    starts : bool [rows]
        Where a recording begins.
    unit : str, optional
        One of `UNITS`, if it is known.
    stated : float, optional
        Rate that file or user state, in Hz.
    numbered : bool
        Recordings have names: time does not go back within one.
    where : callable
        Names a row, for messages.

    Returns
    -------
    Clock or None
        None: it counts samples, and no rate is stated.

    Raises
    ------
    DataError
        If time goes back, its unit cannot be told, or rates contradict each other.
    """
    notes: list[str] = []
    steps = np.diff(times)
    inside = ~starts[1:]
    back = inside & (steps < 0)
    if back.any():
        first = int(np.flatnonzero(back)[0])
        if numbered or back.sum() > _LOST * inside.sum():
            raise DataError(
                f"{where(first + 1)}: '{name}' goes back from {times[first]:.12g} to "
                f"{times[first + 1]:.12g} ({back.sum()} times in all): sort the rows by recording "
                "and time, or give each run a recording of its own"
            )
        starts = starts.copy()
        starts[1:] |= back
        notes.append(f"'{name}' goes back {back.sum()} times: a recording begins at each")
        inside = ~starts[1:]
    forward = steps[inside & (steps > 0)]
    if not len(forward):
        if not inside.any():
            return None
        raise DataError(
            f"{where(0)}: '{name}' is the same in all samples of each recording: it is no clock; "
            "name the channels with --channels"
        )
    again = inside & (steps == 0)
    coarse = again.sum() > _COARSE * inside.sum()
    middle = float(np.median(forward))
    usual = forward[forward < 1.5 * middle]
    period = float(usual.mean())
    if coarse:
        period = _between_ticks(name, times, starts, where)
        if stated is None:
            _check_alternate(name, times, starts, where)
    counts = unit is None and period == 1 and bool((forward == np.rint(forward)).all())
    if counts and stated is None:
        return None
    seconds = (
        1 / stated if counts and stated else UNITS[unit or _unit(name, period, stated, where(0))]
    )
    rate = 1 / (period * seconds)
    if stated is not None and abs(rate / stated - 1) > _AGREE:
        raise DataError(
            f"{where(0)}: '{name}' says {rate:.4g} Hz, but {stated:g} Hz is stated: correct "
            "'# rate_hz' or --rate, or the unit by --time-unit"
        )
    if coarse:
        notes.append(
            f"'{name}' is the clock: {rate:.4g} Hz on average; it repeats {again.sum()} times, too "
            "coarse to see pauses"
        )
        return Clock(tidy(rate), np.ones(len(times), np.bool_), starts, notes)
    _check_rates(name, times, starts, again, middle, seconds, where)
    keep = np.ones(len(times), np.bool_)
    keep[1:] &= ~again
    pauses = inside & (steps > PAUSE * period)
    if pauses.sum() > _MOST_PAUSES * inside.sum():
        raise DataError(
            f"{where(0)}: '{name}' has steps of {middle * seconds:.4g} s, and a longer pause "
            f"after {pauses.sum() / inside.sum():.0%} of the samples: if rows of several sensors "
            "alternate, keep those of one, or give each a recording of its own"
        )
    starts = starts.copy()
    starts[1:] |= pauses
    jitter = float(np.quantile(np.abs(usual / period - 1), 0.95))
    what = "counts samples" if counts else f"is the clock, in {_word(seconds)}"
    text = f"'{name}' {what}: {rate:.4g} Hz, 95 % of steps within {jitter:.1%} of a period"
    if stated is not None and abs(rate / stated - 1) > _NEAR:
        text += f" ({stated:g} Hz is stated, and taken)"
    notes.insert(0, text)
    single = int((inside & (steps > 1.5 * period) & ~pauses).sum())
    if pauses.any():
        notes.append(f"pauses of more than {PAUSE} periods: {pauses.sum()}; each ends a recording")
    if single:
        notes.append(f"single samples missing by '{name}': {single}")
    if again.any():
        notes.append(f"samples left out, of the same time as the one before: {again.sum()}")
    return Clock(tidy(rate), keep, starts, notes)


def tidy(rate: float) -> float:
    """Return a measured rate as one states it: a whole number if it is within 1 % of one."""
    whole = round(rate)
    return float(whole) if whole and abs(rate / whole - 1) < 0.01 else float(f"{rate:.4g}")


def _unit(name: str, period: float, stated: float | None, where: str) -> str:
    """Return the unit in which steps of `period` are a likely rate, or the stated one."""
    if stated is not None:
        for unit, seconds in UNITS.items():
            if abs(1 / (period * seconds) / stated - 1) <= _AGREE:
                return unit
        rates = ", ".join(f"{1 / (period * s):.4g} Hz in {unit}" for unit, s in UNITS.items())
        raise DataError(
            f"{where}: '{name}' has steps of {period:.6g}: {rates}; but {stated:g} Hz is stated: "
            "correct '# rate_hz' or --rate, or say --time-unit"
        )
    likely = {"d": (0, 2e-6), "s": (2e-6, 0.5), "ms": (2, 500), "us": (2e3, 5e5), "ns": (2e6, 5e8)}
    for unit, (low, high) in likely.items():
        if low < period <= high or period == low > 1:
            return unit
    raise DataError(
        f"{where}: '{name}' has steps of {period:.6g}, which may be of s, ms, us, ns or days: say "
        "--time-unit, or the rate with --rate"
    )


def _check_rates(
    name: str,
    times: NDArray[np.float64],
    starts: NDArray[np.bool_],
    again: NDArray[np.bool_],
    middle: float,
    seconds: float,
    where: Callable[[int], str],
) -> None:
    """Refuse recordings of different rates in one table."""
    for piece in _pieces(starts):
        steps = np.diff(times[piece])
        steps = steps[steps > 0]
        if len(steps) < 10:
            continue
        own = float(np.median(steps))
        if abs(own / middle - 1) > 0.2:
            raise DataError(
                f"{where(piece.start)}: by '{name}' its recording has {1 / (own * seconds):.4g} "
                f"Hz, most have {1 / (middle * seconds):.4g} Hz: resample it, or leave it out"
            )


def _check_alternate(
    name: str,
    times: NDArray[np.float64],
    starts: NDArray[np.bool_],
    where: Callable[[int], str],
) -> None:
    """Refuse times that are each there equally often, as when rows of several sensors alternate."""
    begins = starts.copy()
    begins[1:] |= np.diff(times) != 0
    often = np.diff([*np.flatnonzero(begins).tolist(), len(times)])
    usual = int(np.median(often))
    if (often == usual).mean() > _ALTERNATE:
        raise DataError(
            f"{where(0)}: '{name}' has each time {usual} times: if rows of {usual} sensors "
            "alternate, keep those of one, or give each a recording of its own; if the clock is "
            "coarse, state the rate with --rate"
        )


def _between_ticks(
    name: str,
    times: NDArray[np.float64],
    starts: NDArray[np.bool_],
    where: Callable[[int], str],
) -> float:
    """Return the period of samples by a clock that ticks more slowly, of whole ticks alone."""
    samples, span = 0, 0.0
    for piece in _pieces(starts):
        ticks = piece.start + 1 + np.flatnonzero(np.diff(times[piece]) > 0)
        if len(ticks) > 1:
            samples += int(ticks[-1] - ticks[0])
            span += float(times[ticks[-1]] - times[ticks[0]])
    if not samples:
        raise DataError(
            f"{where(0)}: '{name}' ticks too seldom to be a clock: state the rate with --rate, and "
            "the channels with --channels"
        )
    return span / samples


def _pieces(starts: NDArray[np.bool_]) -> list[slice]:
    """Return the recordings' rows."""
    edges = [*np.flatnonzero(starts).tolist(), len(starts)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _word(seconds: float) -> str:
    return next((unit for unit, value in UNITS.items() if value == seconds), "samples")


def grows(column: NDArray[np.float64], starts: NDArray[np.bool_]) -> bool:
    """Tell whether a column grows steadily in every recording, as indices and clocks do."""
    steps = np.diff(column)[~starts[1:]]
    if (steps < 0).any() or (steps == 0).sum() > _COARSE * len(steps):
        return False
    steps = steps[steps > 0]
    if len(steps) < 8:
        return False
    middle = float(np.median(steps))
    return float(np.quantile(np.abs(steps / middle - 1), 0.9)) <= 0.5

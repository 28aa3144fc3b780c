"""Rows of numbers of text files, and their times as a steady rate."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeflow.errors import EnergyError

#: Of a sample: how far from its place at a steady rate a time may be.
_JITTER = 0.6
#: Share of rows that may be out of place before the rate is not steady.
_UNSTEADY = 0.02
_MOST = 400_000_000


def read_rows(path: Path, *, skip: int, columns: int, delimiter: str = ",") -> np.ndarray:
    """Return the numbers of a text file behind its first `skip` lines, float64 [rows, columns].

    A last line that was cut short is left out.

    Raises
    ------
    EnergyError
        If a value is no number, with its line; or there are fewer than two rows.
    """
    try:
        rows = _load(path, skip, delimiter)
    except (ValueError, UnicodeDecodeError) as error:
        rows = _without_last(path, skip, columns, delimiter, error)
    if len(rows) < 2:
        raise EnergyError(f"{path}: has fewer than two rows of numbers")
    if rows.shape[1] != columns:
        raise EnergyError(
            f"{path}: line {skip + 1}: {rows.shape[1]} columns, the header has {columns}"
        )
    return rows


def _load(path: Path, skip: int, delimiter: str, rows: int | None = None) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an empty file, which is an error of ours
        return np.loadtxt(
            path, delimiter=delimiter, skiprows=skip, ndmin=2, encoding="utf-8-sig",
            comments=None, max_rows=rows,
        )  # fmt: skip


def _without_last(
    path: Path, skip: int, columns: int, delimiter: str, problem: Exception
) -> np.ndarray:
    """Return the rows of a file whose last line a full disk or a kill cut short."""
    with path.open("rb") as file:
        total = sum(1 for line in file if line.strip())
    try:
        return _load(path, skip, delimiter, rows=max(0, total - skip - 1))
    except (ValueError, UnicodeDecodeError):
        text = " ".join(str(problem).split())
        raise EnergyError(f"{path}: not rows of {columns} numbers ({text})") from None


@dataclass(frozen=True)
class Grid:
    """Places of rows at a steady rate.

    Attributes
    ----------
    rate_hz
        Of the samples.
    places
        Sample of each row, int64 [rows].
    size
        Number of samples; more than rows where some are missing.
    notes
        What is missing, a line each.
    """

    rate_hz: float
    places: np.ndarray
    size: int
    notes: tuple[str, ...] = ()

    def analog(self, values: np.ndarray) -> np.ndarray:
        """Return values [rows] as samples, float64 [size]; NaN where none is."""
        if self.size == len(values):
            return np.asarray(values, dtype=np.float64)
        samples = np.full(self.size, np.nan)
        samples[self.places] = values
        return samples

    def digital(self, values: np.ndarray) -> np.ndarray:
        """Return levels [rows] as samples, bool [size]; a gap keeps the level before it."""
        if self.size == len(values):
            return np.asarray(values, dtype=bool)
        row = np.zeros(self.size, dtype=np.int64)
        row[self.places] = np.arange(len(values))
        return np.asarray(np.asarray(values, dtype=bool)[np.maximum.accumulate(row)])


def steady(path: Path, seconds: np.ndarray) -> Grid:
    """Return the steady rate of some times, float64 [rows], and the place of each row in it.

    Raises
    ------
    EnergyError
        If times go back, or are of no steady rate.
    """
    steps = np.diff(seconds)
    if not np.isfinite(steps).all() or (steps < 0).any():
        row = int(np.argmax(~(steps >= 0)))
        raise EnergyError(f"{path}: row {row + 2}: its time is not after that of the row before")
    step = float(np.median(steps))
    if step <= 0:  # times rounded to more than a sample
        step = float(steps.mean())
    if step <= 0:
        raise EnergyError(f"{path}: all times are the same")
    near = steps < 1.5 * step
    step = float(steps[near].mean()) if near.any() else step
    counts = np.maximum(1, np.rint(steps / step)).astype(np.int64)
    odd = np.abs(steps - counts * step) > _JITTER * step
    if odd.mean() > _UNSTEADY:
        raise EnergyError(
            f"{path}: its times are of no steady rate ({100 * odd.mean():.0f} % of the rows are "
            f"not {step:.3g} s after the one before): export samples, not changes"
        )
    places = np.concatenate([[0], np.cumsum(counts)])
    size = int(places[-1]) + 1
    if size > max(_MOST, 20 * len(seconds)):
        raise EnergyError(f"{path}: more than 95 % of its samples are missing")
    gone = size - len(seconds)
    where = np.flatnonzero(counts > 1)
    notes: tuple[str, ...] = ()
    if gone:
        notes = (
            f"{gone:,} samples are missing in {len(where)} gaps, the first after "
            f"{seconds[where[0]] - seconds[0]:.3f} s",
        )
    rate = (size - 1) / float(seconds[-1] - seconds[0])
    return Grid(rate, places, size, notes)

"""Columns of numbers that are no channels: indices, clocks, numbers of persons and classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.clock import grows
from edgeflow.data.columns import ALIASES, clock_unit
from edgeflow.data.wording import listed

_SELDOM = 0.1  # share of the steps at which a number of something else changes, at most
_SAME = 0.95  # share of the steps of a counter that are one
_BACK = 0.01  # share of steps back in time that a clock may have
#: Names of persons, labels and recordings; an axis may be called y.
_NAMES = {name for names in ALIASES.values() for name in names} - {"y"}


def axis_triples(channels: Sequence[str]) -> list[int]:
    """Return where x, y, z of one sensor stand side by side, by the channels' last letters."""
    found, i = [], 0
    while i + 2 < len(channels):
        names = channels[i : i + 3]
        if [n[-1:].lower() for n in names] == ["x", "y", "z"] and len({n[:-1] for n in names}) == 1:
            found.append(i)
            i += 3
        else:
            i += 1
    return found


def choose_channels(
    columns: Sequence[str],
    numbers: NDArray[np.float64],
    place: Mapping[str, int],
    starts: NDArray[np.bool_],
) -> tuple[list[str], list[str]]:
    """Return the columns that are channels, and notes on the others and on doubtful ones.

    Parameters
    ----------
    columns : sequence of str
        Those that may be channels.
    numbers : float64 [rows, n]
    place : mapping
        Where in `numbers` a column is.
    starts : bool [rows]
        Where a recording begins.
    """
    growing, clocks, naming = [], [], []
    for name in columns:
        column = numbers[:, place[name]]
        steps = np.diff(column)[~starts[1:]]
        if not _is_axis(name) and (grows(column, starts) or _counts(steps)):
            growing.append(name)
        elif _is_clock(name, steps):
            clocks.append(name)
        elif _is_number_of_something(name, column, steps):
            naming.append(name)
    rest = [name for name in columns if name not in (*growing, *clocks, *naming)]
    if not rest:
        return list(columns), []
    notes = []
    if growing:
        notes.append(
            "left out as no channel, as it grows steadily in every recording: "
            f"{listed(growing)} (--channels keeps it)"
        )
    if clocks:
        notes.append(
            f"left out as no channel, a clock by its name: {listed(clocks)} (--channels keeps it)"
        )
    if naming:
        notes.append(
            "left out as no channel, as it numbers persons, recordings or classes by its name: "
            f"{listed(naming)} (--columns says what it is, --channels keeps it)"
        )
    if still := still_channels(rest, numbers[:, [place[name] for name in rest]], starts):
        notes.append(still)
    return rest, notes


def still_channels(
    names: Sequence[str], x: NDArray[np.float64], starts: NDArray[np.bool_]
) -> str | None:
    """Return a note about channels that never change within a recording, if there are any."""
    changes = (x[1:] != x[:-1])[~starts[1:]]
    if not len(changes):
        return None
    still = [name for name, moves in zip(names, changes.any(axis=0), strict=True) if not moves]
    if not still:
        return None
    return f"read as a channel, yet it has one value all through each recording: {listed(still)}"


def _is_axis(name: str) -> bool:
    """Tell whether a channel is called like an axis, and not like an index."""
    return name.lower().endswith(("x", "y", "z")) and not name.lower().endswith(("idx", "index"))


def _counts(steps: NDArray[np.float64]) -> bool:
    """Tell whether a column grows by the same each time, as counters do that begin anew."""
    step = float(np.median(steps)) if len(steps) else 0.0
    return step > 0 and bool((steps == step).mean() >= _SAME)


def _is_clock(name: str, steps: NDArray[np.float64]) -> bool:
    """Tell whether a column is named like a clock and hardly ever goes back."""
    return clock_unit(name) is not None and bool((steps < 0).sum() <= _BACK * len(steps))


def _is_number_of_something(
    name: str, column: NDArray[np.float64], steps: NDArray[np.float64]
) -> bool:
    plain = name.strip().lower().replace(" ", "_")
    whole = bool((column == np.rint(column)).all())
    return plain in _NAMES and whole and bool((steps != 0).sum() <= _SELDOM * len(steps))

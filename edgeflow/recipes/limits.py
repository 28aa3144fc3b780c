"""Constraints of a search: the largest costs of a program, and the excess over them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any

from edgeflow.errors import CheckFailed, CompressError
from edgeflow.schema import SEARCH, Option
from edgeflow.tasks import Task

_UNITS = {"": 1, "k": 1000, "ki": 1024, "m": 1000**2, "mi": 1024**2}


def parse_bytes(option: str, text: str) -> int:
    """Return the bytes of a text like 800, 16k (16,000) or 16Ki (16,384).

    Raises
    ------
    CompressError
        If it is no such text; it names the option.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(k|ki|m|mi)?b?", text.strip().lower())
    if not match:
        raise CompressError(f"{option} {text}: use bytes like 800, 16k (16,000) or 16Ki (16,384)")
    return int(float(match[1]) * _UNITS[match[2] or ""])


@dataclass(frozen=True)
class Limits:
    """The largest costs of a program; None: no constraint.

    Parameters
    ----------
    drop : float, optional
        Points that accuracy may fall; exit with 1 if it falls by more.
    flash : int, optional
        Search for a recipe whose image has at most this many bytes: 16k.
    ram : int, optional
        Search: at most this many bytes of RAM, stack included.
    instructions : float, optional
        Search: at most this many instructions per step, on average.

    Raises
    ------
    CompressError
        If one is not positive (or, `drop`, negative).
    """

    panel = SEARCH
    drop: Annotated[float | None, Option("--max-drop")] = None
    flash: Annotated[int | None, Option("--max-flash", partial(parse_bytes, "--max-flash"))] = None
    ram: Annotated[int | None, Option("--max-ram", partial(parse_bytes, "--max-ram"))] = None
    instructions: Annotated[float | None, Option("--max-instructions")] = None

    def __post_init__(self) -> None:
        # below 0: accuracy has to rise
        if self.drop is not None and not abs(self.drop) < float("inf"):
            raise CompressError(f"--max-drop {self.drop:g}: give a number of points")
        for name in ("flash", "ram", "instructions"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise CompressError(f"--max-{name} {value:g}: give more than 0")

    @property
    def on_board(self) -> bool:
        """True where costs on a board are constrained."""
        return any(limit is not None for limit in (self.flash, self.ram, self.instructions))

    def excess(self, figures: Mapping[str, Any]) -> dict[str, float]:
        """Return the excess of figures over the constraints that they violate.

        Parameters
        ----------
        figures : mapping
            "drop", "flash", "ram", "instructions"; None is not known, and violates nothing.

        Returns
        -------
        dict
            As a share of the constraint, > 0; of "drop" in points.
        """
        found = {}
        for item in fields(self):
            limit, value = getattr(self, item.name), figures.get(item.name)
            if limit is not None and value is not None and value > limit:
                scale = 1.0 if item.name == "drop" else limit
                found[item.name] = (value - limit) / scale
        return found

    def check_drop(self, task: Task, scores: Mapping[str, Any]) -> None:
        """Check what compression cost, by the scores of `Compressed`.

        Raises
        ------
        CheckFailed
            If the headline of the task is worse than the float model's by more points than `drop`.
        """
        drop, metric = task.drop(scores), task.headline
        if self.drop is not None and drop > self.drop:
            raise CheckFailed(
                f"{metric.label} {metric.got_worse} by {drop:.2f} points, more than "
                f"--max-drop {self.drop}"
            )

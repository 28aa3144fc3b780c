"""What a user can pay, and how far a candidate is from it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from edgeflow.errors import CompressError

_UNITS = {"": 1, "k": 1000, "ki": 1024, "m": 1000**2, "mi": 1024**2}


@dataclass(frozen=True)
class Limits:
    """The most that a program may cost; None: as much as it likes.

    Parameters
    ----------
    drop : float, optional
        Points of accuracy below the float model.
    flash, ram : int, optional
        Bytes of the whole image; RAM with the most stack used.
    instructions : float, optional
        Mean of a step.

    Raises
    ------
    CompressError
        If one is not positive (or, `drop`, negative).
    """

    drop: float | None = None
    flash: int | None = None
    ram: int | None = None
    instructions: float | None = None

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
        """Whether a board must tell."""
        return any(limit is not None for limit in (self.flash, self.ram, self.instructions))

    def excess(self, figures: Mapping[str, Any]) -> dict[str, float]:
        """Return by how much figures exceed the limits, of those that they exceed.

        Parameters
        ----------
        figures : mapping
            "drop", "flash", "ram", "instructions"; None is not known, and exceeds nothing.

        Returns
        -------
        dict
            As a share of the limit, > 0; of "drop" in points.
        """
        found = {}
        for item in fields(self):
            limit, value = getattr(self, item.name), figures.get(item.name)
            if limit is not None and value is not None and value > limit:
                scale = 1.0 if item.name == "drop" else limit
                found[item.name] = (value - limit) / scale
        return found


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

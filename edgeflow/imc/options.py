"""Options of analog arrays, of their converters and of what is simulated."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from edgeflow.errors import ImcError
from edgeflow.schema import ARRAYS, Option

#: Factors that undo drift: none, one for each matrix, one for each of its rows.
COMPENSATIONS = ("none", "global", "column")
#: What a range of a converter is for: all of an array, or each of its columns.
RANGES = ("array", "column")
_LIMITS: dict[str, tuple[float, float]] = {
    "cell_bits": (1, 7),
    "spare": (0, 1024),
    "dac": (2, 16),
    "adc": (2, 16),
    "adc_quantile": (0.5, 1),
    **dict.fromkeys(("input_noise", "output_noise"), (0, 10)),
    "nl_adc": (2, 8),
    "ramp_noise": (0, 1),
    "seed": (0, 2**63 - 1),
}
_WHOLE = ("cell_bits", "spare", "dac", "adc", "nl_adc", "seed")
_SIDE = 65536
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def parse_tile(text: str) -> tuple[int, int]:
    """Return rows and columns of a text like ``256x256``.

    Raises
    ------
    ImcError
        If it is none, or a side is not in 1..65536.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(1 <= side <= _SIDE for side in sides):
        raise ImcError(f"--tile {text}: give rows x columns, each in 1..{_SIDE}, like 256x256")
    return sides


def parse_times(text: str) -> tuple[float, ...]:
    """Return seconds of a text like ``1s,1h,1d,1y``: seconds, minutes, hours, days, weeks, years.

    Raises
    ------
    ImcError
        If a part is no number with a unit, or not above zero.
    """
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*([smhdwy]?)\s*", part)
        seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else 0.0
        if not 0 < seconds < math.inf:
            raise ImcError(
                f"--time {text}: give numbers above 0 with s, m, h, d, w or y, like 1s,1h,1d,1y"
            )
        found.append(seconds)
    return tuple(sorted(set(found)))


def time_text(seconds: float) -> str:
    """Return a time as `parse_times` reads it, in the largest unit that gives a whole number."""
    for unit, size in sorted(_SECONDS.items(), key=lambda one: -one[1]):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} s"


def check_ranges(
    options: Any, limits: Mapping[str, tuple[float, float]], whole: Collection[str]
) -> None:
    """Raise an ImcError that names the first field out of range; None may be what is so by default.

    Parameters
    ----------
    options : dataclass
    limits : mapping
        Least and largest value by field.
    whole : collection of str
        Fields that are whole numbers.
    """
    for name, (low, high) in limits.items():
        value: Any = getattr(options, name)
        if value is None and getattr(type(options), name) is None:
            continue
        number = isinstance(value, int if name in whole else int | float)
        if not number or isinstance(value, bool) or not low <= value <= high:
            kind = "a whole number" if name in whole else "a number"
            raise ImcError(f"{name} is {value}: give {kind} in {low:g}..{high:g}")


@dataclass(frozen=True)
class ArrayOptions:
    """Arrays that a program is placed on, and the way in and out of them.

    Attributes
    ----------
    tile : str
        Rows (inputs) x columns of an array, like 256x256; a column is a pair of bit lines.
    cell_bits : int
        Bits of a weight's magnitude that one cell holds, 1..7; fewer than it has: several columns.
    spare : int
        Columns of an array that take the place of its worst ones.
    dac : int, optional
        Bits of the inputs' converters, 2..16, like 8; default: exact.
    adc : int, optional
        Bits of the columns' converters, 2..16, like 8; default: exact.
    adc_range : str
        What has a range of its own: array, or column.
    adc_quantile : float
        Share of the sums on training subjects within the range of a converter, 0.5..1.
    input_noise : float
        Noise of the reads of single cells, a share of the largest product, like 0.0175.
    output_noise : float
        Noise of each sum, a share of the largest product, like 0.04.
    fuse : bool
        One column for all weights of a sum that goes to an activation, of inputs and states.
    nl_adc : int, optional
        Bits of ramp converters that are the activation function, 2..8, like 5; it fuses columns.
    ramp_noise : float, optional
        Spread of the cells that make a ramp, a share of the largest conductance, like 0.02;
        default: that of the device after programming.
    compensate : str
        What undoes drift: none, global (a factor a matrix), column (a factor a row).
    ir_drop : bool
        Solve the voltages on all wires.
    seed : int
        Of all chips: same seed, same chips.
    """

    panel = ARRAYS
    tile: Annotated[str, Option("--tile")] = "256x256"
    cell_bits: Annotated[int, Option("--cell-bits")] = 7
    spare: Annotated[int, Option("--spare")] = 0
    dac: Annotated[int | None, Option("--dac")] = None
    adc: Annotated[int | None, Option("--adc")] = None
    adc_range: Annotated[str, Option("--adc-range")] = "array"
    adc_quantile: Annotated[float, Option("--adc-quantile")] = 1.0
    input_noise: Annotated[float, Option("--input-noise")] = 0.0
    output_noise: Annotated[float, Option("--output-noise")] = 0.0
    fuse: Annotated[bool, Option("--fuse")] = False
    nl_adc: Annotated[int | None, Option("--nl-adc")] = None
    ramp_noise: Annotated[float | None, Option("--ramp-noise")] = None
    compensate: Annotated[str, Option("--compensate")] = "global"
    ir_drop: Annotated[bool, Option("--ir-drop")] = False
    seed: Annotated[int, Option("--seed")] = 0

    @property
    def joined(self) -> bool:
        """Whether sums of several matrices share columns."""
        return self.fuse or self.nl_adc is not None

    @property
    def rows(self) -> int:
        """Inputs of an array."""
        return parse_tile(self.tile)[0]

    @property
    def columns(self) -> int:
        """Columns of an array, spare ones included."""
        return parse_tile(self.tile)[1]

    def check(self) -> None:
        """Raise an ImcError that names the first option out of range."""
        check_ranges(self, _LIMITS, _WHOLE)
        for name, known in (("compensate", COMPENSATIONS), ("adc_range", RANGES)):
            if getattr(self, name) not in known:
                raise ImcError(f"{name} is '{getattr(self, name)}': use one of {', '.join(known)}")
        if self.spare >= self.columns:
            raise ImcError(f"{self.spare} spare columns leave none of {self.columns} in an array")
        if self.ramp_noise is not None and self.nl_adc is None:
            raise ImcError("ramp noise needs ramp converters: give nl_adc, like 5")

    def settings(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        return asdict(self)

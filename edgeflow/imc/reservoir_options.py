"""Options of reservoirs of random resistive memory, and of the chips that they are tried on."""

from dataclasses import dataclass
from typing import Annotated

from edgeflow.imc.options import check_ranges
from edgeflow.schema import ARRAYS, Option

_LIMITS: dict[str, tuple[float, float]] = {
    "hidden": (1, 4096),
    "window": (1, 2**31 - 1),
    **dict.fromkeys(("gain", "radius"), (1e-6, 1e6)),
    "decay": (0, 0.99999),
    "chips": (0, 100_000),
    **dict.fromkeys(("dac", "adc"), (2, 16)),
    "seed": (0, 2**63 - 1),
}
_WHOLE = ("hidden", "window", "chips", "dac", "adc", "seed")


@dataclass(frozen=True)
class ReservoirOptions:
    """Options of :func:`edgeflow.compression.reservoir.train_reservoir`.

    Attributes
    ----------
    device : str
        Random memory that the weights come from: a name, or a .toml file of your own.
    hidden : int
        Units of the reservoir.
    window : int or None
        Samples per window (about 2 s); default: the data set's.
    gain : float or None
        Standard deviation of the input weights; default: chosen on validation subjects.
    radius : float or None
        Spectral radius of the recurrent weights, like 0.9; default: chosen on validation subjects.
    decay : float or None
        Of a membrane per step, like 0.9 (lif only); default: chosen on validation subjects.
    chips : int
        Chips whose own cells are the reservoir and whose head is fitted anew; 0: none.
    dac : int or None
        Bits of the converters of a chip's inputs, 2..16, like 8; default: exact.
    adc : int or None
        Bits of the converters of a chip's columns, 2..16, like 8; default: exact.
    seed : int
        Of all cells and readings: same seed, same reservoir and same chips.
    """

    panel = ARRAYS
    device: Annotated[str, Option("--device", shown=True)] = "random-rram"
    hidden: Annotated[int, Option("--hidden", shown=True)] = 200
    window: Annotated[int | None, Option("--window")] = None
    gain: Annotated[float | None, Option("--gain")] = None
    radius: Annotated[float | None, Option("--radius")] = None
    decay: Annotated[float | None, Option("--decay")] = None
    chips: Annotated[int, Option("--chips", shown=True)] = 10
    dac: Annotated[int | None, Option("--dac")] = None
    adc: Annotated[int | None, Option("--adc")] = None
    seed: Annotated[int, Option("--seed", shown=True)] = 0

    def check(self) -> None:
        """Raise an ImcError that names the first option out of range."""
        check_ranges(self, _LIMITS, _WHOLE)

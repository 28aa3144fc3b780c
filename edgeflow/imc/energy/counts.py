"""What one step of a program does on analog arrays: the events that energy models price."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from edgeflow.errors import ImcError

#: Most bits of a converter.
MOST_BITS = 16


@dataclass(frozen=True)
class Read:
    """What one array does in a step.

    Counts are of one read of the array, means over steps where they vary.

    Attributes
    ----------
    rows, cols : int
        Inputs of the array and weights of an input, at least 1.
    input_bits : int
        Bits of the DACs, 1..16; 0: spikes, which drive rows without one.
    conversions : mapping of int to float
        Conversions of linear ADCs by their bits, 1..16.
    ramps : mapping of int to float
        Conversions of ramp ADCs, which apply the activation, by their bits.
    driven : float, optional
        Rows that are driven, 0..rows; None: all. Delta layers and spikes drive some.
    times : float
        Reads a step, above 0: 1 / steps for a layer that runs once in so many steps.
    devices : int
        Devices of a weight: 2 for a pair, times the slices of its bits.
    adcs : int, optional
        ADCs of the array; None: one for each conversion.
    stage : int
        Reads of one stage take place at the same time, stages one after the other.
    column_us : float, optional
        Mean conductance that a conversion sees, µS; None: not known.

    Raises
    ------
    ImcError
        If a value is out of its range.
    """

    rows: int
    cols: int
    input_bits: int
    conversions: Mapping[int, float] = field(default_factory=dict)
    ramps: Mapping[int, float] = field(default_factory=dict)
    driven: float | None = None
    times: float = 1.0
    devices: int = 2
    adcs: int | None = None
    stage: int = 0
    column_us: float | None = None

    def __post_init__(self) -> None:
        for name in ("rows", "cols", "devices"):
            _check(name, getattr(self, name), 1, math.inf)
        _check("input_bits", self.input_bits, 0, MOST_BITS)
        _check("times", self.times, 1e-9, math.inf)
        _check("driven", self.driven, 0, self.rows)
        _check("adcs", self.adcs, 1, math.inf)
        _check("column_us", self.column_us, 0, math.inf)
        for name in ("conversions", "ramps"):
            for bits, count in getattr(self, name).items():
                _check(f"{name}: bits", bits, 1, MOST_BITS)
                _check(f"{name}[{bits}]", count, 0, math.inf)

    @property
    def rows_driven(self) -> float:
        """Rows that one read drives."""
        return self.rows if self.driven is None else self.driven

    @property
    def products(self) -> float:
        """Products of an input and a weight in one read: half of its operations."""
        return self.rows_driven * self.cols

    @property
    def converted(self) -> float:
        """Conversions of one read, linear and ramp."""
        return sum(self.conversions.values()) + sum(self.ramps.values())

    @property
    def output_bits(self) -> int:
        """Most bits of a conversion; 0: none."""
        return max((bits for bits, n in _both(self) if n), default=0)

    @property
    def converters(self) -> int:
        """ADCs of the array."""
        return math.ceil(self.converted) if self.adcs is None else self.adcs

    @property
    def in_a_row(self) -> float:
        """Conversions that one ADC does one after the other in one read."""
        return math.ceil(self.converted / self.converters) if self.converters else 0


@dataclass(frozen=True)
class Counts:
    """What one step of a program does on analog arrays.

    What the arrays' rows and columns do is in `reads`; element by element arithmetic of a cell's
    gates is not counted.

    Attributes
    ----------
    reads : tuple of Read
        One for each array of the design.
    adds : float
        Digital additions of partial sums.
    lookups : float
        Digital look-ups of activations in tables.
    buffer_bytes : float
        Bytes that are written to buffers or read.
    """

    reads: tuple[Read, ...]
    adds: float = 0.0
    lookups: float = 0.0
    buffer_bytes: float = 0.0

    def __post_init__(self) -> None:
        for name in ("adds", "lookups", "buffer_bytes"):
            _check(name, getattr(self, name), 0, math.inf)

    @property
    def cells_driven(self) -> float:
        """Reads of a device in a step."""
        return sum(read.times * read.products * read.devices for read in self.reads)

    @property
    def dac_events(self) -> dict[int, float]:
        """Inputs that DACs convert in a step, by bits."""
        return _sum((read.input_bits, read.times * read.rows_driven) for read in self.reads)

    @property
    def conversions(self) -> dict[int, float]:
        """Conversions of linear ADCs in a step, by bits."""
        return _sum((b, read.times * n) for read in self.reads for b, n in read.conversions.items())

    @property
    def ramp_conversions(self) -> dict[int, float]:
        """Conversions of ramp ADCs in a step, by bits."""
        return _sum((b, read.times * n) for read in self.reads for b, n in read.ramps.items())

    @property
    def arrays(self) -> list[tuple[int, int]]:
        """Rows and columns of the arrays."""
        return [(read.rows, read.cols) for read in self.reads]

    @property
    def adcs(self) -> int:
        """ADCs of the design."""
        return sum(read.converters for read in self.reads)

    @property
    def stages(self) -> list[list[Read]]:
        """Reads that take place at the same time, in the order of time."""
        numbers = sorted({read.stage for read in self.reads})
        return [[read for read in self.reads if read.stage == number] for number in numbers]

    def events(self, component: str) -> float:
        """Events of a step that `component` has a part in; 0: the design does not need it."""
        return {
            "array": self.cells_driven,
            "dac": sum(self.dac_events.values()),
            "adc": sum((*self.conversions.values(), *self.ramp_conversions.values())),
            "digital": self.adds + self.lookups,
            "buffer": self.buffer_bytes,
        }[component]

    def bit_serial(self) -> "Counts":
        """Return the same products with inputs bit by bit.

        An array is read and converted once a bit, and a shift and add follows each conversion.
        """
        reads = tuple(
            replace(read, input_bits=1, times=read.times * read.input_bits)
            if read.input_bits > 1
            else read
            for read in self.reads
        )
        shifted = sum(
            read.times * read.input_bits * read.converted
            for read in self.reads
            if read.input_bits > 1
        )
        return replace(self, reads=reads, adds=self.adds + shifted)


def _both(read: Read) -> list[tuple[int, float]]:
    return [*read.conversions.items(), *read.ramps.items()]


def _sum(counts: Iterable[tuple[int, float]]) -> dict[int, float]:
    """Sum counts by bits; without 0 bits (no converter) and counts of 0."""
    totals: dict[int, float] = {}
    for bits, count in counts:
        totals[bits] = totals.get(bits, 0.0) + count
    return {bits: n for bits, n in sorted(totals.items()) if bits and n}


def _check(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        most = "" if high == math.inf else f"..{high:g}"
        least = f"at least {low:g}" if not most else f"{low:g}"
        raise ImcError(f"counts of a step: {name} is {least}{most}, not {value:g}")

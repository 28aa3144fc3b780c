"""What files of models of energy have in common, and sums over the ADCs of a design."""

from collections.abc import Callable, Iterable
from typing import Annotated, ClassVar

from pydantic import Field

from edgeflow.calibration import Data
from edgeflow.imc.energy.costs import Costs, Part, Span
from edgeflow.imc.energy.counts import Counts, Read

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Bits = Annotated[int, Field(ge=1, le=16)]
Sources = Annotated[list[str], Field(min_length=1)]
#: A figure of an ADC and its source; None and why there is none.
Figure = tuple[float | None, str]

NO_RAMP = "no ramp ADC in this model"


class EnergyModel(Data):
    """A file of ``calibration/imc/energy``.

    Attributes
    ----------
    name, about
        The file's name, and what it is a model of.
    limits
        What it leaves out.
    unverified
        Figures that could not be checked.
    """

    #: True: figures of a whole chip, everything included.
    measured: ClassVar[bool] = False
    name: str
    about: str
    limits: str = ""
    unverified: list[str] = Field([])

    def costs(self, counts: Counts, node_nm: float) -> Costs:
        """Return the costs of a step.

        Parameters
        ----------
        counts : Counts
        node_nm : float
            Node in nm; a model of one node takes its own.

        Raises
        ------
        ImcError
            If the model does not have the node.
        """
        raise NotImplementedError

    def split(
        self,
        node_nm: float,
        energy: tuple[Part, ...],
        latency: tuple[Part, ...],
        area: tuple[Part, ...],
    ) -> Costs:
        """Return costs that carry the model's name and remarks."""
        return Costs(
            model=self.name,
            about=self.about,
            node_nm=node_nm,
            measured=self.measured,
            energy=energy,
            latency=latency,
            area=area,
            limits=self.limits,
            unverified=tuple(self.unverified),
        )


def conversion_energy(counts: Counts, pj: Callable[[int], Figure]) -> Part:
    """Return the energy of a step's conversions; `pj`: of one, by bits."""
    if counts.ramp_conversions:
        return Part(("adc",), None, NO_RAMP)
    return _sum((pj(bits), 1e-12 * n) for bits, n in counts.conversions.items())


def converter_area(counts: Counts, um2: Callable[[int], Figure]) -> Part:
    """Return the area of a design's ADCs; `um2`: of one, by the most bits of its array."""
    if counts.ramp_conversions:
        return Part(("adc",), None, NO_RAMP)
    reads = [read for read in counts.reads if read.output_bits]
    return _sum((um2(read.output_bits), float(read.converters)) for read in reads)


def conversion_time(counts: Counts, seconds: Callable[[int], float], sources: list[str]) -> Part:
    """Return the time of a step's conversions; an ADC does its columns one after the other."""
    if counts.ramp_conversions:
        return Part(("adc",), None, NO_RAMP)
    return part(
        "adc", longest(counts, lambda read: read.in_a_row * seconds(read.output_bits)), sources
    )


def longest(counts: Counts, seconds: Callable[[Read], float]) -> float:
    """Return the sum over stages of the longest time; `seconds`: of one read."""
    return sum(max(read.times * seconds(read) for read in reads) for reads in counts.stages)


def part(covers: str, value: float, sources: list[str]) -> Part:
    """Return a known figure of components whose names have spaces between them."""
    source = "; ".join(sources) if value else "none in the design"
    return Part(tuple(covers.split()), Span(value, value), source)


def _sum(figures: Iterable[tuple[Figure, float]]) -> Part:
    """Sum figures of ADCs times their number; unknown if one of them is."""
    total, source = 0.0, "none in the design"
    for (value, text), n in figures:
        if value is None:
            return Part(("adc",), None, text)
        total, source = total + value * n, text
    return Part(("adc",), Span(total, total), source)

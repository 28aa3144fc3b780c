"""Arrays with nonlinear ramp ADCs: laws fitted to published LSTM layers."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgeflow.calibration import Data
from edgeflow.imc.energy.costs import Component, Costs, Part, Span, parts_of
from edgeflow.imc.energy.counts import Counts, Read
from edgeflow.imc.energy.model import Bits, Count, EnergyModel, Positive, Sources, longest

_WHY = "not in the published figure"


class RampEnergy(Data):
    """Law of the energy: pJ of a conversion x 2^bits and of a product x 2^input bits."""

    pj_per_level: Positive
    pj_per_product_level: Positive


class RampLatency(Data):
    """Law of a step's time, ns: (1 + levels) x (1 + columns), levels 2^bits."""

    ns: Positive
    ns_per_column: Positive
    ns_per_level: Positive
    ns_per_column_level: Positive


class RampArea(Data):
    """Law of the area, µm²."""

    um2_per_column: Positive
    um2_per_weight: Positive


class Published(Data):
    """A layer that the laws were fitted to, one step of it."""

    rows: Count
    cols: Count
    bits: Bits
    milliwatt: Positive
    tops: Positive
    tops_per_w: Positive
    mm2: Positive


class Ramp(EnergyModel):
    """Whole layers with ramp ADCs; linear conversions cost what ramps do.

    Attributes
    ----------
    covers
        Components that the figures are of, together.
    bits
        Least and most bits of the publication; fewer cost what the least do.
    published
        The figures behind the laws.
    """

    measured: ClassVar[bool] = True
    kind: Literal["ramp"]
    node_nm: Positive
    covers: Annotated[list[Component], Field(min_length=1)]
    bits: tuple[Bits, Bits]
    sources: Sources
    energy: RampEnergy
    latency: RampLatency
    area: RampArea
    published: Annotated[list[Published], Field(min_length=1)]

    def costs(self, counts: Counts, node_nm: float) -> Costs:
        """Return the costs of a step at the model's own node (see `EnergyModel.costs`)."""
        joule = sum(read.times * self._joule(read) for read in counts.reads)
        second = longest(counts, self._second)
        um2 = sum(self._um2(read) for read in counts.reads)
        return self.split(
            self.node_nm,
            energy=parts_of(counts, [self._part(counts, joule)], _WHY),
            latency=parts_of(counts, [self._part(counts, second)], _WHY),
            area=parts_of(counts, [self._part(counts, um2)], _WHY),
        )

    def _part(self, counts: Counts, value: float) -> Part:
        low, high = self.bits
        for read in counts.reads:
            if max(read.input_bits, read.output_bits) > high:
                why = f"published for {low}..{high} bits, the design has "
                why += f"{read.input_bits} in and {read.output_bits} out"
                return Part(tuple(self.covers), None, why)
        return Part(tuple(self.covers), Span(value, value), "; ".join(self.sources))

    def _levels(self, bits: int) -> int:
        return 2 ** max(bits, self.bits[0])

    def _joule(self, read: Read) -> float:
        tables = (read.conversions, read.ramps)
        levels = sum(n * self._levels(bits) for table in tables for bits, n in table.items())
        products = read.products * self._levels(read.input_bits)
        law = self.energy
        return 1e-12 * (law.pj_per_level * levels + law.pj_per_product_level * products)

    def _second(self, read: Read) -> float:
        law, columns = self.latency, read.converted
        levels = self._levels(max(read.input_bits, read.output_bits))
        per_level = law.ns_per_level + law.ns_per_column_level * columns
        return 1e-9 * (law.ns + law.ns_per_column * columns + per_level * levels)

    def _um2(self, read: Read) -> float:
        law = self.area
        return law.um2_per_column * read.converters + law.um2_per_weight * read.rows * read.cols

"""Measured chips of cores that multiply a matrix and a vector, everything included."""

import math
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from edgeflow.calibration import Data
from edgeflow.imc.energy.costs import Component, Costs, Part, Span, parts_of
from edgeflow.imc.energy.counts import Counts, Read
from edgeflow.imc.energy.model import Bits, Count, EnergyModel, Positive, Sources

_WHY = "not in the measured figure"


class Size(Data):
    """Inputs of a core, and weights of an input."""

    rows: Count
    cols: Count

    @property
    def operations(self) -> int:
        """Operations of a full core: two a weight."""
        return 2 * self.rows * self.cols

    def cores(self, read: Read) -> int:
        """Return the cores that an array takes."""
        return math.ceil(read.rows / self.rows) * math.ceil(read.cols / self.cols)


class Point(Data):
    """An operating point: efficiency, and throughput of all cores of the chip."""

    input_bits: Bits
    output_bits: Bits
    tops_per_w: Positive
    tops: Positive | None = None


class Core(EnergyModel):
    """A measured chip of cores.

    Energy lies between two bounds: an array's share of a full core, in proportion to operations,
    and the whole core for each array. No source states what idle rows and columns cost.

    Attributes
    ----------
    size
        Of a core; None: only the share is known.
    cores, mm2
        Cores of the chip and its area; None: unknown.
    covers
        Components that the figures are of, together.
    points
        Operating points; an array takes the cheapest whose bits suffice.
    """

    measured: ClassVar[bool] = True
    kind: Literal["core"]
    node_nm: Positive
    cores: Count = 1
    mm2: Positive | None = None
    covers: Annotated[list[Component], Field(min_length=1)]
    sources: Sources
    size: Size | None = None
    points: Annotated[list[Point], Field(min_length=1)]

    @model_validator(mode="after")
    def _sized(self) -> "Core":
        per_core = self.mm2 is not None or any(point.tops for point in self.points)
        if self.size is None and per_core:
            raise ValueError("size: the core's rows and cols are needed for its area or time")
        return self

    def costs(self, counts: Counts, node_nm: float) -> Costs:
        """Return the costs of a step at the chip's own node (see `EnergyModel.costs`)."""
        singly = [[read] for read in counts.reads]
        return self.split(
            self.node_nm,
            energy=parts_of(counts, [self._part(singly, self._joule)], _WHY),
            latency=parts_of(counts, [self._part(counts.stages, self._second)], _WHY),
            area=parts_of(counts, [self._part(singly, self._um2)], _WHY),
        )

    def point(self, read: Read) -> Point | None:
        """Return the cheapest operating point whose bits suffice for a read; None: none does."""
        enough = [
            point
            for point in self.points
            if point.input_bits >= read.input_bits and point.output_bits >= read.output_bits
        ]
        return max(enough, key=lambda point: point.tops_per_w, default=None)

    def _part(self, stages: list[list[Read]], figure: Callable[[Read, Point], Span | None]) -> Part:
        """Sum the largest figure of each stage."""
        total = Span(0.0, 0.0)
        for reads in stages:
            spans = []
            for read in reads:
                point = self.point(read)
                if any(read.ramps.values()):
                    return self._unknown("no ramp ADC on this chip")
                if point is None:
                    return self._unknown(self._bits(read))
                span = figure(read, point)
                if span is None:
                    return self._unknown("not published")
                spans.append(span)
            total = total + max(spans, key=lambda span: span.high)
        return Part(tuple(self.covers), total, "; ".join(self.sources))

    def _joule(self, read: Read, point: Point) -> Span:
        share = 2 * read.products
        full = self.size.operations * self.size.cores(read) if self.size is not None else share
        return Span(share, full).scaled(1e-12 * read.times / point.tops_per_w)

    def _second(self, read: Read, point: Point) -> Span | None:
        if point.tops is None or self.size is None:
            return None
        seconds = 1e-12 * self.size.operations * self.cores / point.tops * read.times
        return Span(seconds, seconds)

    def _um2(self, read: Read, point: Point) -> Span | None:
        if self.mm2 is None or self.size is None:
            return None
        um2 = 1e6 * self.mm2 / self.cores * self.size.cores(read)
        return Span(um2, um2)

    def _unknown(self, why: str) -> Part:
        return Part(tuple(self.covers), None, why)

    def _bits(self, read: Read) -> str:
        most = max(self.points, key=lambda point: point.input_bits + point.output_bits)
        return (
            f"measured up to {most.input_bits} bits in and {most.output_bits} out, "
            f"the design has {read.input_bits} and {read.output_bits}"
        )

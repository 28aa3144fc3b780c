"""Models of ADCs by technology: the ADC survey's regression and NeuroSim's SAR ADC."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from edgeflow.calibration import Data
from edgeflow.errors import ImcError
from edgeflow.imc.energy.costs import Costs, Part, parts_of
from edgeflow.imc.energy.counts import Counts, Read
from edgeflow.imc.energy.model import (
    NO_RAMP,
    Bits,
    EnergyModel,
    Figure,
    Positive,
    Sources,
    conversion_energy,
    conversion_time,
    converter_area,
    longest,
    part,
)

_ABSENT = "not in this model"


class SurveyEnergy(Data):
    """Coefficients of the energy of a conversion (arXiv 2404.06553)."""

    merit_intercept: float
    merit_per_log_hz: float
    best_intercept: float
    best_per_bit: float
    node_intercept: float
    node_log: float
    bits_log: float
    residual: float


class SurveyArea(Data):
    """Coefficients of the area of a converter (arXiv 2404.06553)."""

    intercept: float
    node_log: float
    hz_log: float
    energy_log: float


class Survey(EnergyModel):
    """The best fifth of published ADCs by node, rate and bits (arXiv 2404.06553).

    Attributes
    ----------
    rate_hz
        Conversions a second of one ADC.
    nodes_nm, bits
        Least and most of the survey.
    energy, area
        Coefficients.
    """

    kind: Literal["survey"]
    rate_hz: Positive
    nodes_nm: tuple[Positive, Positive]
    bits: tuple[Bits, Bits]
    sources: Sources
    energy: SurveyEnergy
    area: SurveyArea

    def costs(self, counts: Counts, node_nm: float) -> Costs:
        """Return the costs of a step's conversions (see `EnergyModel.costs`)."""
        low, high = self.nodes_nm
        if not low <= node_nm <= high:
            raise ImcError(f"{self.name}: a node is {low:g}..{high:g} nm, not {node_nm:g}")
        time = conversion_time(counts, lambda _: 1 / self.rate_hz, self.sources)
        energy = conversion_energy(counts, lambda bits: self._at(bits, node_nm, self.energy_pj))
        area = converter_area(counts, lambda bits: self._at(bits, node_nm, self.area_um2))
        return self.split(
            node_nm,
            energy=parts_of(counts, [energy], _ABSENT),
            latency=parts_of(counts, [time], _ABSENT),
            area=parts_of(counts, [area], _ABSENT),
        )

    def energy_pj(self, bits: int, node_nm: float, rate_hz: float | None = None) -> float:
        """Return the energy of a conversion in pJ; without `rate_hz` at the file's rate."""
        c = self.energy
        merit = min(
            c.merit_intercept + c.merit_per_log_hz * math.log(rate_hz or self.rate_hz),
            c.best_intercept + c.best_per_bit * bits,
        )
        sndr = 20 * math.log10(2) * bits + 10 * math.log10(1.5)
        log = c.node_intercept + c.node_log * math.log(node_nm) + c.bits_log * math.log(bits)
        return math.exp(log + c.residual) / (2 * 10 ** ((merit - sndr) / 10))

    def area_um2(self, bits: int, node_nm: float, rate_hz: float | None = None) -> float:
        """Return the area of a converter in µm²; without `rate_hz` at the file's rate."""
        c = self.area
        log = c.intercept + c.node_log * math.log(node_nm)
        log += c.hz_log * math.log(rate_hz or self.rate_hz)
        return math.exp(log + c.energy_log * math.log(self.energy_pj(bits, node_nm, rate_hz)))

    def _at(self, bits: int, node_nm: float, figure: Callable[[int, float], float]) -> Figure:
        low, high = self.bits
        if low <= bits <= high:
            return figure(bits, node_nm), "; ".join(self.sources)
        return None, f"no ADC of {bits} bits in the survey (there are {low}..{high})"


class SarNode(Data):
    """Power at a node: µW a bit and constant, W of the column's current (see the file)."""

    nm: Positive
    per_bit: Positive
    constant: Positive
    column: Positive
    log: Positive


class Sar(EnergyModel):
    """Successive approximation ADCs by node, a cycle of 1 ns a bit and one more (NeuroSim).

    Attributes
    ----------
    pulse_ns
        Time of one pulse of an input; it has one a bit.
    nodes
        Power by node.
    """

    kind: Literal["sar"]
    pulse_ns: Positive
    sources: Sources
    nodes: Annotated[list[SarNode], Field(min_length=1)]

    def costs(self, counts: Counts, node_nm: float) -> Costs:
        """Return the costs of a step's conversions (see `EnergyModel.costs`)."""
        joule = 1e-12 * sum(read.times * self._read_pj(read, node_nm) for read in counts.reads)
        energy = part("adc", joule, self.sources)
        pulses = longest(counts, lambda read: 1e-9 * self.pulse_ns * max(1, read.input_bits))
        times = [
            part("array dac", pulses, self.sources),
            conversion_time(counts, lambda bits: 1e-9 * (bits + 1), self.sources),
        ]
        if counts.ramp_conversions:
            energy = Part(("adc",), None, NO_RAMP)
        return self.split(
            node_nm,
            energy=parts_of(counts, [energy], _ABSENT),
            latency=parts_of(counts, times, _ABSENT),
            area=parts_of(counts, [], _ABSENT),
        )

    def energy_pj(self, bits: int, node_nm: float, column_us: float = 0.0) -> float:
        """Return the energy of a conversion in pJ of a column of conductance `column_us`, µS.

        Raises
        ------
        ImcError
            If the model does not have the node.
        """
        node = self._node(node_nm)
        microwatt = node.per_bit * bits + node.constant
        if column_us > 0:
            microwatt += 1e6 * node.column * (1e-6 * column_us) ** (node.log / math.log(10))
        return 1e-3 * microwatt * (bits + 1)

    def _read_pj(self, read: Read, node_nm: float) -> float:
        us = read.column_us or 0.0
        pj = [n * self.energy_pj(bits, node_nm, us) for bits, n in read.conversions.items()]
        return sum(pj)

    def _node(self, node_nm: float) -> SarNode:
        for node in self.nodes:
            if node.nm == node_nm:
                return node
        known = ", ".join(f"{nm:g}" for nm in sorted(node.nm for node in self.nodes))
        raise ImcError(f"{self.name}: no node of {node_nm:g} nm (there are {known})")

"""A design as its components, inputs bit by bit: ISAAC (Shafiee et al., ISCA 2016)."""

from collections.abc import Mapping
from typing import Literal

from edgeflow.calibration import Data
from edgeflow.imc.energy.costs import Costs, Part, parts_of
from edgeflow.imc.energy.counts import Counts
from edgeflow.imc.energy.model import (
    Bits,
    Count,
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


class Array(Data):
    """An array that is read with all devices driven: `milliwatt` for `ns`, `um2` of area."""

    milliwatt: Positive
    ns: Positive
    rows: Count
    cols: Count
    um2: Positive
    sources: Sources

    @property
    def devices(self) -> int:
        """Devices of the published array."""
        return self.rows * self.cols


class Dac(Data):
    """Drivers of one bit: pJ an event, µm² a row."""

    pj: Positive
    um2: Positive
    sources: Sources


class Adc(Data):
    """Linear ADCs: conversions a second of one; pJ a conversion and µm² by bits."""

    rate_hz: Positive
    pj: dict[Bits, Positive]
    um2: dict[Bits, Positive]
    sources: Sources


class Digital(Data):
    """Additions and look-ups: pJ of one, µm² of an ADC's adders and of the look-up unit."""

    add_pj: Positive
    lookup_pj: Positive
    add_um2_per_adc: Positive
    lookup_um2: Positive
    sources: Sources


class Buffer(Data):
    """A buffer: pJ an access of `access_bytes`."""

    access_pj: Positive
    access_bytes: Count
    sources: Sources


class Components(EnergyModel):
    """All components at one node; inputs come bit by bit whatever the design's DACs are."""

    kind: Literal["components"]
    node_nm: Positive
    array: Array
    dac: Dac
    adc: Adc
    digital: Digital
    buffer: Buffer

    def costs(self, counts: Counts, node_nm: float) -> Costs:
        """Return the costs of a step at the model's own node (see `EnergyModel.costs`)."""
        serial = counts.bit_serial()
        why = "units that work at the same time are not given"
        times = [
            part("array dac", longest(serial, lambda _: 1e-9 * self.array.ns), self.array.sources),
            conversion_time(serial, lambda _: 1 / self.adc.rate_hz, self.adc.sources),
        ]
        areas = [
            *self._areas(counts),
            converter_area(counts, lambda bits: self._figure(self.adc.um2, bits)),
        ]
        return self.split(
            self.node_nm,
            energy=parts_of(serial, self._energies(serial), ""),
            latency=parts_of(counts, times, why),
            area=parts_of(counts, areas, "bytes moved are counted, not the buffer's size"),
        )

    def _energies(self, serial: Counts) -> list[Part]:
        array, digital, buffer = self.array, self.digital, self.buffer
        device_pj = array.milliwatt * array.ns / array.devices
        digital_pj = digital.add_pj * serial.adds + digital.lookup_pj * serial.lookups
        buffer_pj = buffer.access_pj / buffer.access_bytes * serial.buffer_bytes
        dac_pj = self.dac.pj * serial.events("dac")
        return [
            part("array", 1e-12 * device_pj * serial.cells_driven, array.sources),
            part("dac", 1e-12 * dac_pj, self.dac.sources),
            conversion_energy(serial, lambda bits: self._figure(self.adc.pj, bits)),
            part("digital", 1e-12 * digital_pj, digital.sources),
            part("buffer", 1e-12 * buffer_pj, buffer.sources),
        ]

    def _areas(self, counts: Counts) -> list[Part]:
        array, digital = self.array, self.digital
        devices = sum(read.rows * read.cols * read.devices for read in counts.reads)
        rows = sum(read.rows for read in counts.reads if read.input_bits)
        adders = counts.adcs if counts.bit_serial().adds else 0
        units = digital.add_um2_per_adc * adders + digital.lookup_um2 * (counts.lookups > 0)
        return [
            part("array", array.um2 / array.devices * devices, array.sources),
            part("dac", self.dac.um2 * rows, self.dac.sources),
            part("digital", units, digital.sources),
        ]

    def _figure(self, table: Mapping[int, float], bits: int) -> Figure:
        if bits in table:
            return table[bits], "; ".join(self.adc.sources)
        return None, f"no figure of an ADC of {bits} bits (there are {min(table)}..{max(table)})"

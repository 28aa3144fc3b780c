"""What a step of a program does on its arrays, counted for the models of energy."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.imc.energy import Counts, Read, price, sources, table
from edgeflow.imc.energy.costs import Costs, Power, Quantity, Total
from edgeflow.imc.options import ArrayOptions
from edgeflow.imc.placement import Placed, Placement
from edgeflow.program import Program
from edgeflow.program.firing import SPIKE_BITS, fired_shares, spike_rates
from edgeflow.program.nodes.base import FACTOR, Node

#: Bits of converters where none were given: models of energy have no exact ones.
ASSUMED_BITS = 8
#: Windows that updates and spikes are counted on.
WINDOWS = 64
#: Matrices that are read at the same time, as both inputs are there when a step begins.
_FIRST = ("input", "recurrent")
_QUANTITIES: tuple[Quantity, ...] = ("energy", "latency", "area")


def counts_of(plan: Placement, x: NDArray[np.int16]) -> Counts:
    """Return the events of a step, on average over windows.

    Parameters
    ----------
    plan : Placement
    x : int16 array [n, time, inputs]
        Windows on which delta layers and spikes drive some rows only.
    """
    driven = _driven(plan.program, x)
    reads: list[Read] = []
    adds = lookups = moved = 0.0
    for number, node in enumerate(plan.program.nodes):
        placed = [one for one in plan.placed if one.layer == node.name]
        stage = 10 * number
        for one in placed:
            alone = one.matrix.rows - int(one.shared.sum())
            reads += _reads(plan, one, driven, stage + _level(node, one.field))
            parts = len({tile.inputs.start for tile in one.tiles}) * one.tiles[0].digits.shape[2]
            adds += (parts - 1) * alone
            moved += 2 * (one.matrix.cols + one.matrix.rows)
        reads += _joined(plan, node, driven, stage)
        if node.tables and placed:
            lookups += placed[0].matrix.rows
            if plan.options.nl_adc is not None:
                lookups -= sum(sums.rows for sums in node.activated)
    return Counts(tuple(reads), adds=adds, lookups=max(lookups, 0.0), buffer_bytes=moved)


def _driven(program: Program, x: NDArray[np.int16]) -> dict[str, float]:
    """Return the share of rows that a step drives, by ``layer.product``; of others all."""
    found, rates = fired_shares(program, x), spike_rates(program, x)
    rate = [0.0]  # of the spikes that each value has
    sizes = [program.inputs]
    for node, reads in zip(program.nodes, program.reads, strict=False):
        read = [sizes[k] for k in reads]
        before = float(np.average([rate[k] for k in reads], weights=read))
        own = [rate for name, rate in rates.items() if name.startswith(f"{node.name}.")]
        for field, matrix in node.matrices().items():
            if matrix.x_bits == SPIKE_BITS:
                found[f"{node.name}.{field}"] = before if field == "input" or not own else own[0]
        rate.append(own[-1] if own else before)
        sizes.append(node.outputs)
    return found


def _level(node: Node, field: str) -> int:
    """Return the order of a product in its layer."""
    names = list(node.matrices())
    plain = field.removesuffix(FACTOR)
    order = 0 if plain in _FIRST else names.index(plain)
    return 2 * order + int(getattr(node, plain).factor is not None and plain == field)


def _bits(options: ArrayOptions, input_bits: int) -> int:
    """Return bits of the inputs' converters; 0 of spikes."""
    return 0 if input_bits == SPIKE_BITS else min(options.dac or ASSUMED_BITS, input_bits)


def _reads(plan: Placement, one: Placed, driven: Mapping[str, float], stage: int) -> Iterator[Read]:
    options = plan.options
    for tile in one.tiles:
        own = ~one.shared[tile.outputs]
        columns = int(own.sum()) * tile.digits.shape[2]
        if columns == 0:
            continue
        share = driven.get(one.name, 1.0)
        cells = tile.targets(plan.device).reshape(2, tile.rows, len(own), -1)[:, :, own]
        seen = share * float(cells.sum()) / columns
        yield Read(
            tile.rows, columns, _bits(options, one.matrix.input_bits),
            {options.adc or ASSUMED_BITS: float(columns)}, driven=share * tile.rows, stage=stage,
            column_us=seen,
        )  # fmt: skip


def _joined(plan: Placement, node: Node, driven: Mapping[str, float], stage: int) -> Iterator[Read]:
    """Yield a read of each array whose columns several matrices share."""
    options = plan.options
    placed = {one.field: one for one in plan.placed if one.layer == node.name}
    for number, sums in enumerate(node.activated if options.joined else ()):
        inputs = [placed[field].matrix.cols for field in sums.first]
        shares = [driven.get(placed[field].name, 1.0) for field in sums.first]
        bits = [_bits(options, placed[field].matrix.input_bits) for field in sums.first]
        ramp = options.nl_adc is not None
        converted = {options.nl_adc or options.adc or ASSUMED_BITS: float(sums.rows)}
        yield Read(
            sum(inputs), sums.rows, max(bits),
            {} if ramp else converted, converted if ramp else {},
            driven=float(np.dot(inputs, shares)), stage=stage + 2 * number,
        )  # fmt: skip


def costs_of(
    plan: Placement, x: NDArray[np.int16], *, node_nm: float, standby_w: float | None
) -> dict[str, Any]:
    """Return energy, latency and area of a step under published models, JSON values.

    Parameters
    ----------
    plan : Placement
    x : int16 array [n, time, inputs]
    node_nm : float
        Node in nm of the models that have several.
    standby_w : float, optional
        What the chip takes all the time, in W; None: unknown, as no source says.

    Returns
    -------
    dict
        ``models``: of each ``model``, ``about``, ``node_nm``, ``measured``, ``limits``,
        ``unverified``, and totals ``energy_j``, ``latency_s``, ``area_um2``, ``active_w`` (of the
        steps), ``power_w`` (with standby): ``low`` and ``high``, lower bounds unless ``complete``;
        None if unknown. ``tables`` of texts by
        quantity, a row for each component. ``sources`` by model. ``counts`` of a step.
        ``assumed``: what was not given, a line each.

    Raises
    ------
    ImcError
        If a model does not have the node.
    """
    counts = counts_of(plan, x)
    costs, rate = price(counts, node_nm), plan.program.rate_hz
    assumed = [
        f"{what} of {ASSUMED_BITS} bits: {name} was not given"
        for what, name, value in (
            ("input converters", "dac", plan.options.dac),
            ("column converters", "adc", plan.options.adc or plan.options.nl_adc),
        )
        if value is None
    ]
    return {
        "node_nm": node_nm,
        "rate_hz": rate or None,
        "standby_w": standby_w,
        "models": [_model(one, rate, standby_w) for one in costs],
        "tables": {quantity: table(costs, quantity) for quantity in _QUANTITIES},
        "sources": sources(costs),
        "assumed": assumed,
        "counts": {
            **{name: getattr(counts, name) for name in ("adds", "lookups", "buffer_bytes")},
            "cells_driven": counts.cells_driven,
            "conversions": {str(b): n for b, n in counts.conversions.items()},
            "ramp_conversions": {str(b): n for b, n in counts.ramp_conversions.items()},
            "dac_events": {str(b): n for b, n in counts.dac_events.items()},
            "reads": [asdict(read) for read in counts.reads],
        },
    }


def _model(costs: Costs, rate_hz: float, standby_w: float | None) -> dict[str, Any]:
    power = costs.average_power(rate_hz, standby_w) if rate_hz > 0 else None
    return {
        "model": costs.model,
        "about": costs.about,
        "node_nm": costs.node_nm,
        "measured": costs.measured,
        "limits": costs.limits,
        "unverified": list(costs.unverified),
        "energy_j": _total(costs.total("energy")),
        "latency_s": _total(costs.total("latency")),
        "area_um2": _total(costs.total("area")),
        "active_w": None if power is None else _total(power.active),
        "power_w": _whole(power),
    }


def _total(total: Total) -> dict[str, Any] | None:
    if total.span is None:
        return None
    return {"low": total.span.low, "high": total.span.high, "complete": total.complete}


def _whole(power: Power | None) -> dict[str, Any] | None:
    return None if power is None or power.standby_w is None else _total(power.total)

"""Ranges of converters, by what sums training subjects give on ideal arrays."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.imc.analog import AnalogTile, Arrays
from edgeflow.imc.chip import ACTIVATED, Activation, with_arrays
from edgeflow.imc.device import Device
from edgeflow.imc.mapping import Floats
from edgeflow.imc.options import ArrayOptions
from edgeflow.imc.placement import Placed, Placement, place
from edgeflow.program import Program
from edgeflow.program.fixedpoint import Ints, lookup

Magnitudes = NDArray[np.float32]
#: Windows that ranges are chosen on.
WINDOWS = 128


def placement(
    program: Program, device: Device, options: ArrayOptions, x: NDArray[np.int16] | None
) -> Placement:
    """Place a program on arrays, and choose the ranges of their converters.

    Parameters
    ----------
    x : int16 array [n, time, inputs] or None
        Windows of training subjects, of more than `WINDOWS` as many, evenly spread; only where
        columns have converters.

    Raises
    ------
    ImcError
        As `edgeflow.imc.placement.place`.
    """
    placed = place(program, options)
    empty = Placement(program, device, options, placed, {}, {})
    if options.adc is None or x is None:
        return empty
    if len(x) > WINDOWS:
        x = x[np.linspace(0, len(x) - 1, WINDOWS).astype(int)]
    sums: dict[tuple[str, int], list[Magnitudes]] = defaultdict(list)
    arrays = {one.name: _ideal(empty, one, sums) for one in placed}
    joined: dict[str, list[Magnitudes]] = defaultdict(list)
    activations = _recorders(program, joined) if options.joined else {}
    with_arrays(program, arrays, activations).run(x)
    bounds = {key: _bound(found, options) for key, found in sums.items() if found}
    whole = {layer: float(_bound(found, options, one=True)) for layer, found in joined.items()}
    return Placement(program, device, options, placed, bounds, whole)


def _ideal(
    plan: Placement, one: Placed, sums: Mapping[tuple[str, int], list[Magnitudes]]
) -> Arrays:
    """Return arrays without any fault that remember their sums."""
    tiles = tuple(
        AnalogTile(
            tile.inputs, tile.outputs, tile.digits.astype(np.float64), tile.places, tile.largest,
            np.ones(tile.digits.shape[1]), tile.share, ~one.shared[tile.outputs],
        )
        for tile in one.tiles
    )  # fmt: skip

    def remember(number: int, found: Floats) -> None:
        own = np.abs(found[:, tiles[number].converted]).astype(np.float32)
        if own.size:
            sums[one.name, number].append(own)

    return Arrays(tiles, plan.dac(one.matrix), on_sums=remember)


def _recorders(
    program: Program, joined: Mapping[str, list[Magnitudes]]
) -> dict[str, dict[str, Activation]]:
    def activate(layer: str, table: str, sums: Ints) -> Ints:
        joined[layer].append(np.abs(sums).astype(np.float32))
        return lookup(table, sums)

    return {
        node.name: {table: partial(activate, node.name, table) for table in ACTIVATED}
        for node in program.nodes
        if node.activated
    }


def _bound(found: list[Magnitudes], options: ArrayOptions, *, one: bool = False) -> Any:
    """Return the range of magnitudes [n, ...]; of sums that are all zero it is 1."""
    whole = np.concatenate([part.reshape(-1) for part in found] if one else found)
    axis = 0 if options.adc_range == "column" and not one else None
    bound = np.quantile(whole, options.adc_quantile, axis=axis)
    return np.where(bound > 0, bound, 1.0).astype(np.float64)[()]

"""One chip: what its devices make of a program at a time."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np

from edgeflow.imc.analog import AnalogTile, Arrays, Noise, analog
from edgeflow.imc.conductance import Programmed, program
from edgeflow.imc.converter import Converter
from edgeflow.imc.irdrop import effective, interleaved, separated
from edgeflow.imc.mapping import Floats
from edgeflow.imc.placement import Placed, Placement
from edgeflow.imc.ramp import Ramp
from edgeflow.program import Program
from edgeflow.program.fixedpoint import INT16_MAX, INT16_MIN, Ints, lookup
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import FACTOR, Node

#: What a chip draws numbers for: each has its own, so that one more changes no other.
_PROGRAMMING, _SPARE, _READ, _NOISE, _RAMP = range(5)

#: Tables that layers activate sums by, where these share columns.
ACTIVATED = ("sigmoid", "tanh")
#: An activation of a layer: takes sums in Q3.12, and returns Q0.15.
Activation = Callable[[Ints], Ints]


class Chip:
    """A program's matrices on the devices of one chip.

    Parameters
    ----------
    placement : Placement
    number : int
        From 0. Equal numbers and seeds give equal chips, however many there are.
    """

    def __init__(self, placement: Placement, number: int) -> None:
        self._placement, self._number = placement, number
        self._cells = {
            (one.name, tile): _Cells(placement, one, tile, self._generator)
            for one in placement.placed
            for tile in range(len(one.tiles))
        }
        self._activations = self._converters()

    def at(self, seconds: float) -> Program:
        """Return the program as the chip computes it at a time since its programming."""
        made: dict[str, Arrays] = {}
        for one in self._placement.placed:
            made[one.name] = self._arrays(one, seconds)
        return with_arrays(self._placement.program, made, self._activations)

    def _generator(self, kind: int, key: int = 0, time: float = 0.0) -> np.random.Generator:
        parts = [self._placement.options.seed, self._number, kind, key, int(time * 1000)]
        return np.random.default_rng(np.random.SeedSequence(parts))

    def _arrays(self, one: Placed, seconds: float) -> Arrays:
        plan, options = self._placement, self._placement.options
        now = [self._cells[one.name, n].at(seconds) for n in range(len(one.tiles))]
        gains = self._gains(one, now)
        tiles = tuple(
            AnalogTile(
                tile.inputs, tile.outputs, digits, tile.places, tile.largest, gains[tile.outputs],
                tile.share, ~one.shared[tile.outputs], plan.adc(one, number),
            )
            for number, (tile, digits) in enumerate(zip(one.tiles, now, strict=True))
        )  # fmt: skip
        noise = None
        if options.input_noise or options.output_noise:
            generator = self._generator(_NOISE, one.key(0), seconds)
            noise = Noise(options.input_noise, options.output_noise, generator)
        return Arrays(tiles, plan.dac(one.matrix), noise)

    def _gains(self, one: Placed, now: list[Floats]) -> Floats:
        """Return the factors [rows] that undo drift: of mean magnitudes when it was programmed."""
        rows, kind = one.matrix.rows, self._placement.options.compensate
        if kind == "none":
            return np.ones(rows)
        before, after = np.zeros(rows), np.zeros(rows)
        for number, (tile, digits) in enumerate(zip(one.tiles, now, strict=True)):
            first = self._cells[one.name, number].first
            before[tile.outputs] += (np.abs(first) @ tile.places).sum(axis=0)
            after[tile.outputs] += (np.abs(digits) @ tile.places).sum(axis=0)
        if kind == "global":
            before, after = before.sum(keepdims=True), after.sum(keepdims=True)
        gains = np.divide(before, after, out=np.ones_like(before), where=after > 0)
        return np.broadcast_to(gains, rows)

    def _converters(self) -> dict[str, dict[str, Activation]]:
        """Return activations by layer and table, where converters share columns."""
        plan, options = self._placement, self._placement.options
        found: dict[str, dict[str, Activation]] = {}
        for node in plan.program.nodes if options.joined else ():
            if not node.activated:
                continue
            if options.nl_adc is not None:
                key = zlib.crc32(node.name.encode())
                generator = self._generator(_RAMP, key)
                found[node.name] = {
                    name: Ramp.drawn(
                        name, options.nl_adc, plan.ramp_noise, generator, plan.device.stuck_off
                    ).lookup
                    for name in ACTIVATED
                }
            elif options.adc is not None:
                converter = Converter(options.adc, plan.joined[node.name])
                found[node.name] = {name: _converted(name, converter) for name in ACTIVATED}
        return found


class _Cells:
    """The cells of one array, and the spare columns that took the place of its worst ones."""

    def __init__(
        self, placement: Placement, one: Placed, number: int,
        generator: Callable[..., np.random.Generator],
    ) -> None:  # fmt: skip
        self._device, self._options = placement.device, placement.options
        self._tile, self._generator = one.tiles[number], generator
        self._key = one.key(number)
        target = self._tile.targets(self._device)
        flat = target.reshape(2, self._tile.rows, -1)
        self._cells = program(self._device, flat, generator(_PROGRAMMING, self._key))
        start = self._device.first_s or 0.0
        self._replaced = self._replace(flat, start)
        self.first = self.at(start)

    def _replace(self, target: Floats, start: float) -> tuple[Any, Programmed] | None:
        """Program spare columns as the worst ones should be; return those that are better."""
        count = min(self._options.spare, target.shape[2])
        if count == 0:
            return None
        error = np.abs(self._cells.at(start) - target).sum(axis=(0, 1))
        worst = np.sort(np.argpartition(-error, count - 1)[:count])
        spare = program(self._device, target[:, :, worst], self._generator(_SPARE, self._key))
        better = np.abs(spare.at(start) - target[:, :, worst]).sum(axis=(0, 1)) < error[worst]
        return (worst, better), spare

    def at(self, seconds: float) -> Floats:
        """Return the digits [inputs, outputs, slices] that the array computes with."""
        read = self._generator(_READ, self._key, seconds)
        cells = self._cells.at(seconds, read)
        if self._replaced is not None:
            (worst, better), spare = self._replaced
            cells[:, :, worst[better]] = spare.at(seconds, read)[:, :, better]
        if self._options.ir_drop and self._device.wire_ohm:
            cells = _with_wires(cells, self._device.wire_ohm)
        return self._tile.read(cells.reshape(2, *self._tile.digits.shape), self._device)


def _with_wires(cells: Floats, wire_ohm: float) -> Floats:
    """Return what cells [2, rows, columns] conduct behind wires; both sides are neighbours."""
    return np.stack(separated(effective(interleaved(*cells), wire_ohm)))


def _converted(table: str, converter: Converter) -> Activation:
    def activate(sums: Ints) -> Ints:
        codes = np.rint(converter.convert(sums.astype(np.float64))).astype(np.int64)
        return lookup(table, np.clip(codes, INT16_MIN, INT16_MAX))

    return activate


def with_arrays(
    program: Program,
    arrays: Mapping[str, Arrays],
    activations: Mapping[str, Mapping[str, Activation]],
) -> Program:
    """Return a program whose matrices are on arrays.

    Parameters
    ----------
    arrays : mapping
        By ``layer.product``.
    activations : mapping
        By layer and table; others stay.
    """
    nodes = [_with_arrays(node, arrays, activations.get(node.name)) for node in program.nodes]
    return replace(program, nodes=tuple(nodes))


def _with_arrays(
    node: Node, arrays: Mapping[str, Arrays], activations: Mapping[str, Activation] | None
) -> Node:
    changed: dict[str, Matrix] = {}
    for field, matrix in node.matrices().items():
        factor = matrix.factor
        if factor is not None:
            factor = analog(factor, arrays[f"{node.name}.{field}{FACTOR}"], None)
        changed[field] = analog(matrix, arrays[f"{node.name}.{field}"], factor)
    values = {f.name: getattr(node, f.name) for f in fields(node)} | changed
    kind: Any = type(node)
    if activations is None:
        return kind(**values)
    made = _activating(kind)(**values)
    object.__setattr__(made, "activations", activations)  # no field: nodes are frozen
    return made


@cache
def _activating(kind: type[Node]) -> Any:
    """Return a kind of layer whose activations are given."""

    def activate(self: Any, name: str, sums: Ints) -> Ints:
        found = self.activations.get(name)
        return lookup(name, sums) if found is None else found(sums)

    return type(kind.__name__, (kind,), {"activate": activate})

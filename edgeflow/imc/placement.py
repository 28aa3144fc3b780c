"""A program's matrices on arrays: the same for all chips."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ImcError
from edgeflow.imc.converter import Converter
from edgeflow.imc.device import Device
from edgeflow.imc.mapping import Floats, Tile, tiles_of
from edgeflow.imc.options import ArrayOptions
from edgeflow.program import Program
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Activated, Node
from edgeflow.quantization import gain_of


@dataclass(frozen=True, eq=False)
class Placed:
    """A matrix of a program on its arrays.

    Attributes
    ----------
    layer, field : str
        The layer, and the name of the product in it.
    matrix : Matrix
    tiles : list of Tile
    shared : bool array [rows]
        Rows whose sums are not converted here, as they go to a column's converter with others.
    """

    layer: str
    field: str
    matrix: Matrix
    tiles: list[Tile]
    shared: NDArray[np.bool_]

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.field}"

    def key(self, number: int) -> int:
        """Return a number of a tile for seeds, by names."""
        return zlib.crc32(f"{self.name}.{number}".encode())


def place(program: Program, options: ArrayOptions) -> list[Placed]:
    """Place all matrices of a program.

    Raises
    ------
    ImcError
        If an option is out of range, an array is too small, or no layer has a matrix.
    """
    options.check()
    slow = [k for k, clock in enumerate(program.clocks) if clock.gate is not None]
    if slow:
        raise ImcError(
            f"layer {program.nodes[slow[0]].name} does not run at every sample, and arrays are "
            "counted at each: give the model strides of 1"
        )
    placed = [one for node in program.nodes for one in _place_layer(node, options)]
    if not placed:
        kinds = ", ".join(dict.fromkeys(node.op_type for node in program.nodes))
        raise ImcError(f"no layer of the program has a matrix that arrays could hold ({kinds})")
    if options.joined and not any(one.shared.any() for one in placed):
        kinds = ", ".join(dict.fromkeys(node.op_type for node in program.nodes))
        raise ImcError(
            f"no layer of the program ({kinds}) activates sums of products as they are: leave "
            f"{'nl_adc' if options.nl_adc else 'fuse'} out"
        )
    return placed


def _place_layer(node: Node, options: ArrayOptions) -> Iterator[Placed]:
    products = node.products()
    share = {name: np.ones(matrix.rows) for name, matrix in products.items()}
    shared = {name: np.zeros(matrix.rows, bool) for name, matrix in products.items()}
    for sums in node.activated if options.joined else ():
        _check_joined(node, sums, options)
        for name, (rows, part) in _shares(node, sums).items():
            shared[name][rows] = True
            share[name][rows] = part
    for name, matrix in products.items():
        tiles = list(tiles_of(matrix, options, share[name]))
        yield Placed(node.name, name, matrix, tiles, shared[name])


def _check_joined(node: Node, sums: Activated, options: ArrayOptions) -> None:
    """Raise an ImcError unless one column can hold the weights of a sum."""
    matrices = [getattr(node, field) for field in sums.first]
    inputs = sum(matrix.cols for matrix in matrices)
    if inputs > options.rows:
        raise ImcError(
            f"layer {node.name}: a column of {inputs} inputs does not fit an array of "
            f"{options.rows} rows, and its sum is converted in one place: use a larger tile"
        )
    bits = max(matrix.weight_bits for matrix in matrices) - 1
    if options.cell_bits < bits:
        raise ImcError(
            f"layer {node.name}: slices of {options.cell_bits} bits are added up after the "
            f"converters, and this one converts whole sums: use cell_bits {bits}"
        )


def _shares(node: Node, sums: Activated) -> dict[str, tuple[slice, Floats]]:
    """Return rows and shares of the range by matrix: the largest result takes all of it."""
    rows = {field: slice(first, first + sums.rows) for field, first in sums.first.items()}
    reach = {}
    for field, part in rows.items():
        matrix: Matrix = getattr(node, field)
        reach[field] = gain_of(matrix)[part] * largest_magnitude(matrix.input_bits)
    most = np.max(list(reach.values()), axis=0)
    # a row of multiplier 0 gives nothing whatever its column holds
    return {
        field: (rows[field], np.divide(own, most, out=np.ones_like(own), where=own > 0))
        for field, own in reach.items()
    }


@dataclass(frozen=True, eq=False)
class Placement:
    """All that the chips of a simulation have in common.

    Attributes
    ----------
    bounds : mapping
        Ranges of the columns' converters, by name and number of a tile: a number, or
        [outputs, slices]; empty without converters.
    joined : mapping
        Ranges of the converters of sums that share columns, by layer.
    """

    program: Program
    device: Device
    options: ArrayOptions
    placed: Sequence[Placed]
    bounds: Mapping[tuple[str, int], Any]
    joined: Mapping[str, float]

    @property
    def ramp_noise(self) -> float:
        """Spread of the cells of a ramp after programming, a share of the largest conductance."""
        if self.options.ramp_noise is not None:
            return self.options.ramp_noise
        device = self.device
        curve = device.spread[0].sd if device.spread else device.programming
        if curve is None:
            return 0.0
        return float(curve.at(np.array([device.g_max]), device.g_max)[0] / device.g_max)

    def dac(self, matrix: Matrix) -> Converter | None:
        """Return the converter of a matrix's inputs; None where values are as few as its codes."""
        bits = self.options.dac
        if bits is None or bits >= matrix.input_bits:
            return None
        return Converter(bits, float(largest_magnitude(matrix.input_bits)))

    def adc(self, one: Placed, number: int) -> Converter | None:
        """Return the converter of a tile's columns."""
        bits, bound = self.options.adc, self.bounds.get((one.name, number))
        return None if bits is None or bound is None else Converter(bits, bound)

"""Weights on arrays: tiles of pairs of cells, and slices where a cell holds fewer bits.

A weight's magnitude is written in digits of `cell_bits` bits. A digit is the difference of two
conductances, one of which is the least:

.. math::
    d = (g^+ - g^-) / (g_{max} - g_{min}) \\cdot d_{max}

EdgeFlow's weights have a scale for each row, and so use all conductances in each column (what
aihwkit calls weight scaling by columns).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ImcError
from edgeflow.imc.device import Device
from edgeflow.imc.options import ArrayOptions
from edgeflow.program.matrix import Matrix

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tile:
    """A part of a matrix on one array.

    Attributes
    ----------
    inputs, outputs : slice
        Columns and rows of the matrix.
    digits : int64 array [inputs, outputs, slices]
        Signed digits, the lowest first.
    cell_bits : int
        Bits of a digit's magnitude.
    share : float64 array [outputs]
        Of the conductances' range that weights of an output use.
    """

    inputs: slice
    outputs: slice
    digits: NDArray[np.int64]
    cell_bits: int
    share: Floats

    @property
    def rows(self) -> int:
        return int(self.digits.shape[0])

    @property
    def columns(self) -> int:
        """Pairs of bit lines, without spare ones."""
        return int(self.digits.shape[1] * self.digits.shape[2])

    @property
    def places(self) -> Floats:
        """Value of a digit of each slice [slices]."""
        return np.exp2(self.cell_bits * np.arange(self.digits.shape[2], dtype=np.float64))

    @property
    def largest(self) -> int:
        """Largest digit: at the largest conductance."""
        return (1 << self.cell_bits) - 1

    def targets(self, device: Device) -> Floats:
        """Return the conductances of both sides [2, inputs, outputs, slices] in µS."""
        sides = np.stack([np.maximum(self.digits, 0), np.maximum(-self.digits, 0)])
        share = sides / self.largest * self.share[:, None]
        return device.g_min + share * (device.g_max - device.g_min)

    def read(self, conductances: Floats, device: Device) -> Floats:
        """Return the digits [inputs, outputs, slices] that conductances [2, ...] stand for."""
        share = (conductances[0] - conductances[1]) / (device.g_max - device.g_min)
        return share * self.largest / self.share[:, None]


def tiles_of(matrix: Matrix, options: ArrayOptions, share: Floats) -> Iterator[Tile]:
    """Yield the tiles of a matrix, one for each array.

    Parameters
    ----------
    matrix : Matrix
    options : ArrayOptions
    share : float64 array [rows]
        In (0, 1]: of the conductances' range that weights of a row use. It is less than 1 where a
        row shares its column with one of another matrix, whose results are larger.

    Raises
    ------
    ImcError
        If an array has fewer columns than a row of weights has slices.
    """
    bits = matrix.weight_bits - 1
    cell_bits = min(options.cell_bits, bits)
    slices = -(-bits // cell_bits)
    each = (options.columns - options.spare) // slices
    if each == 0:
        raise ImcError(
            f"--tile {options.tile}: a weight of {bits} bits and a sign takes {slices} columns of "
            f"{cell_bits} bits, and {options.columns - options.spare} are not spare: use wider "
            "arrays or more bits a cell"
        )
    weight = matrix.weight.astype(np.int64).T
    for first in range(0, matrix.cols, options.rows):
        inputs = slice(first, min(first + options.rows, matrix.cols))
        for start in range(0, matrix.rows, each):
            outputs = slice(start, min(start + each, matrix.rows))
            part = weight[inputs, outputs]
            shifts = cell_bits * np.arange(slices)
            digits = (np.abs(part)[..., None] >> shifts) & ((1 << cell_bits) - 1)
            signed = np.sign(part)[..., None] * digits
            yield Tile(inputs, outputs, signed, cell_bits, share[outputs])

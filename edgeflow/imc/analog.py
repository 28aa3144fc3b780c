"""A matrix whose products are sums of currents, in the place of a program's own.

It is put into a program by ``dataclasses.replace``: no layer knows of it. All that is digital stays
as it is: biases, multipliers, states, tables, and the arrays of layers that are no `Matrix`
(a Legendre memory's A and B, the synapses of an LTC).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.imc.converter import Converter
from edgeflow.program.fixedpoint import Ints, largest_magnitude
from edgeflow.program.matrix import Matrix

Floats = NDArray[np.float64]
#: Takes the number of a tile and its sums [n, outputs, slices].
OnSums = Callable[[int, Floats], None]


@dataclass(frozen=True, eq=False)
class AnalogTile:
    """An array at one time, with the converters of its columns.

    Attributes
    ----------
    inputs, outputs : slice
        Columns and rows of the matrix.
    digits : float64 array [inputs, outputs, slices]
        What the conductances stand for.
    places : float64 array [slices]
        Value of a digit.
    largest : int
        Largest digit.
    gain : float64 array [outputs]
        Digital factors that undo drift.
    linear : int
        First output with a linear converter; those before go to a ramp converter unrounded.
    adc : Converter, optional
        Of sums [n, outputs, slices] from `linear` on; None: exact.
    """

    inputs: slice
    outputs: slice
    digits: Floats
    places: Floats
    largest: int
    gain: Floats
    linear: int = 0
    adc: Converter | None = None

    @property
    def weights(self) -> Floats:
        """Weights [inputs, outputs] of exact converters."""
        return np.asarray(self.digits @ self.places * self.gain)


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of each read, as aihwkit has it (``PCM_READ`` and output noise).

    Attributes
    ----------
    inputs : float
        Share r: a sum of products of shares w and x of the largest weight and input gets noise of
        variance :math:`r^2 \\sum |w| x^2`.
    outputs : float
        Standard deviation, in units of the largest product.
    generator : numpy.random.Generator
    """

    inputs: float
    outputs: float
    generator: np.random.Generator

    def of(self, x: Floats, tile: AnalogTile, largest_x: float) -> Floats:
        """Return noise [n, outputs, slices] of the sums of x [n, inputs]."""
        variance: Any = self.outputs**2
        if self.inputs:
            shares = np.abs(tile.digits.reshape(len(tile.digits), -1)) / tile.largest
            variance = variance + self.inputs**2 * ((x / largest_x) ** 2 @ shares)
        size = (len(x), tile.digits[0].size)
        drawn = self.generator.standard_normal(size) * np.sqrt(variance)
        return (drawn * (tile.largest * largest_x)).reshape(len(x), *tile.digits.shape[1:])


@dataclass(frozen=True)
class Arrays:
    """All arrays of a matrix, and what its inputs pass through.

    Attributes
    ----------
    tiles : tuple of AnalogTile
    dac : Converter, optional
    noise : Noise, optional
    on_sums : callable, optional
        Sees all sums.
    """

    tiles: tuple[AnalogTile, ...]
    dac: Converter | None = None
    noise: Noise | None = None
    on_sums: OnSums | None = None
    _dense: list[Floats] = field(default_factory=list, repr=False, compare=False)

    def sums(self, x: Floats, rows: int, largest_x: float) -> Floats:
        """Return the products [n, rows] with inputs x [n, columns], in units of the integers."""
        if self.dac is not None:
            x = self.dac.convert(x)
        converted = any(tile.adc is not None for tile in self.tiles)
        if not converted and self.noise is None and self.on_sums is None:
            return np.asarray(x @ self._weights(x.shape[1], rows))
        total = np.zeros((len(x), rows))
        for number, tile in enumerate(self.tiles):
            part = x[:, tile.inputs]
            sums = part @ tile.digits.reshape(len(tile.digits), -1)
            sums = sums.reshape(len(x), *tile.digits.shape[1:])
            if self.on_sums is not None:
                self.on_sums(number, sums)
            if self.noise is not None:
                sums = sums + self.noise.of(part, tile, largest_x)
            if tile.adc is not None:
                sums[:, tile.linear :] = tile.adc.convert(sums[:, tile.linear :])
            total[:, tile.outputs] += (sums @ tile.places) * tile.gain
        return total

    def _weights(self, columns: int, rows: int) -> Floats:
        """Return the weights [columns, rows], made once."""
        if not self._dense:
            whole = np.zeros((columns, rows))
            for tile in self.tiles:
                whole[tile.inputs, tile.outputs] += tile.weights
            self._dense.append(whole)
        return self._dense[0]


@dataclass(frozen=True, eq=False, repr=False)
class AnalogMatrix(Matrix):
    """A `Matrix` whose sums are those of arrays, rounded to the accumulator's integers.

    They are kept within `accumulator_bound`, so that what was proven for the integers still holds.
    """

    arrays: Arrays = field(kw_only=True)

    def accumulate(self, x: Ints) -> Ints:
        flat = x.reshape(-1, x.shape[-1]).astype(np.float64)
        largest = float(largest_magnitude(self.input_bits))
        sums = np.rint(self.arrays.sums(flat, self.rows, largest)).astype(np.int64)
        bound = self._bound
        found = np.clip(sums, -bound, bound) + self.bias
        return found.reshape(*x.shape[:-1], self.rows)

    @property
    def _bound(self) -> Ints:
        return self.accumulator_bound() - np.abs(self.bias.astype(np.int64))


def analog(matrix: Matrix, arrays: Arrays, factor: Matrix | None) -> AnalogMatrix:
    """Return a matrix on arrays, with its factor if it has one."""
    values = {f.name: getattr(matrix, f.name) for f in fields(Matrix)}
    return AnalogMatrix(**{**values, "factor": factor}, arrays=arrays)

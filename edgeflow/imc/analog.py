"""A matrix whose products are sums of currents, in the place of a program's own.

It is put into a program by ``dataclasses.replace``: no layer knows of it. All that is digital stays
as it is: biases, multipliers, states, tables, and the arrays of layers that are no `Matrix`
(a Legendre memory's A and B, the synapses of an LTC).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
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
    share : float64 array [outputs]
        Of the conductances' range that weights of an output use.
    converted : bool array [outputs]
        Outputs whose sums are converted here.
    adc : Converter, optional
        Of their sums [n, converted, slices]; None: exact.
    """

    inputs: slice
    outputs: slice
    digits: Floats
    places: Floats
    largest: int
    gain: Floats
    share: Floats
    converted: NDArray[np.bool_]
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
        Standard deviation, in units of the largest product. Where matrices share a column, it is
        that of the one whose weights use all of the range.
    generator : numpy.random.Generator
    """

    inputs: float
    outputs: float
    generator: np.random.Generator

    def of(self, x: Floats, tile: AnalogTile, largest_x: float) -> Floats:
        """Return noise [n, outputs, slices] of the sums of x [n, inputs]."""
        shape, share = (len(x), *tile.digits.shape[1:]), tile.share[:, None]
        variance: Any = self.outputs**2 * (share == 1)
        if self.inputs:
            used = (np.abs(tile.digits) * (share / tile.largest)).reshape(len(tile.digits), -1)
            squares = (x / largest_x) ** 2 @ used
            variance = variance + self.inputs**2 * squares.reshape(shape)
        drawn = self.generator.standard_normal(shape, np.float32) * np.sqrt(variance)
        return np.asarray(drawn * (tile.largest * largest_x / share))


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
            return np.asarray(x @ self.weights(x.shape[1], rows))
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
                sums[:, tile.converted] = tile.adc.convert(sums[:, tile.converted])
            total[:, tile.outputs] += (sums @ tile.places) * tile.gain
        return total

    def weights(self, columns: int, rows: int) -> Floats:
        """Return the weights [columns, rows] of exact converters, made once."""
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

    @property
    def effective(self) -> Floats:
        """Weights [rows, cols] that the arrays have, in units of the integers, drift undone."""
        return self.arrays.weights(self.cols, self.rows).T

    def accumulate(self, x: Ints) -> Ints:
        flat = x.reshape(-1, x.shape[-1]).astype(np.float64)
        largest = float(largest_magnitude(self.input_bits))
        sums = self.arrays.sums(flat, self.rows, largest)
        # in place: this is most of a simulation's time
        np.rint(sums, out=sums)
        bound = self._products_bound
        np.maximum(np.minimum(sums, bound, out=sums), -bound, out=sums)  # half of np.clip's time
        sums += self.bias
        return sums.astype(np.int64).reshape(*x.shape[:-1], self.rows)

    @cached_property
    def _products_bound(self) -> Floats:
        bound = self.accumulator_bound() - np.abs(self.bias.astype(np.int64))
        return bound.astype(np.float64)


def analog(matrix: Matrix, arrays: Arrays, factor: Matrix | None) -> AnalogMatrix:
    """Return a matrix on arrays, with its factor if it has one."""
    values = {f.name: getattr(matrix, f.name) for f in fields(Matrix)}
    return AnalogMatrix(**{**values, "factor": factor}, arrays=arrays)

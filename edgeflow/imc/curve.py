"""Curves of a conductance, in pieces: the form in which device models publish their fits."""

from typing import Annotated, Literal

import numpy as np
from numpy.polynomial.polynomial import polyval
from pydantic import Field, model_validator

from edgeflow.calibration import Data

#: Least argument of logarithms and powers: a conductance may be 0.
LEAST = 1e-7
Number = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Pair = tuple[Number, Number]


class Piece(Data):
    """A formula in x, limited to `min`..`max`; one of `poly`, `log` and `power`.

    Attributes
    ----------
    below
        The piece holds for x below this number; None: for all that is left.
    poly
        Coefficients of a polynomial, from that of x^0 on.
    log
        (a, b) of a + b ln x.
    power
        (a, k) of a x^k.
    """

    below: Number | None = None
    poly: Annotated[list[Number], Field(min_length=1, max_length=12)] | None = None
    log: Pair | None = None
    power: Pair | None = None
    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _one_formula(self) -> "Piece":
        if [self.poly, self.log, self.power].count(None) != 2:
            raise ValueError("a piece is one of poly, log and power")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self

    def at(self, x: np.ndarray) -> np.ndarray:
        """Return the piece's values, float64 like `x`; below LEAST, log and power take LEAST."""
        if self.poly is not None:
            values = polyval(x, self.poly)
        elif self.log is not None:
            values = self.log[0] + self.log[1] * np.log(np.maximum(x, LEAST))
        else:
            assert self.power is not None
            values = self.power[0] * np.maximum(x, LEAST) ** self.power[1]
        if self.min is None and self.max is None:
            return values
        return np.clip(values, self.min, self.max)


class Curve(Data):
    """A function of a conductance.

    Attributes
    ----------
    of
        What x is: ``g``, the conductance in µS, or ``r``, its share of the device's `g_max`.
    pieces
        In the order of their `below`; the last one has none.
    """

    of: Literal["r", "g"]
    pieces: Annotated[list[Piece], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _ordered(self) -> "Curve":
        *others, last = (piece.below for piece in self.pieces)
        limits = [limit for limit in others if limit is not None]
        if last is not None or len(limits) != len(others) or limits != sorted(set(limits)):
            raise ValueError("below must rise from piece to piece, and the last piece has none")
        return self

    def at(self, g: np.ndarray, g_max: float) -> np.ndarray:
        """Return the curve's values at conductances.

        Parameters
        ----------
        g : float64 array
            In µS.
        g_max : float
            Of the device, in µS.
        """
        x = g / g_max if self.of == "r" else g
        values = self.pieces[-1].at(x)
        for piece in reversed(self.pieces[:-1]):
            assert piece.below is not None
            values = np.where(x < piece.below, piece.at(x), values)
        return values

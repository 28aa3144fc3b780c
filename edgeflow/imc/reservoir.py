r"""Reservoirs of random resistive memory: recurrent layers whose weights nobody trains.

Weights are differences of two random conductances, scaled; only a linear head on the mean of the
states over a window is fitted. With input :math:`x_t`, a row that is always on, and random matrices
W (of unit sd) and V (of spectral radius 1), an echo state network ("rnn") is

.. math:: h_t = \tanh(g\, W [x_t; 1] + r\, V h_{t-1})

and a liquid state machine ("lif"), whose spikes :math:`h_t` are counted,

.. math::
    u_t = \beta u_{t-1} + g\, W [x_t; 1] + r\, V h_{t-1} - h_{t-1}, \qquad
    h_t = 1 \text{ where } u_t > 1 \text{, else } 0

H. Jaeger, GMD report 148 (2001); W. Maass et al., Neural Computation 14 (2002); on random resistive
memory: S. Wang et al., Advanced Intelligent Systems 4 (2022), 10.1002/aisy.202200027; N. Lin et
al., arXiv 2307.00771.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ImcError
from edgeflow.imc.breakdown import Breakdown

Floats = NDArray[np.float32]
#: Windows that are run side by side: their states stay in the cache.
SIDE_BY_SIDE = 256


@dataclass(frozen=True, eq=False)
class Pairs:
    """Random cells, in pairs; their differences are weights.

    Attributes
    ----------
    plus, minus : float32 array [inputs, outputs]
        Conductances, in µS.
    """

    plus: Floats
    minus: Floats

    @staticmethod
    def drawn(source: Breakdown, inputs: int, outputs: int, rng: np.random.Generator) -> "Pairs":
        """Return new cells."""
        plus, minus = source.draw((2, inputs, outputs), rng).astype(np.float32)
        return Pairs(plus, minus)

    @property
    def difference(self) -> Floats:
        """What the pairs conduct [inputs, outputs], in µS."""
        return self.plus - self.minus

    @property
    def squares(self) -> Floats:
        """Sums of the squares [inputs, outputs] of both conductances, in µS²."""
        return self.plus**2 + self.minus**2


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a chip, before anything is scaled.

    Attributes
    ----------
    input : Pairs [inputs + 1, hidden]
        The last row is always on.
    recurrent : Pairs [hidden, hidden]
    """

    input: Pairs
    recurrent: Pairs

    @staticmethod
    def drawn(source: Breakdown, inputs: int, hidden: int, seed: int, number: int = 0) -> "Cells":
        """Return the cells of a chip by its number: equal seeds and numbers, equal cells."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
        return Cells(
            Pairs.drawn(source, inputs + 1, hidden, rng), Pairs.drawn(source, hidden, hidden, rng)
        )

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the input weights, in µS."""
        return float(self.input.difference.std(dtype=np.float64)) or 1.0

    @cached_property
    def radius(self) -> float:
        """Spectral radius of the recurrent weights, in µS."""
        values = np.linalg.eigvals(self.recurrent.difference.astype(np.float64))
        return float(np.abs(values).max()) or 1.0


@dataclass(frozen=True)
class Design:
    """What makes a reservoir of cells.

    Attributes
    ----------
    cell : str
        One of `CELLS`.
    gain : float
        Standard deviation of the input weights, for inputs of unit sd.
    radius : float
        Spectral radius of the recurrent weights.
    decay : float
        Of a membrane per step, in [0, 1); "lif" only.
    """

    cell: str
    gain: float
    radius: float
    decay: float = 0.0


#: Designs that validation chooses from, by cell: gains, spectral radii, decays.
GRIDS: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "rnn": ((0.2, 0.5, 1.0), (0.3, 0.6, 0.9), (0.0,)),
    "lif": ((0.1, 0.3, 1.0), (0.1, 0.3), (0.7, 0.9)),
}
#: Cells that have a form as a reservoir.
CELLS = tuple(GRIDS)


def check_cell(cell: str) -> None:
    """Raise an ImcError unless a cell has a form as a reservoir."""
    if cell not in GRIDS:
        raise ImcError(
            f"cell '{cell}' has no form as a reservoir: use rnn (an echo state network) or lif (a "
            "liquid state machine)"
        )


@dataclass(frozen=True, eq=False)
class Array:
    """Pairs whose differences are scaled to weights.

    Attributes
    ----------
    pairs : Pairs
    factor : float
        Weight per µS.
    """

    pairs: Pairs
    factor: float

    @cached_property
    def weights(self) -> Floats:
        """Weights [inputs, outputs]."""
        return self.pairs.difference * np.float32(self.factor)

    @cached_property
    def squares(self) -> Floats:
        """Sums of the squares [inputs, outputs] of what both cells of a pair count for."""
        return self.pairs.squares * np.float32(self.factor**2)


#: Returns the products [n, outputs] of an array with inputs [n, inputs].
Read = Callable[[Array, Floats], Floats]


def exact(array: Array, x: Floats) -> Floats:
    """Return products without any noise."""
    return x @ array.weights


@dataclass(frozen=True, eq=False)
class Reservoir:
    """A reservoir on the cells of one chip.

    Parameters
    ----------
    design : Design
    cells : Cells
    """

    design: Design
    cells: Cells

    @cached_property
    def input(self) -> Array:
        """Weights of the inputs and, in the last row, of what is always on."""
        return Array(self.cells.input, self.design.gain / self.cells.spread)

    @cached_property
    def recurrent(self) -> Array:
        """Weights of the states."""
        return Array(self.cells.recurrent, self.design.radius / self.cells.radius)

    def features(self, x: Floats, read: Read = exact) -> Floats:
        """Return the mean [n, hidden] of the states over windows [n, time, inputs].

        Parameters
        ----------
        x : float32 array
            Inputs of unit sd.
        read : callable
            Reads an array: without noise, or as a chip does.
        """
        return np.concatenate(
            [self._mean(x[i : i + SIDE_BY_SIDE], read) for i in range(0, len(x), SIDE_BY_SIDE)]
        )

    def _mean(self, x: Floats, read: Read) -> Floats:
        n, time, inputs = x.shape
        given = np.ones((time, n, inputs + 1), np.float32)
        given[:, :, :inputs] = x.transpose(1, 0, 2)
        currents = read(self.input, given.reshape(-1, inputs + 1)).reshape(time, n, -1)
        h = np.zeros_like(currents[0])
        membrane, total = h, np.zeros_like(h)
        decay = np.float32(self.design.decay)
        for current in currents:
            current = current + read(self.recurrent, h)
            if self.design.cell == "lif":
                membrane = decay * membrane + current - h
                h = (membrane > 1).astype(np.float32)
            else:
                h = np.tanh(current)
            total += h
        return total / np.float32(time)

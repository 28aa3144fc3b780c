"""Where an imported chain and its source differ first: for the message that says so."""

from collections.abc import Iterator, Sequence
from itertools import groupby, permutations

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.chain import FloatChain
from edgeflow.importers.operation import Operation, named

_Values = NDArray[np.float32]
#: Difference relative to the spread of a layer's outputs, and to the largest, that is no rounding.
_SPREAD, _LARGEST = 1e-3, 1e-5


def first_difference(
    chain: FloatChain,
    x: _Values,
    marks: Sequence[tuple[int, Operation]],
    found: Sequence[_Values],
    path: Sequence[Operation],
) -> str:
    """Say where the source's values are first others than the chain's, and what stands there.

    Parameters
    ----------
    x : float32 array [n, time, channels]
    marks : sequence of (int, Operation)
        Numbers of layers of the chain, and the operations whose values are those after them.
    found : sequence of arrays
        The source's values of these operations for x, in any order of their axes.
    path : sequence of Operation
        All operations.
    """
    values, before = chain.activations(x), -1
    for (number, op), value in zip(marks, found, strict=True):
        position = path.index(op)
        error = _error(values[number], value)
        if error is not None:
            between = _moves(path[before + 1 : position])
            after = f", behind {between}" if between else ""
            return f". The first to differ is {op}, by {error:.3g}{after}"
        before = position
    rest = _moves(path[before + 1 :])
    return f". All layers agree: it is what {rest} takes of the last one" if rest else ""


def _moves(operations: Sequence[Operation]) -> str:
    groups = groupby(operations, lambda op: op.kind)
    return ", ".join(named(list(group)) for _, group in groups)


def _error(layer: _Values, value: _Values) -> float | None:
    """Return how much a layer's values differ from the source's; None if little or unknown."""
    value = value.squeeze()
    errors = [float(np.abs(mine - value).max()) for mine in _forms(layer, value)]
    if not errors:
        return None
    error = min(errors)
    small = _SPREAD * float(value.std()) + _LARGEST * float(np.abs(value).max())
    return None if error <= small else error


def _forms(layer: _Values, value: _Values) -> Iterator[_Values]:
    """Yield a layer's values, or those of the last step, with axes in all orders that fit."""
    for mine in (layer.squeeze(), layer[:, -1].squeeze()):
        if mine.ndim == value.ndim:
            for order in permutations(range(mine.ndim)):
                if (moved := mine.transpose(order)).shape == value.shape:
                    yield moved

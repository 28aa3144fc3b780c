"""Structured pruning: whole units are removed, so that every matrix around them shrinks.

The units that go are those whose outputs matter least to what reads them: the variance of a unit's
output times the squared weights that read it. They go before the training, which is then that of a
smaller model: its masks, blocks and integers are those of the device.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.cell import Cell
from edgeflow.cells.cells import layer_of
from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune.layout import layers_converted, trained_matrices
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import Ints
from edgeflow.quantization import Converted, Floats
from edgeflow.training.method import Method

#: Calibration windows over which outputs vary.
WINDOWS = 128


class UnitPruning(Method):
    """Remove a share of the units of each recurrent layer.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
        Raw samples of training subjects.
    share : float
        In [0, 1); a unit at least is left.
    """

    def __init__(self, calibration: NDArray[np.float32], share: float) -> None:
        self.share = share
        self._few = calibration[:: max(1, len(calibration) // WINDOWS)][:WINDOWS]

    def describe(self) -> dict[str, Any]:
        return {"method": "unit pruning", "share": self.share, "windows": len(self._few)}

    def prepare(self, model: ChainModel) -> None:
        """Replace the layers by smaller ones.

        Raises
        ------
        CompressError
            If a layer cannot lose units, or there is no recurrent one.
        """
        if model.chain().sources:
            raise CompressError(
                "whole units are cut off of chains only, and branches join in this model: prune "
                "its weights instead"
            )
        layers = layers_converted(model, self._few)
        inputs = np.arange(len(model.channels))
        found = False
        for number, done in enumerate(layers):
            layer, name = model.layers[number], model.names[number]
            known, size = layer_of(layer), done.node.outputs
            units = np.arange(size)
            if isinstance(known, Cell) and number + 1 < len(layers):
                left = max(1, round(size * (1 - self.share)))
                units, found = largest(importance(layers, number), left), True
            whole = len(inputs) == done.node.inputs and len(units) == size
            if not whole and any(True for _ in layer.parameters()):
                if known.prune_units is None:
                    raise CompressError(
                        f"layer {name} ({type(layer).__name__}) cannot lose whole units: prune its "
                        "weights instead"
                    )
                model.layers[number] = known.prune_units(layer, inputs, units).eval()
            inputs = units
        if not found:
            raise CompressError("the model has no recurrent layer whose units could be cut off")


def importance(layers: list[Converted], number: int) -> Floats:
    """Return how much each output of a layer moves what reads it: [outputs].

    Parameters
    ----------
    layers : list of Converted
        Of the whole chain.
    number : int
        Of the layer.
    """
    readers = _readers(layers[number], "h")
    for later in layers[number + 1 :]:
        if later.node.matrices():
            readers += _readers(later, "x")
            break
    variance: Floats = layers[number].output.real.astype(np.float64).var(axis=(0, 1))
    return variance * sum(((w**2).sum(axis=0) for w in readers), np.zeros(len(variance)))


def largest(scores: Floats, count: int) -> Ints:
    """Return the indices of the largest scores, in ascending order; of equal ones the first."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _readers(done: Converted, source: str) -> list[Floats]:
    """Return the weights of a layer that read its input ("x") or its own output ("h")."""
    sources = done.node.delta_sources
    return [w for field, w in trained_matrices(done).items() if sources.get(field) == source]

"""Low rank: matrices are kept at the nearest one of a rank that falls step by step.

After each step of the optimiser the smallest singular values are left out again (projected
gradient descent); the device then multiplies by two small matrices
(`edgeflow.compression.low_rank`).
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeflow.cells.cells import layer_of
from edgeflow.compression.low_rank import is_worth
from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune.layout import layers_converted, trained_matrices
from edgeflow.compression.prune.magnitude import RISE, WINDOWS
from edgeflow.compression.prune.options import Ranks, check_names, names_of
from edgeflow.compression.prune.schedule import gradual
from edgeflow.errors import CompressError
from edgeflow.quantization import Floats
from edgeflow.training.method import Method


class RankReduction(Method):
    """Bring matrices to a low rank.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
        Raw samples of training subjects.
    epochs : int
        Of the training.
    """

    def __init__(self, calibration: NDArray[np.float32], options: Ranks, epochs: int) -> None:
        self.options, self.epochs = options, epochs
        self.updates = max(1, round(RISE * epochs))
        self._few = calibration[:WINDOWS]
        #: Ranks at first and at last.
        self._ends: list[dict[str, tuple[int, int]]] = []
        self._ranks: list[dict[str, int]] = []

    def describe(self) -> dict[str, Any]:
        return {"method": "low rank", **asdict(self.options), "updates": self.updates}

    def prepare(self, model: ChainModel) -> None:
        """Look at what is there.

        Raises
        ------
        CompressError
            If a name in the options is no matrix's, or one's that two would not be cheaper than, or
            there is none to be made two.
        """
        known, self._ends = [], []
        for name, done in zip(model.names, layers_converted(model, self._few), strict=True):
            sources, weights = done.node.delta_sources, trained_matrices(done)
            known += [(name, field) for field in weights if field in sources]
            ranks = {
                field: self._rank(name, field, weight, sources[field])
                for field, weight in weights.items()
                if field in sources
            }
            self._ends.append({f: (min(weights[f].shape), r) for f, r in ranks.items() if r})
        check_names(known, self.options.matrices)
        if not any(self._ends):
            raise CompressError("no matrix of the model gets cheaper by the rank asked for")

    def before_epoch(self, model: ChainModel, progress: float) -> None:
        """Lower the ranks until they are reached."""
        update = round(progress * self.epochs) + 1
        if self._ranks and update > self.updates:
            return
        self._ranks = [
            {f: round(gradual(update, self.updates, *ends)) for f, ends in layer.items()}
            for layer in self._ends
        ]
        self.constrain(model)

    @torch.no_grad()
    def constrain(self, model: ChainModel) -> None:
        """Leave out the smallest singular values again."""
        converted = layers_converted(model, self._few)
        for layer, ranks, done in zip(model.layers, self._ranks, converted, strict=True):
            assign = layer_of(layer).load_dequantized
            if ranks and assign is not None:
                weights = trained_matrices(done)
                assign(layer, weights | {f: _nearest(weights[f], r) for f, r in ranks.items()})

    def settled(self, progress: float) -> bool:
        """Wait until the ranks are reached."""
        return round(progress * self.epochs) >= self.updates

    def row(self, model: ChainModel) -> dict[str, float]:
        """Return the mean rank, "rank"."""
        ranks = [rank for layer in self._ranks for rank in layer.values()]
        return {"rank": float(np.mean(ranks))}

    def state(self) -> dict[str, Any]:
        return {"ranks": self._ranks}

    def load_state(self, state: dict[str, Any]) -> None:
        self._ranks = state["ranks"]

    def _rank(self, layer: str, field: str, weight: Floats, source: str) -> int:
        """Return the rank wanted of a matrix; 0: any."""
        named = names_of(layer, field, self.options.matrices)
        wanted = self.options.matrices[named[0]] if named else self.options.rank
        if not named and source == "x":
            return 0
        rank = int(wanted) if wanted >= 1 else int(np.ceil(wanted * min(weight.shape)))
        if rank and not is_worth(rank, np.ones(weight.shape)):
            if named:
                rows, cols = weight.shape
                raise CompressError(
                    f"{layer}.{field}: two matrices of rank {rank} are no cheaper than one of "
                    f"{rows} x {cols}: use a lower rank"
                )
            return 0
        return rank


def _nearest(weight: Floats, rank: int) -> Floats:
    """Return the nearest matrix of a rank (Eckart and Young, 1936)."""
    left, values, right = np.linalg.svd(weight, full_matrices=False)
    nearest: Floats = (left[:, :rank] * values[:rank]) @ right[:rank]
    return nearest

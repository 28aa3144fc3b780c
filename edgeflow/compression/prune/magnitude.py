"""Magnitude pruning: the smallest weights, or blocks of them, become zero step by step.

Masks are put back after each step of the optimiser, for the moving average too.
``torch.nn.utils.prune`` would replace parameters by products of theirs, which neither a deep copy
nor the weights that quantization-aware training puts in their place survive.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune.layout import (
    drop,
    dropped_parameters,
    layers_converted,
    trained_matrices,
)
from edgeflow.compression.prune.mask import Bools, keep_largest
from edgeflow.compression.prune.options import PruneOptions, check_names, names_of
from edgeflow.compression.prune.schedule import gradual
from edgeflow.errors import CompressError
from edgeflow.training.method import Method

#: Share of the epochs in which the sparsity rises, at the beginning of each.
RISE = 0.5
#: Calibration windows that weights are converted with, which does not change them.
WINDOWS = 4

#: Masks of the weights that stay, by field, for each layer.
Masks = list[dict[str, Bools]]


class MagnitudePruning(Method):
    """Prune the weights of the program's matrices.

    A matrix that comes with zeros starts from the share that it has.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
        Raw samples of training subjects.
    epochs : int
        Of the training.
    """

    def __init__(
        self, calibration: NDArray[np.float32], options: PruneOptions, epochs: int
    ) -> None:
        self.options, self.epochs = options, epochs
        self.updates = max(1, round(RISE * epochs))
        self._few = calibration[:WINDOWS]
        self._start: list[dict[str, float]] = []
        self._final: list[dict[str, float]] = []
        self._keep: Masks = []
        self._dropped: list[list[Tensor]] | None = None

    def describe(self) -> dict[str, Any]:
        return {"method": "magnitude pruning", **asdict(self.options), "updates": self.updates}

    def prepare(self, model: ChainModel) -> None:
        """Look at what is there.

        Raises
        ------
        CompressError
            If a name in the options is no matrix's, or one's that cannot be pruned, or none can be.
        """
        layers = [trained_matrices(done) for done in layers_converted(model, self._few)]
        pairs = zip(model.names, layers, strict=True)
        check_names([(name, field) for name, m in pairs for field in m], self.options.matrices)
        self._keep = [{k: np.ones(w.shape, dtype=bool) for k, w in m.items()} for m in layers]
        norms = self.options.block.norms
        self._start = [{k: float((norms(w) == 0).mean()) for k, w in m.items()} for m in layers]
        self._final = [self._shares(model, number) for number in range(len(layers))]
        if not any(share > 0 for final in self._final for share in final.values()):
            raise CompressError("no matrix of the model can be pruned to the shares asked for")

    def before_epoch(self, model: ChainModel, progress: float) -> None:
        """Choose new masks while the sparsity rises."""
        update = round(progress * self.epochs) + 1
        if update > self.updates:
            return
        for number, done in enumerate(layers_converted(model, self._few)):
            for field, weight in trained_matrices(done).items():
                final = self._final[number][field]
                start = min(self._start[number][field], final)
                share = gradual(update, self.updates, start, final)
                if final:
                    self._keep[number][field] = keep_largest(weight, share, self.options.block)
        self._dropped = None
        self.constrain(model)

    def constrain(self, model: ChainModel) -> None:
        """Make the pruned weights zero again."""
        layers = list(zip(model.layers, self._keep, strict=True))
        if self._dropped is None:
            self._dropped = [dropped_parameters(layer, keep) for layer, keep in layers]
        for (layer, keep), dropped in zip(layers, self._dropped, strict=True):
            if any(bool(d.any()) for d in dropped):
                drop(layer, keep, dropped)

    def settled(self, progress: float) -> bool:
        """Wait until the shares are reached."""
        return round(progress * self.epochs) >= self.updates

    def row(self, model: ChainModel) -> dict[str, float]:
        """Return the share of weights pruned, "sparsity"."""
        masks = [mask for keep in self._keep for mask in keep.values()]
        return {"sparsity": 1 - sum(int(m.sum()) for m in masks) / sum(m.size for m in masks)}

    def state(self) -> dict[str, Any]:
        return {"keep": [{k: torch.from_numpy(m) for k, m in keep.items()} for keep in self._keep]}

    def load_state(self, state: dict[str, Any]) -> None:
        self._keep = [{k: m.numpy() for k, m in keep.items()} for keep in state["keep"]]
        self._dropped = None

    def _shares(self, model: ChainModel, number: int) -> dict[str, float]:
        """Return the shares wanted of a layer's matrices, by field."""
        name, keep = model.names[number], self._keep[number]
        # what sums outputs comes after the read-out, and has no matrix
        last = number == max(k for k, masks in enumerate(self._keep) if masks)
        result = {}
        for field, mask in keep.items():
            share = self.options.of(name, field, last=last)
            without = {**keep, field: np.zeros_like(mask)}
            found = dropped_parameters(model.layers[number], without)
            if share and sum(int(d.sum()) for d in found) != mask.size:
                if names_of(name, field, self.options.matrices):
                    raise CompressError(
                        f"{name}.{field} cannot be pruned: its weights are not free to become zero"
                    )
                share = 0.0
            result[field] = share
        return result

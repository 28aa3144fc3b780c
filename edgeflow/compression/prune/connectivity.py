"""Fixed sparse connectivity: weights that are zero from the start of a training, drawn by chance.

Which weights there are never changes, and no dense model is trained first: the connectivity of the
GRUs in "Pain level classification with GRU-based sparsely-connected RNNs", arXiv 2212.14806.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cells import cells_with
from edgeflow.cells.min_rnn import MinRNN
from edgeflow.compression.prune.mask import Block, keep_random
from edgeflow.errors import TrainError
from edgeflow.training.method import Method

#: Cells whose weights stand in their parameters as they do in the program's matrices.
_KINDS = (nn.GRU, nn.LSTM, nn.RNN, MinRNN)


class FixedConnectivity(Method):
    """Draw masks once, and keep them.

    Parameters
    ----------
    sparsity : float
        Share of the weights of the recurrent layers that are zero, in (0, 1).
    seed : int
        Of the masks.

    Raises
    ------
    TrainError
        If the share is out of range.
    """

    def __init__(self, sparsity: float, block: Block | None = None, seed: int = 0) -> None:
        if not 0 < sparsity < 1:
            raise TrainError(f"the share of zero weights is {sparsity:g}: it is between 0 and 1")
        self.sparsity, self.block, self.seed = sparsity, block or Block(), seed
        self._dropped: list[Tensor] = []

    def describe(self) -> dict[str, Any]:
        return {
            "method": "fixed connectivity",
            "sparsity": self.sparsity,
            "block": str(self.block),
            "seed": self.seed,
        }

    def prepare(self, model: nn.Module) -> None:
        """Draw the masks.

        Raises
        ------
        TrainError
            If the cell's weights do not stand in its parameters as they do in the matrices.
        """
        layer: Any = model.rnn
        if not isinstance(layer, _KINDS):
            raise TrainError(f"fixed sparse weights are for {cells_with(_KINDS)}")
        rng = np.random.default_rng(self.seed)
        self._dropped = [
            torch.from_numpy(~keep_random(weight.shape, self.sparsity, self.block, rng))
            for weight in _weights(model)
        ]
        with torch.no_grad():
            self.constrain(model)
            # the variance of a sum of fewer terms stays
            for weight in _weights(model):
                weight.mul_((1 - self.sparsity) ** -0.5)

    def constrain(self, model: nn.Module) -> None:
        """Make the dropped weights zero."""
        for weight, dropped in zip(_weights(model), self._dropped, strict=True):
            weight.masked_fill_(dropped, 0.0)


def _weights(model: nn.Module) -> list[Tensor]:
    layer: Any = model.rnn
    return [p for p in layer.parameters() if p.dim() == 2]

r"""Training with the weights of analog chips, each step those of another chip.

A chip's weights are :math:`Q(w) + \delta`: those of the integers, and what its devices make of them
at a time since programming, drift compensated. Forward and backward pass see the same ones, and the
gradient changes the float weights:

.. math::
    \hat y = y(Q(w) + k \delta), \qquad
    \frac{\partial \hat y}{\partial w} = \frac{\partial y}{\partial w}\Big|_{Q(w) + k \delta}

V. Joshi et al., Accurate deep neural network inference using computational phase-change memory,
Nature Communications 11, 2473 (2020), who also clip the weights: what is far from the others makes
the noise of all of its row large, as the largest weight is the largest conductance. M. J. Rasch et
al., Hardware-aware training for large-scale and diverse deep learning inference workloads, Nature
Communications 14, 5282 (2023).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from numpy.typing import NDArray

from edgeflow.compression.chips import Chips
from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune.layout import weights_of
from edgeflow.compression.qat import QuantizationAware, load_dequantized
from edgeflow.errors import CompressError
from edgeflow.imc.analog import AnalogMatrix
from edgeflow.program.matrix import Matrix
from edgeflow.quantization import Converted
from edgeflow.training.method import Method

#: Numbers that a chip is drawn by.
_NUMBERS = 2**31


class WeightNoise(Method):
    """Train with the weights of chips.

    Parameters
    ----------
    quantized : QuantizationAware
        Comes before this method, which changes the weights that it gives, and leaves the outputs
        to the float layers (``integers=False``).
    chips : Chips
    noise : float
        k: 1 trains with the deviations that the chips have; 0 with none.
    clip : float
        Largest weight of a row, in standard deviations of its weights; 0: any.

    Attributes
    ----------
    layers : list of Converted
        The layers on the chip of the last step.
    """

    def __init__(
        self, quantized: QuantizationAware, chips: Chips, *, noise: float = 1.0, clip: float = 2.5
    ) -> None:
        self.quantized, self.chips, self.noise, self.clip = quantized, chips, noise, clip
        self.layers: list[Converted] = []

    def describe(self) -> dict[str, Any]:
        own = {"method": "weight noise", "noise": self.noise, "clip": self.clip}
        return own | self.chips.describe()

    @contextmanager
    def during_step(self, model: ChainModel) -> Iterator[None]:
        """Replace the weights of the integers by those of a chip."""
        program = self.quantized.program
        if program is None:
            raise CompressError("methods: QuantizationAware comes before the noise of its weights")
        chip = self.chips.draw(program, int(torch.randint(_NUMBERS, ())))
        self.layers = [
            replace(done, node=node)
            for done, node in zip(self.quantized.layers, chip.nodes, strict=True)
        ]
        kept = [(parameter, parameter.data.clone()) for parameter in model.parameters()]
        try:
            load_dequantized(model, self.layers, self._weights)
            yield
        finally:
            for parameter, value in kept:
                parameter.data.copy_(value)

    def constrain(self, model: ChainModel) -> None:
        """Clip the weights of each row."""
        if not self.clip:
            return
        for layer in model.layers:
            for weight in weights_of(layer):
                limit = self.clip * weight.std(1, keepdim=True, correction=0)
                weight.copy_(torch.minimum(torch.maximum(weight, -limit), limit))

    def settled(self, progress: float) -> bool:
        """Leave out the model as it came: training chose it on the same validation subjects."""
        return progress > 0

    def _weights(self, matrix: Matrix) -> NDArray[Any]:
        found = cast(AnalogMatrix, matrix).effective
        return matrix.weight + self.noise * (found - matrix.weight)

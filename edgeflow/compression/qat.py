r"""Quantization-aware training whose forward pass is the integer program.

Each step converts the current weights into a program, as ``edgeflow compress`` does, and runs it on
the batch. The loss sees its outputs, to the bit; the gradient is that of the float layers with the
weights :math:`Q(w)` that the integers stand for:

.. math::
    \hat y = y_{int} \text{ forward}, \qquad
    \frac{\partial \hat y}{\partial w} = \frac{\partial y_{float}}{\partial w}\Big|_{Q(w)}

The float weights collect these gradients: a straight-through estimator (Y. Bengio et al.,
Estimating or propagating gradients through stochastic neurons, arXiv 1308.3432; M. Courbariaux et
al., BinaryConnect, NeurIPS 2015).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeflow.cells.cells import layer_of
from edgeflow.compression.convert import few_windows
from edgeflow.compression.input_range import equalized, input_format
from edgeflow.compression.model import ChainModel
from edgeflow.compression.quantize import quantize
from edgeflow.compression.slow_states import widened
from edgeflow.program import InputFormat, Program
from edgeflow.program.nodes.base import State
from edgeflow.quantization import Converted, WeightOf, Widths
from edgeflow.training.batches import Batch
from edgeflow.training.method import Method

#: Calibration windows of a step.
STEP_WINDOWS = 64


class QuantizationAware(Method):
    """Train with the outputs of the integer program.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
        Raw samples of training subjects. The format of the input comes from all of them, the scales
        inside from the first `STEP_WINDOWS` of a fixed shuffle, at each step.

    integers : bool
        The loss sees the outputs of the integers; False: those of the float layers with their
        weights, as where a method after this one changes them once more.

    Attributes
    ----------
    program : Program
        Of the last step.
    layers : list of Converted
        Its layers.
    """

    def __init__(
        self, calibration: NDArray[np.float32], widths: Widths, *, integers: bool = True
    ) -> None:
        self.calibration, self.widths, self.integers = calibration, widths, integers
        self._fixed = widths
        self._few = few_windows(calibration, STEP_WINDOWS)
        self._form: InputFormat | None = None
        self._state: list[State] | None = None
        self.program: Program | None = None
        self.layers: list[Converted] = []

    def describe(self) -> dict[str, Any]:
        what = {"method": "qat", **asdict(self.widths), "calibration": len(self.calibration)}
        return what if self.integers else {**what, "integers": False}

    def prepare(self, model: ChainModel) -> None:
        """Fix the format of the input, and the widths of the states."""
        chain = model.chain()
        self._form = input_format(chain, self.calibration, self.widths)
        form = equalized(self._form, chain)
        self._fixed, _ = widened(chain, self.calibration, self.widths, form)

    @contextmanager
    def during_step(self, model: ChainModel) -> Iterator[None]:
        """Replace the weights by those that the integers stand for."""
        self.layers = []
        self.program = quantize(
            model.chain(), self._few, self._fixed, form=self._form, on_layer=self.layers.append
        )
        kept = [(parameter, parameter.data.clone()) for parameter in model.parameters()]
        try:
            load_dequantized(model, self.layers)
            yield
        finally:
            for parameter, value in kept:
                parameter.data.copy_(value)

    def outputs(self, model: ChainModel, batch: Batch, logits: Tensor) -> Tensor:
        """Return the program's outputs, in real units, with the gradient of the float ones."""
        if not self.integers:
            return logits
        assert self.program is not None
        whole = self._run(self.program, batch)
        real = torch.from_numpy(whole.astype(np.float32) * np.float32(self.program.output_scale))
        result: Tensor = _Replace.apply(logits, real)
        return result

    def _run(self, program: Program, batch: Batch) -> NDArray[np.int16]:
        """Return the outputs; those of a stream go on from the integers of the batch before."""
        before = self._state if batch.keep else None
        y, self._state = program.run_on(program.quantize_input(batch.x.numpy()), before)
        return y


class _Replace(torch.autograd.Function):
    """Other values with the gradient of the first ones."""

    @staticmethod
    def forward(ctx: Any, source: Tensor, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def load_dequantized(
    model: ChainModel, converted: Iterable[Converted], weight_of: WeightOf | None = None
) -> None:
    """Give the layers of `model` the weights that the integers of their converted forms mean.

    `weight_of` as of `Affine.dequantize`.
    """
    for layer, done in zip(model.layers, converted, strict=True):
        assign = layer_of(layer).load_dequantized
        if assign is not None:
            matrices = done.node.matrices()
            real = {f: a.dequantize(matrices[f], weight_of) for f, a in done.provenance.items()}
            assign(layer, real)

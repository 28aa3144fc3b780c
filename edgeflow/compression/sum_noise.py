r"""Training with the noise of analog sums: of the reads of cells, and of each output.

Each product :math:`W x + b` of a float layer gets, at each step of time, normal noise of variance

.. math::
    \sigma_i^2 = c_i + \sum_j v_{ij} x_j^2

where c is that of the outputs of row i, and v that of the reads of its cells
(`edgeflow.imc.analog.Noise`), in the units of the layer. The gradient passes it by unchanged.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from edgeflow.cells.cells import layer_of
from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune.layout import assigned
from edgeflow.compression.weight_noise import WeightNoise
from edgeflow.imc.analog import AnalogMatrix
from edgeflow.imc.options import ArrayOptions
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.quantization import Affine, Converted, Floats, gain_of
from edgeflow.training.method import Method

#: Variances by parameter: c [rows] and v [rows, cols].
Variances = Mapping[int, tuple[Tensor, Tensor]]


class SumNoise(Method):
    """Add the noise of the sums of chips.

    Where a layer's product is not with a parameter as it is, such as a part of one, it has none.

    Parameters
    ----------
    weights : WeightNoise
        Comes before this method; its chips say how large the noise is.
    """

    def __init__(self, weights: WeightNoise) -> None:
        self.weights = weights

    def describe(self) -> dict[str, Any]:
        return {"method": "sum noise"}

    @contextmanager
    def during_step(self, model: ChainModel) -> Iterator[None]:
        """Add noise to all products in the forward pass."""
        options, found = self.weights.chips.arrays, {}
        for layer, done in zip(model.layers, self.weights.layers, strict=True):
            found.update(_of_layer(layer, done, options))
        with ExitStack() as stack:
            for layer in model.layers:
                if isinstance(layer, nn.RNNBase):
                    stack.enter_context(_step_by_step(layer))
            stack.enter_context(_Noisy(found))
            yield


class _Noisy(TorchFunctionMode):
    """Adds noise to products with some parameters."""

    def __init__(self, variances: Variances) -> None:
        super().__init__()
        self._variances = variances

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is not functional.linear or len(args) < 2:
            return result
        x, weight, *_ = args
        found = self._variances.get(id(weight))
        if found is None:
            return result
        with torch.no_grad():
            noise = functional.linear(x * x, found[1], found[0]).sqrt_()
            noise.mul_(torch.randn_like(noise))
        return result + noise


@contextmanager
def _step_by_step(layer: Any) -> Iterator[None]:
    """Let a layer of torch, all of whose steps are one operation, take them one by one."""
    recur = layer_of(layer).recur
    assert recur is not None
    layer.forward = lambda x, state=None: recur(layer, x, state, lambda h: h)
    try:
        yield
    finally:
        del layer.forward


def _of_layer(
    layer: nn.Module, done: Converted, options: ArrayOptions
) -> dict[int, tuple[Tensor, Tensor]]:
    """Return variances by the identity of parameters."""
    matrices = done.node.matrices()
    each = {
        field: variances(affine, cast(AnalogMatrix, matrices[field]), options)
        for field, affine in done.provenance.items()
    }
    zero = assigned(layer, {field: np.zeros_like(v) for field, (_, v) in each.items()})
    outputs, reads = (
        assigned(layer, {field: one[k] + np.zeros_like(one[1]) for field, one in each.items()})
        for k in (0, 1)
    )
    return {
        id(parameter): ((c - z)[:, 0], v - z)
        for parameter, z, c, v in zip(layer.parameters(), zero, outputs, reads, strict=True)
        if parameter.dim() == 2
    }


def variances(affine: Affine, matrix: AnalogMatrix, options: ArrayOptions) -> tuple[Floats, Floats]:
    """Return c [rows, 1] and v [rows, cols] of a matrix on arrays, in units of the float layer.

    Of one of low rank, v is zero: only its outer part's outputs have noise.
    """
    unit = gain_of(matrix) * affine.unit
    largest_x = largest_magnitude(matrix.input_bits)
    c, v = np.zeros(matrix.rows), np.zeros((matrix.cols, matrix.rows))
    for tile in matrix.arrays.tiles:
        each = options.output_noise * tile.largest * largest_x / tile.share * tile.gain
        c[tile.outputs] += each**2 * (tile.places**2).sum()
        digits = np.abs(tile.digits) @ tile.places**2
        v[tile.inputs, tile.outputs] += digits * (tile.largest / tile.share * tile.gain**2)
    if matrix.factor is not None:
        return (c * unit**2)[:, None], np.zeros_like(affine.weight)
    v = v.T * (options.input_noise * unit[:, None] / affine.source.scale) ** 2
    return (c * unit**2)[:, None], v

"""Common part of minGRU and minLSTM: gates that read the input only, and time in parallel.

L. Feng et al., Were RNNs all we needed?, arXiv 2410.01201, 2024.
"""

from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Cell, Weights, copy_params, gate_rows
from edgeflow.cells.linear import prune_units as prune_linear
from edgeflow.cells.scan import scan
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes.min_rnn import MinRNN as Node
from edgeflow.quantization import (
    PREACTIVATION_SCALE,
    Affine,
    Calibration,
    Converted,
    clipped_fraction,
    own_reach,
    parameters,
    reach,
)


class MinRNN(nn.Module):
    r"""A stack of layers :math:`h_t = (1 - z_t) \odot h_{t-1} + z_t \odot \tilde h_t`.

    Parameters
    ----------
    inputs, hidden, layers : int
    dropout : float
        Between layers, in [0, 1); in training only.

    Attributes
    ----------
    linear : nn.ModuleList of nn.Linear
        One per layer, [blocks * hidden, inputs]: the gates' rows, then the candidate's.
    """

    #: Rows of the linear map per unit: gates and candidate.
    blocks: ClassVar[int]

    def __init__(self, inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.inputs, self.hidden, self.layers, self.dropout = inputs, hidden, layers, dropout
        self.linear = nn.ModuleList(
            nn.Linear(hidden if k else inputs, self.blocks * hidden) for k in range(layers)
        )

    @abstractmethod
    def rates(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 - z and z [n, time, hidden] from the gates' linear maps, side by side."""

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return h [n, time, hidden] of the last layer and the state to go on from.

        Parameters
        ----------
        x : Tensor [n, time, inputs]
        state : Tensor [layers, n, hidden], optional
            Zeros by default.
        """
        last = []
        for k, linear in enumerate(self.linear):
            if k:
                x = nn.functional.dropout(x, self.dropout, self.training)
            values = linear(x)
            split = (self.blocks - 1) * self.hidden
            keep, take = self.rates(values[..., :split])
            x = scan(keep, take * values[..., split:], None if state is None else state[k])
            last.append(x[:, -1])
        return x, torch.stack(last)


#: An output whose standard deviation is fewer units says little.
FEW_UNITS = 4


def unstack(layer: Any) -> list[nn.Module]:
    """Return a stack as single layers."""
    result: list[nn.Module] = []
    for linear in layer.linear:
        single = type(layer)(linear.in_features, layer.hidden)
        single.linear[0].load_state_dict(linear.state_dict())
        result.append(single.eval())
    return result


def convert(kind: type[Node], layer: Any, given: Calibration) -> Converted:
    """Quantize; units of the state and of the output come from calibration.

    The state is a mean of candidates, so the candidate's largest magnitude bounds it. Neurons have
    one unit or, where the width of the state says so (`EXACT_STATE`), each its own. Gates of
    minGRU beyond +-8 saturate harmlessly; minLSTM's, which it compares, get the range they need.
    """
    weight, bias = parameters(layer.linear[0].weight, layer.linear[0].bias)
    real, bits = given.real, given.state_bits
    values = given.source.real @ weight.T + bias
    split = (layer.blocks - 1) * layer.hidden
    candidates = values[..., split:]
    reached = own_reach(candidates) if given.exact_state else reach(candidates)
    unit = np.full(layer.hidden, reached) / 2.0**15
    # a slow state stays smaller than its candidates: the output's unit is finer by then
    limit = 2.0 ** (bits - 1)
    shift = 15 + max(0, int(np.ceil(np.log2(reach(real / (limit * unit))))))
    scale = unit * 2.0 ** (shift - 15)
    saturation = {"output": clipped_fraction(real / scale, limit)}
    ints = {"state_bits": bits, "output_shift": shift}
    gate_unit = PREACTIVATION_SCALE
    if "gate_shift" in kind.int_fields:
        gates = np.abs(values[..., :split])
        ints["gate_shift"] = int(np.clip(np.ceil(np.log2(max(gates.max(), 1.0) / 8)), 0, 4))
        gate_unit *= 2.0 ** ints["gate_shift"]
        saturation["gates"] = clipped_fraction(gates, 8.0 * 2 ** ints["gate_shift"])
    output_unit = np.concatenate([np.full(split, gate_unit), unit])
    products = {"input": Affine(weight, bias, given.source, output_unit)}
    fields: dict[str, Any] = {**given.matrices(products), **ints}
    output = given.output(scale, bits)
    unfit = int((real.std(axis=(0, 1)) < FEW_UNITS * scale).sum())
    return Converted(kind(given.name, **fields), output, saturation, products, unfit=unfit)


def load_dequantized(layer: Any, real: Weights) -> None:
    """Give a single layer these weights."""
    copy_params([layer.linear[0].weight], real["input"])


def prune_units(layer: Any, inputs: Ints, units: Ints) -> MinRNN:
    """Return a single layer of these inputs and units."""
    smaller: MinRNN = type(layer)(len(inputs), len(units))
    rows = gate_rows(units, layer.blocks, layer.hidden)
    smaller.linear[0] = prune_linear(layer.linear[0], inputs, rows)
    return smaller


def min_cell(kind: type[MinRNN], node: type[Node], *, name: str, about: str) -> Cell:
    """Return the cell of a kind of layer."""
    return Cell(
        kind,
        partial(convert, node),
        unstack,
        build=kind,
        load_dequantized=load_dequantized,
        prune_units=prune_units,
        name=name,
        about=about,
    )

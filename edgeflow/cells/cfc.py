r"""Closed-form continuous-time cell (CfC), in the form of the ``ncps`` package.

With input :math:`x_t` [inputs], state :math:`h_t` [hidden], time span :math:`\tau` between two
samples and a backbone of `backbone_layers` layers of `backbone_units` units, whose activation is
:math:`\phi(v) = 1.7159 \tanh(0.666 v)` ("lecun_tanh") or :math:`\tanh`:

.. math::
    u_0 &= [x_t, h_{t-1}], \qquad u_k = \phi(W_k u_{k-1} + b_k) \\
    v_1 &= (M \odot W_{f1}) u + b_{f1}, \qquad v_2 = (M \odot W_{f2}) u + b_{f2} \\
    s &= \sigma\big((W_a u + b_a)\, \tau + W_b u + b_b\big)

where u is the backbone's output and M an optional mask of zeros and ones. The modes are

.. math::
    \text{default:} \quad h_t &= (1 - s) \odot \tanh v_1 + s \odot \tanh v_2 \\
    \text{no\_gate:} \quad h_t &= \tanh v_1 + s \odot \tanh v_2 \\
    \text{pure:} \quad h_t &= A - A \odot e^{-\tau (|w_\tau| + |v_1|)} \odot v_1

R. Hasani, M. Lechner et al., Closed-form continuous-time neural networks, Nature Machine
Intelligence 4, 2022, arXiv 2106.13898. Layers with masks and no backbone, in a row, are a Neural
Circuit Policy: M. Lechner et al., Nature Machine Intelligence 2, 2020. A recurrence of low rank,
:math:`W_h = (P Q) \odot S` with a fixed random mask S, is that of N. Tumma, M. Lechner et al.,
Leveraging low-rank and sparse recurrent connectivity, arXiv 2310.03915.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from edgeflow.cells import linear
from edgeflow.cells.cell import Cell, Weights, copy_params, slice_rows
from edgeflow.cells.stack import stacked
from edgeflow.errors import CompressError, TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import Ints, symmetric_max
from edgeflow.program.nodes.cfc import BACKBONES, MAX_BACKBONE, MAX_GAIN
from edgeflow.quantization import (
    Affine,
    Calibration,
    Converted,
    Signal,
    centred,
    clipped_fraction,
    parameters,
)

MODES = ("default", "no_gate", "pure")
#: Backbone activations ``scale * tanh(slope * v)``, as (scale, slope).
ACTIVATIONS = {"lecun_tanh": (1.7159, 0.666), "tanh": (1.0, 1.0)}


class _Recurrence(nn.Module):
    """Weights [W_x, W_h] whose recurrent part is ``(P Q) * keep``, or ``W_h * keep``."""

    keep: Tensor

    def __init__(self, inputs: int, rank: int | None, keep: Tensor) -> None:
        super().__init__()
        self.inputs, self.rank = inputs, rank
        self.register_buffer("keep", keep)

    def forward(self, x: Tensor, *parts: Tensor) -> Tensor:
        h = parts[0] if self.rank is None else parts[0] @ parts[1]
        return torch.cat([x, h * self.keep], dim=1)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        x, h = weight[:, : self.inputs], weight[:, self.inputs :]
        if self.rank is None:
            return x, h
        u, s, v = torch.linalg.svd(h, full_matrices=False)
        root = s[: self.rank].sqrt()
        return x, u[:, : self.rank] * root, root[:, None] * v[: self.rank]


class CfC(nn.Module):
    """One CfC layer.

    Parameters
    ----------
    inputs, hidden : int
    mode : {"default", "no_gate", "pure"}
    backbone_units, backbone_layers : int
        No backbone if there are 0 layers.
    activation : {"lecun_tanh", "tanh"}
    backbone_dropout : float
        After each backbone layer but the first, in [0, 1).
    time_span : float
        Between two samples, in the unit that the model's time constants are meant in; > 0.
    mask : float array [hidden, columns], optional
        Multiplies the weights of ff1 and ff2.
    rank : int, optional
        Of the recurrent part of the first product: ``(P Q) * S``. None: full.
    sparsity : float
        Share of zeros in S, in [0, 1).

    Raises
    ------
    TrainError
        If an argument is out of range.
    """

    mask: Tensor | None

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        mode: str = "default",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        activation: str = "lecun_tanh",
        backbone_dropout: float = 0.0,
        time_span: float = 1.0,
        mask: NDArray[np.floating] | None = None,
        rank: int | None = None,
        sparsity: float = 0.0,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise TrainError(f"mode is '{mode}': use one of {', '.join(MODES)}")
        if activation not in ACTIVATIONS:
            raise TrainError(f"activation is '{activation}': use one of {', '.join(ACTIVATIONS)}")
        if backbone_layers < 0 or (backbone_layers and backbone_units < 1):
            raise TrainError("a backbone needs at least 0 layers of at least 1 unit")
        if not time_span > 0:
            raise TrainError(f"time_span is {time_span}: it must be positive")
        if not 0 <= sparsity < 1 or (rank is not None and rank < 1):
            raise TrainError("sparsity must be in [0, 1) and the rank at least 1")
        if rank is not None and rank > hidden:
            raise TrainError(f"rank is {rank}: it must be at most the {hidden} units")
        self.inputs, self.hidden, self.mode = inputs, hidden, mode
        self.activation, self.time_span = activation, float(time_span)
        columns = inputs + hidden
        self.backbone = nn.ModuleList()
        for _ in range(backbone_layers):
            self.backbone.append(nn.Linear(columns, backbone_units))
            columns = backbone_units
        self.dropout = nn.Dropout(backbone_dropout)
        if mask is not None and np.shape(mask) != (hidden, columns):
            raise TrainError(f"mask must be [{hidden}, {columns}], not {list(np.shape(mask))}")
        kept = None if mask is None else torch.as_tensor(mask, dtype=torch.float32)
        self.register_buffer("mask", kept)
        self.ff1 = nn.Linear(columns, hidden)
        if mode == "pure":
            self.w_tau = nn.Parameter(torch.zeros(1, hidden))
            self.A = nn.Parameter(torch.ones(1, hidden))
        else:
            self.ff2 = nn.Linear(columns, hidden)
            self.time_a = nn.Linear(columns, hidden)
            self.time_b = nn.Linear(columns, hidden)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and name not in ("w_tau", "A"):
                nn.init.xavier_uniform_(parameter)
        if rank is not None or sparsity > 0:
            readers = self._linears()[:1] if backbone_layers else self.heads()
            for reader in readers:
                keep = torch.rand(reader.out_features, hidden) >= sparsity
                recurrence = _Recurrence(inputs, rank, keep.float())
                parametrize.register_parametrization(reader, "weight", recurrence)

    def heads(self) -> list[nn.Linear]:
        """Return the layers that read the backbone's output."""
        return [self.ff1] if self.mode == "pure" else [self.ff1, self.ff2, self.time_a, self.time_b]

    def _linears(self) -> list[nn.Linear]:
        return [layer for layer in self.backbone if isinstance(layer, nn.Linear)]

    def _heads(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the heads f1, f2, s with the time span folded in."""
        mask = 1.0 if self.mask is None else self.mask
        if self.mode == "pure":
            return self.ff1.weight * mask, self.ff1.bias
        a, b, span = self.time_a, self.time_b, self.time_span
        weight = [self.ff1.weight * mask, self.ff2.weight * mask, span * a.weight + b.weight]
        return torch.cat(weight), torch.cat([self.ff1.bias, self.ff2.bias, span * a.bias + b.bias])

    def products(self) -> list[tuple[Tensor, Tensor]]:
        """Return weight and bias of the products in turn; the first reads [x, h]."""
        return [*((layer.weight, layer.bias) for layer in self._linears()), self._heads()]

    def forward(
        self, x: Tensor, h: Tensor | None = None, read: Callable[[Tensor], Tensor] = lambda h: h
    ) -> tuple[Tensor, Tensor]:
        """Return (h [n, time, hidden], last h [n, hidden]) for x [n, time, inputs].

        The recurrent weights see ``read(h)``.
        """
        h = x.new_zeros(x.shape[0], self.hidden) if h is None else h
        scale, slope = ACTIVATIONS[self.activation]
        (first, bias), *deeper = self.products()
        weight_x, weight_h = first.split([self.inputs, self.hidden], dim=1)
        tail = None
        if self.mode == "pure":
            tail = torch.exp(-self.time_span * self.w_tau.abs())
        result = []
        for a in functional.linear(x, weight_x, bias).unbind(1):
            v = a + functional.linear(read(h), weight_h)
            for k, (weight, offset) in enumerate(deeper):
                v = scale * torch.tanh(slope * v)
                v = functional.linear(self.dropout(v) if k else v, weight, offset)
            if tail is not None:
                h = self.A - self.A * tail * torch.exp(-self.time_span * v.abs()) * v
            else:
                f1, f2, s = v.chunk(3, dim=1)
                f1, f2, s = torch.tanh(f1), torch.tanh(f2), torch.sigmoid(s)
                h = f1 + s * (f2 - f1) if self.mode == "default" else f1 + s * f2
            result.append(h)
        return torch.stack(result, dim=1), h


@stacked
def build(inputs: int, hidden: int, **options: Any) -> CfC:
    """Return a CfC layer with a backbone of as many units as the state; options of `CfC`."""
    return CfC(inputs, hidden, **{"backbone_units": hidden, **options})


def unsupported_reason(layer: Any) -> str | None:
    """Refuse a backbone that the kernel has no place for."""
    depth = len(layer.backbone)
    reason = f"{depth} backbone layers: at most {MAX_BACKBONE} can be compressed"
    return reason if depth > MAX_BACKBONE else None


def convert(cell: Any, given: Calibration) -> Converted:
    """Quantize; the state of a gated cell needs no calibration, as it stays within +-1 or +-2."""
    scale, slope = ACTIVATIONS[cell.activation]
    source, bits = given.source, given.state_bits
    layers = [parameters(weight, bias) for weight, bias in cell.products()]
    # the factors of the activation, and the pure cell's time span, go into the weights
    slopes = [slope] * (len(layers) - 1) + [cell.time_span if cell.mode == "pure" else 1.0]
    layers = [(k * weight, k * bias) for k, (weight, bias) in zip(slopes, layers, strict=True)]
    output, arrays = _state(cell, given)
    (first, bias), *deeper = layers
    weight_x, weight_h = first[:, : cell.inputs], first[:, cell.inputs :]
    products = {
        "input": Affine(weight_x, bias, source),
        "recurrent": Affine(weight_h, 0 * bias, output),
    }
    a = source.real @ weight_x.T.astype(np.float32) + bias.astype(np.float32)
    u = given.before @ weight_h.T.astype(np.float32)
    v = a + u
    beyond = np.maximum(np.maximum(np.abs(a), np.abs(u)), np.abs(v))
    saturation = {"backbone" if deeper else "heads": clipped_fraction(beyond)}
    for field, (weight, offset) in zip(BACKBONES[len(deeper)], deeper, strict=True):
        signal = centred(scale * 2.0 ** -(bits - 1), bits, scale * np.tanh(v))
        products[field] = Affine(weight, offset, signal)
        v = signal.real @ weight.T.astype(np.float32) + offset.astype(np.float32)
        saturation[field] = clipped_fraction(v)
    kind = nodes.PureCfC if cell.mode == "pure" else nodes.CfC
    fields: dict[str, Any] = {**given.matrices(products), **arrays}
    gate = int(cell.mode == "default")
    node = kind(name=given.name, gate=gate, state_bits=bits, backbone_bits=bits, **fields)
    return Converted(node, output, saturation, products)


@torch.no_grad()
def load_dequantized(cell: Any, real: Weights) -> None:
    """Give the cell these weights; a factorized recurrence keeps its own."""
    _, slope = ACTIVATIONS[cell.activation]
    deeper = BACKBONES[len(cell.backbone)]
    products = [np.concatenate([real["input"], real["recurrent"]], axis=1)]
    products += [real[field] for field in deeper]
    *backbone, heads = products
    plain = [layer for layer in cell.backbone if not parametrize.is_parametrized(layer)]
    if len(plain) == len(backbone):
        for layer, weight in zip(plain, backbone, strict=True):
            copy_params([layer.weight], weight / slope)
    if any(parametrize.is_parametrized(head) for head in cell.heads()):
        return
    if cell.mode == "pure":
        copy_params([cell.ff1.weight], heads / cell.time_span)
        return
    f1, f2, s = np.split(heads, 3)
    copy_params([cell.ff1.weight, cell.ff2.weight], np.concatenate([f1, f2]))
    copy_params([cell.time_b.weight], s - cell.time_span * cell.time_a.weight.double().numpy())


@torch.no_grad()
def prune_units(cell: Any, inputs: Ints, units: Ints) -> CfC:
    """Return a cell of these inputs and units, with the same backbone.

    Raises
    ------
    CompressError
        If its recurrence is factorized or masked.
    """
    linears = (*cell.backbone, *cell.heads())
    if cell.mask is not None or any(parametrize.is_parametrized(layer) for layer in linears):
        raise CompressError("a cfc cell with a mask, or a factorized recurrence, keeps its units")
    smaller = copy.deepcopy(cell)
    smaller.inputs, smaller.hidden = len(inputs), len(units)
    reads = np.concatenate([inputs, cell.inputs + units])
    columns = reads
    if len(cell.backbone):
        first = cell.backbone[0]
        smaller.backbone[0] = linear.prune_units(first, reads, np.arange(first.out_features))
        columns = np.arange(cell.ff1.in_features)
    for name in ("ff1", "ff2", "time_a", "time_b"):
        if hasattr(cell, name):
            setattr(smaller, name, linear.prune_units(getattr(cell, name), columns, units))
    if cell.mode == "pure":
        smaller.w_tau = nn.Parameter(slice_rows(cell.w_tau.T, units).T.contiguous())
        smaller.A = nn.Parameter(slice_rows(cell.A.T, units).T.contiguous())
    return smaller


def _state(cell: CfC, given: Calibration) -> tuple[Signal, dict[str, NDArray[np.int32]]]:
    """Return the signal of the state, and the arrays of a pure cell."""
    bits = given.state_bits
    if cell.mode != "pure":
        reach = 1.0 if cell.mode == "default" else 2.0
        return given.output(reach * 2.0 ** -(bits - 1), bits), {}
    # h = A - c v exp(-|v|) with v = time_span * v_1
    A = cell.A.detach().double().numpy()[0]
    tail = np.exp(-cell.time_span * np.abs(cell.w_tau.detach().double().numpy()[0]))
    c = A * tail / cell.time_span
    reach = np.abs(A) + np.abs(c) / np.e
    scale = np.where(reach > 0, reach, 1.0) / symmetric_max(bits)
    gain = np.round(-c / scale)
    if np.abs(gain).max() > MAX_GAIN:
        raise CompressError("the gain of a pure cell is out of reach")
    arrays = {"offset": np.round(A / scale).astype(np.int32), "gain": gain.astype(np.int32)}
    return given.output(scale, bits), arrays


# the gradient through 100 steps of a cell without a linear memory is weak: read all of them
CELL = Cell(
    CfC,
    convert,
    unsupported_reason=unsupported_reason,
    build=build,
    readout="mean",
    load_dequantized=load_dequantized,
    training={"lr": 3e-3, "weight_decay": 0.1},
    recur=CfC.forward,
    prune_units=prune_units,
    name="cfc",
    about="closed-form continuous-time cell",
)

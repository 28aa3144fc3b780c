r"""Delta layers: products that are updated by the columns whose value has moved.

A delta layer keeps :math:`\hat x`, what its weights last saw of x, and where x moved by a threshold
:math:`\Theta` or more, it looks again:

.. math::
    \hat x_t = \begin{cases} x_t & |x_t - \hat x_{t-1}| \ge \Theta \\ \hat x_{t-1}
    \end{cases}, \qquad v_t = W \hat x_t = v_{t-1} + W (\hat x_t - \hat x_{t-1})

so columns that are not updated cost nothing. Input and state have thresholds of their own; columns
may be updated in groups, all of a group if one of them moved. The gradient passes :math:`\hat x` as
if it were x (straight through).

D. Neil et al., Delta networks for optimized recurrent network computation, arXiv 1612.05571, 2016;
A. Yousefzadeh and M. Sifalakis, Training for temporal sparsity in deep neural networks (Delta
Activation Layer), arXiv 2107.07305, 2021.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.cells.cell import Layer, Weights
from edgeflow.cells.cells import layer_of
from edgeflow.cells.norm import NormedLinear
from edgeflow.errors import CompressError
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.matrix import MAX_GROUP, MAX_THRESHOLD
from edgeflow.quantization import Calibration, Converted


class Hold(nn.Module):
    """Delta update of a vector: the values that its product reads, and how many were updated.

    Parameters
    ----------
    full_scale : Tensor [size]
        Real value of the largest integer of each element, > 0.
    threshold : float
        As a share of the full scale, >= 0; 0 is a dense product.
    group : int
        Columns that are updated together.

    Attributes
    ----------
    balance : Tensor [size]
        What the threshold of each element is multiplied by, >= 1. In integers there is one
        threshold, so that an element with a larger one gets a coarser unit instead.
    updated, seen : Tensor
        Columns that were updated, and all, since `forget`.
    moves : list of Tensor
        The mean distance of x from what was held, one per step, in shares of the full scale; only
        where gradients are taken, since `forget`.

    Raises
    ------
    CompressError
        If threshold or group are out of range.
    """

    full_scale: Tensor
    balance: Tensor
    threshold: Tensor

    def __init__(self, full_scale: Tensor, threshold: float = 0.0, group: int = 1) -> None:
        super().__init__()
        if not 0 <= threshold < float("inf"):
            raise CompressError(f"a delta threshold of {threshold} is not a share of full scale")
        if not 1 <= group <= MAX_GROUP:
            raise CompressError(f"a group of {group} columns is not in 1..{MAX_GROUP}")
        self.register_buffer("full_scale", full_scale.detach().clone().float())
        self.register_buffer("balance", torch.ones_like(self.full_scale))
        self.register_buffer("threshold", torch.tensor(float(threshold)))
        self.group = group
        self.forget()

    def forget(self) -> None:
        """Set the counters to zero."""
        self.updated = self.seen = torch.zeros(())
        self.moves: list[Tensor] = []

    @property
    def sparsity(self) -> float:
        """Share of columns that were not updated since `forget`; 0 if none was seen."""
        return 1 - float(self.updated / self.seen) if self.seen > 0 else 0.0

    def forward(self, x: Tensor, held: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return x_hat of x [n, size], with x's gradient and without; `held` None: zeros."""
        held = torch.zeros_like(x) if held is None else held
        distance = (x - held) / (self.full_scale * self.balance)
        with torch.no_grad():
            moved = distance.abs() >= self.threshold
            if self.group > 1:
                size = x.shape[-1]
                padded = functional.pad(moved, (0, -size % self.group))
                groups = padded.unflatten(-1, (-1, self.group)).any(-1)
                moved = groups.repeat_interleave(self.group, -1)[..., :size]
            self.updated = self.updated + moved.sum()
            self.seen = self.seen + moved.numel()
            following = torch.where(moved, x, held)
        if torch.is_grad_enabled():
            self.moves.append(distance.abs().mean())
        return x + (following - x).detach(), following


class Delta(nn.Module):
    """A recurrent or linear layer whose products are delta ones.

    Parameters
    ----------
    layer : nn.Module
        A single layer whose cell has `recur`, or one that reads its input only.
    input : Hold
    state : Hold, optional
        None: the recurrent product is dense, or there is none.
    """

    def __init__(self, layer: nn.Module, input: Hold, state: Hold | None = None) -> None:
        super().__init__()
        self.layer, self.input, self.state = layer, input, state

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return the layer's output [n, time, outputs] and the state to go on from."""
        inner, held_x, held_h = (None, None, None) if state is None else state
        steps = []
        for value in x.unbind(1):
            seen, held_x = self.input(value, held_x)
            steps.append(seen)
        x = torch.stack(steps, 1)
        if self.state is None:
            stateless = isinstance(self.layer, (nn.Linear, NormedLinear))
            output = self.layer(x) if stateless else self.layer(x, inner)
            y, inner = output if isinstance(output, tuple) else (output, None)
            return y, (inner, held_x, None)

        def read(h: Tensor) -> Tensor:
            nonlocal held_h
            assert self.state is not None
            seen, held_h = self.state(h, held_h)
            return seen

        recur = layer_of(self.layer).recur
        assert recur is not None
        y, inner = recur(self.layer, x, inner, read)
        return y, (inner, held_x, held_h)


def has_delta_state(layer: nn.Module) -> bool:
    """Tell whether the layer has a recurrent product that can be a delta one."""
    # an LMU without weights on the state is of the same class
    return layer_of(layer).recur is not None and not getattr(layer, "feed_forward", False)


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize the layer inside; thresholds become units of what they look at, at least 1."""
    done = layer_of(layer.layer).convert(layer.layer, given)
    node = done.node
    if not node.delta_sources:
        raise CompressError(f"a {node.op_type} has no delta form")
    matrices: dict[str, Any] = {}
    for field, matrix in node.matrices().items():
        reads = node.delta_sources.get(field)
        hold = layer.input if reads == "x" else layer.state if reads else None
        if hold is None or hold.threshold == 0:
            continue
        steps = round(float(hold.threshold) * symmetric_max(matrix.input_bits))
        threshold = min(max(steps, 1), MAX_THRESHOLD)
        matrices[field] = replace(matrix, threshold=threshold, group=hold.group)
    return replace(done, node=replace(node, **matrices))


def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the layer inside these weights, where it takes any."""
    inner = layer_of(layer.layer).load_dequantized
    if inner is not None:
        inner(layer.layer, real)


LAYER = Layer(Delta, convert, load_dequantized=load_dequantized)

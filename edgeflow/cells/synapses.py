r"""Synapses of LTC cells as fused functions with gradients of their own.

A synapse from source value :math:`v_i` into unit j opens with :math:`s_{ij} = \sigma(slope_{ij}
v_i + offset_{ij})`. Tensors of synapses are [hidden, fan, n], n sequences side by side: one buffer
that stays in the cache holds all of a solver step, and the backward pass computes it again.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def fan_in(mask: Tensor) -> Tensor:
    """Return the sources of each unit, int64 [hidden, fan], from a mask [sources, hidden].

    `fan` is the most that a unit has; the places of units with fewer hold sources without a
    synapse, where the mask is 0.
    """
    fan = max(int((mask != 0).sum(dim=0).max()), 1)
    return torch.argsort((mask == 0).to(torch.uint8), dim=0, stable=True)[:fan].T.contiguous()


class _Open:
    """Opens synapses of n sequences, in buffers that each call overwrites."""

    def __init__(self, slope: Tensor, offset: Tensor, source: Tensor, n: int) -> None:
        self.slope, self.offset = slope[..., None], offset[..., None]
        self.source = source.reshape(-1)
        self.read = slope.new_empty(*slope.shape, n)
        self.s = torch.empty_like(self.read)

    def __call__(self, v: Tensor) -> Tensor:
        """Return s [hidden, fan, n] for v [sources, n]."""
        torch.index_select(v, 0, self.source, out=self.read.view(-1, v.shape[1]))
        torch.mul(self.read, self.slope, out=self.s)
        return self.s.add_(self.offset).sigmoid_()


class _Gradients:
    """Sums up gradients over calls of `_Open`."""

    def __init__(self, opened: _Open, weight: Tensor) -> None:
        self._open, self._weight = opened, weight
        self._grad = torch.empty_like(opened.s)
        self.slope, self.offset = (torch.zeros_like(opened.slope[..., 0]) for _ in range(2))
        self.weight = torch.zeros_like(weight)

    def add(self, v: Tensor, sums: Tensor, grad_v: Tensor) -> None:
        """Add what ``weight @ s(v)`` passes on, given the gradient of it, [hidden, 2, n]."""
        s, grad = self._open(v), self._grad
        self.weight.baddbmm_(sums, s.transpose(1, 2))
        torch.bmm(self._weight.transpose(1, 2), sums, out=grad)
        grad.mul_(s).addcmul_(grad, s, value=-1)
        self.offset += grad.sum(dim=-1)
        self.slope += torch.mul(grad, self._open.read, out=s).sum(dim=-1)
        grad.mul_(self._open.slope)
        grad_v.index_add_(0, self._open.source, grad.view(-1, v.shape[1]))


class Synapses(Function):
    """Both sums over synapses of given values.

    Arguments are v [sources, n], slope and offset [hidden, fan], weight [hidden, 2, fan] and
    source, int64 [hidden, fan]. The result is ``sum_f weight[j, :, f] s[j, f]`` [hidden, 2, n].
    """

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, slope: Tensor, offset: Tensor, weight: Tensor, source: Tensor
    ) -> Tensor:
        ctx.save_for_backward(v, slope, offset, weight, source)
        return torch.bmm(weight, _Open(slope, offset, source, v.shape[1])(v))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        v, slope, offset, weight, source = ctx.saved_tensors
        gradients = _Gradients(_Open(slope, offset, source, v.shape[1]), weight)
        grad_v = torch.zeros_like(v)
        gradients.add(v, grad.contiguous(), grad_v)
        return grad_v, gradients.slope, gradients.offset, gradients.weight, None


class Solver(Function):
    r"""The fused solver over a sequence.

    In each of `unfolds` steps per sample, with d, a the two sums over synapses,

    .. math:: v \leftarrow (c v + base_t + a) / (rest_t + d)

    Arguments are v [hidden, n], base and rest [time, hidden, n], c [hidden, 1], slope, offset,
    weight and source as for `Synapses`, and unfolds. The result is v after each sample,
    [time, hidden, n].
    """

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, base: Tensor, rest: Tensor, c: Tensor, slope: Tensor, offset: Tensor,
        weight: Tensor, source: Tensor, unfolds: int,
    ) -> Tensor:  # fmt: skip
        opened = _Open(slope, offset, source, v.shape[1])
        steps = len(base) * unfolds
        values, below = v.new_empty(steps + 1, *v.shape), v.new_empty(steps, *v.shape)
        values[0] = v
        for k in range(steps):
            sums = torch.bmm(weight, opened(values[k]))
            torch.add(rest[k // unfolds], sums[:, 0], out=below[k])
            above = sums[:, 1].add_(base[k // unfolds]).addcmul_(c, values[k])
            torch.div(above, below[k], out=values[k + 1])
        ctx.save_for_backward(values, below, c, slope, offset, weight, source)
        ctx.unfolds = unfolds
        return values[unfolds::unfolds].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, below, c, slope, offset, weight, source = ctx.saved_tensors
        unfolds, n = ctx.unfolds, values.shape[2]
        gradients = _Gradients(_Open(slope, offset, source, n), weight)
        base, rest = torch.zeros_like(grad), torch.zeros_like(grad)
        capacity, g = torch.zeros_like(c), torch.zeros_like(values[0])
        sums = weight.new_empty(len(c), 2, n)
        for k in reversed(range(len(below))):
            t = k // unfolds
            if k % unfolds == unfolds - 1:
                g = g + grad[t]
            above = g / below[k]
            sums[:, 1] = above
            torch.mul(above, values[k + 1], out=sums[:, 0]).neg_()
            base[t] += above
            rest[t] += sums[:, 0]
            capacity += (above * values[k]).sum(dim=1, keepdim=True)
            g = c * above
            gradients.add(values[k], sums, g)
        synapses = (gradients.slope, gradients.offset, gradients.weight)
        return (g, base, rest, capacity, *synapses, None, None)

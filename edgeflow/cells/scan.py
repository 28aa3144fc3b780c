"""First-order linear recurrences over time, in parallel."""

from typing import Any

import torch
from torch import Tensor

#: Sequences up to this length are faster step by step.
_SHORT = 16


def scan(decay: Tensor, drive: Tensor, start: Tensor | None = None) -> Tensor:
    """Return every state of ``h_t = decay_t * h_{t-1} + drive_t``.

    Works on pairs of steps, then on pairs of pairs (G. Blelloch, Prefix sums and their
    applications, 1990): about ``2 log2(time)`` operations on whole tensors, none of which
    divides or takes a logarithm, so that it is as accurate as the loop for any decay of magnitude
    0 to 1. The gradient is the same recurrence backwards.

    Parameters
    ----------
    decay, drive : Tensor [n, time, size]
        Both real or both complex.
    start : Tensor [n, size], optional
        The state before the first step; zeros by default.

    Returns
    -------
    Tensor [n, time, size]
    """
    if start is not None:
        first = drive[:, :1] + decay[:, :1] * start[:, None]
        drive = torch.cat([first, drive[:, 1:]], dim=1)
    result: Tensor = _Scan.apply(decay, drive)
    return result


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay: Tensor, drive: Tensor) -> Tensor:
        states = _states(decay, drive)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        # d_t = gradient_t + decay_{t+1} d_{t+1}; the last step has nothing after it
        later = torch.cat([decay[:, 1:], torch.zeros_like(decay[:, :1])], dim=1)
        d = _states(later.conj().flip(1), gradients[0].flip(1)).flip(1)
        before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)
        return d * before.conj(), d


def _states(decay: Tensor, drive: Tensor) -> Tensor:
    time = decay.shape[1]
    result = torch.empty_like(drive)
    if time <= _SHORT:
        for t in range(time):
            before = result[:, t - 1] * decay[:, t] if t else 0.0
            result[:, t] = drive[:, t] + before
        return result
    pairs = time // 2
    even, odd = decay[:, 0 : 2 * pairs : 2], decay[:, 1::2]
    both = torch.addcmul(drive[:, 1::2], odd, drive[:, 0 : 2 * pairs : 2])
    result[:, 1::2] = _states(odd * even, both)
    result[:, 0] = drive[:, 0]
    # an even step follows an odd one
    torch.addcmul(drive[:, 2::2], decay[:, 2::2], result[:, 1 : time - 1 : 2], out=result[:, 2::2])
    return result

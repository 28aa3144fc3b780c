r"""Attention pooling: the mean over time, each step weighted by the softmax of its score.

.. math:: y_t = \sum_{k \le t} e^{s_k} h_k \Big/ \sum_{k \le t} e^{s_k}

At the last step of a window it is ``(torch.softmax(s, 1) * h).sum(1)`` (Bahdanau, Cho and Bengio
2015, without a query; Yang et al. 2016). Both sums are carried from step to step, so a stream needs
no window (the normaliser of Milakov and Gimelshein 2018).
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.cells.scan import scan
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.program.confidence import EXPONENT_FRACTION
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.nodes.attention_pool import MEAN_FRACTION, MOST_SHIFT
from edgeflow.quantization import MARGIN, Calibration, Converted, Signal

#: Largest factor from units of a score to those of an exponent.
_MOST = (1 << 15) - 1


class AttentionPool(nn.Module):
    """Weighted mean since the first step: x [n, time, size + 1], values and then their score.

    Returns y [n, time, size] and the state: the last mean [n, size], and the logarithm of the sum
    of all weights [n, 1].
    """

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, score = x[..., :-1], x[..., -1:]
        if state is None:
            mean, before = torch.zeros_like(h[:, 0]), torch.full_like(score[:, 0], -math.inf)
        else:
            mean, before = state
        whole = torch.logcumsumexp(torch.cat([before[:, None], score], dim=1), dim=1)
        kept = torch.exp(whole[:, :-1] - whole[:, 1:])
        rate = torch.exp(score - whole[:, 1:])
        y = scan(kept.expand_as(h).contiguous(), rate * h, mean)
        return y, (y[:, -1], whole[:, -1])


def convert(layer: Any, given: Calibration) -> Converted:
    """Make the node; the unit of its output is that of the values times a power of 2."""
    source = given.source
    offset, scale = source.offset[:-1], source.scale[:-1]
    # a score's offset changes all weights alike
    real = float(source.scale[-1]) * math.log2(math.e) * (1 << EXPONENT_FRACTION)
    shift = next((s for s in range(30, -1, -1) if round(real * 2.0**s) <= _MOST), None)
    if shift is None:
        raise CompressError(
            f"its scores reach {np.abs(source.real[..., -1]).max():.3g}, where a softmax is the "
            "largest alone: scale them down, or use the largest over time"
        )
    top = float(np.abs((given.real - offset) / scale).max()) * MARGIN
    bits = given.state_bits
    out = next(
        s for s in range(1, MOST_SHIFT + 1)
        if s == MOST_SHIFT or top * 2.0 ** (MEAN_FRACTION - s) <= symmetric_max(bits)
    )  # fmt: skip
    node = nodes.AttentionPool(
        given.name, len(scale), source.bits, round(real * 2.0**shift), shift, out, bits
    )
    unit = scale * 2.0 ** (out - MEAN_FRACTION)
    return Converted(node, Signal(offset, unit, bits, given.real))


LAYER = Layer(AttentionPool, convert)

"""Mean over time weighted by a softmax of scores: attention pooling, with a state of one step."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.confidence import EXPONENT_FRACTION, half_power
from edgeflow.program.fixedpoint import (
    INT32_MAX,
    Ints,
    clip,
    interpolate,
    nodes_of,
    saturate,
)
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: Fractional bits of a weight, of the mean below a unit of x, and of the rate.
WEIGHT_FRACTION, MEAN_FRACTION, RATE_FRACTION = 22, 15, 31
#: Of the mean, to y.
MOST_SHIFT = 24
#: Bits that a sum of weights stays below: where it reaches them, it is halved.
TOTAL_BITS = 30


@dataclass(frozen=True, eq=False, repr=False)
class AttentionPool(Node):
    r"""Mean of h since the reset, each step weighted by the exponential of its score s.

    x is h and s, side by side. With :math:`t = (s\,multiplier + 2^{shift - 1}) >> shift`, an
    exponent to the base 2 of 12 fractional bits, and the unit :math:`2^{top}` of all weights:

    .. math::
        e &= \lceil t / 2^{12} \rceil, \quad top' = max(top, e) \\
        w &= (2^{22} 2^{t / 2^{12} - e}) >> (top' - e), \quad
        total' = (total >> (top' - top)) + w \\
        m' &= m + ((r (2^{15} h - m) + 2^{30}) >> 31), \quad r \approx 2^{31} w / total' \\
        y &= clip((m' + 2^{out\_shift - 1}) >> out\_shift)

    The mean is carried, not the sum: it lies between what it was and h whatever the scores, so
    neither a large score nor a long stream overflows, and equal h are their mean exactly. A new
    largest score rescales the sum of weights alone, by whole powers of 2. Where the sum reaches
    2^30 it is halved, and top grows by 1. At the first step :math:`m' = 2^{15} h`.

    A weight is off by 3.5e-4 of itself at most, from t (8.5e-5), the polynomial of
    `half_power` (2.1e-4) and the reciprocal's table (4e-5), and by :math:`2^{-22}` of the largest.
    So y is within 7e-4 of the range of h of the exact mean, and, for roundings, within
    :math:`2^{-16}` units of h a step, before it is rounded itself.

    Parameters
    ----------
    name : str
    size : int
        Values of h.
    source_bits : int
        Width of x, 2..16.
    multiplier : int
        0..32767.
    shift : int
        0..30.
    out_shift : int
        1..24: 15 gives y in the unit of h.
    state_bits : int
        Width of y, 2..16.
    """

    size: int
    source_bits: int
    multiplier: int
    shift: int
    out_shift: int
    state_bits: int

    op_type = "AttentionPool"
    x_field = ("inputs", "source_bits")
    y_field = ("size", "state_bits")
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE - 1), "source_bits": (2, 16), "multiplier": (0, 32767),
        "shift": (0, 30), "out_shift": (1, MOST_SHIFT), "state_bits": (2, 16),
    }  # fmt: skip
    state_fields = {"mean": ("size", 31), "total": (1, TOTAL_BITS + 1), "top": (1, 32)}
    tables = ("reciprocal",)
    c_struct = "ef_attention_pool"

    @property
    def inputs(self) -> int:
        return self.size + 1

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        h, score = x[:, :-1] * (1 << MEAN_FRACTION), x[:, -1:].astype(np.int64)
        exponent = (score * self.multiplier + ((1 << self.shift) >> 1)) >> self.shift
        own = -((-exponent) >> EXPONENT_FRACTION)
        power = half_power((own << EXPONENT_FRACTION) - exponent)
        first = state["total"] == 0
        top = np.where(first, own, np.maximum(state["top"], own))
        weight = (power << (WEIGHT_FRACTION - 15)) >> saturate(top - own, 0, 31)
        total = (state["total"] >> saturate(top - state["top"], 0, 31)) + weight
        rate = self._rate(weight, total)
        apart = h - state["mean"]
        moved = state["mean"] + ((rate * apart + (1 << (RATE_FRACTION - 1))) >> RATE_FRACTION)
        mean = np.where(first, h, moved)
        y = clip((mean + ((1 << self.out_shift) >> 1)) >> self.out_shift, self.state_bits)
        full = total >= 1 << TOTAL_BITS
        following = {
            "mean": mean,
            "total": np.where(full, total >> 1, total),
            "top": np.where(full, top + 1, top),
        }
        return y, following

    def _rate(self, weight: Ints, total: Ints) -> Ints:
        """Return the weight's part of the total, at least 2^21 and below 2^31, in Q0.31."""
        doublings = (total < 1 << TOTAL_BITS).astype(np.int64)
        for bits in range(WEIGHT_FRACTION, TOTAL_BITS):
            doublings = doublings + (total < 1 << bits)
        # within the table for every total that there is: stated for what reasons about bounds
        m = saturate(((total << doublings) >> 15) - (1 << 15), 0, (1 << 15) - 1)
        reciprocal = interpolate(nodes_of("reciprocal", m), m, 7)
        return np.minimum((weight * reciprocal) >> (14 - doublings), INT32_MAX)

"""Anomaly score: how far what came is from what was forecast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT16_MAX, Ints, saturate
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: Fractional bits of means, weights and `keep`; and of `gain`.
FRACTION, GAIN_FRACTION = 15, 12
#: A gain of one: the limit is the largest score while learning.
ONE = 1 << GAIN_FRACTION


@dataclass(frozen=True, eq=False, repr=False)
class Residual(Node):
    r"""The mean weighted error of forecasts, as an anomaly score, and whether it is too large.

    x is the forecast of each value, then the values v that came. With f the forecast of `horizon`
    steps ago (0: x's own, a reconstruction), to which, if it is one of a `change`,
    :math:`2^{up} v` of that step was added, and t = 0, 1, ... the step since the reset:

    .. math::
        e &= sat16(2^{up} v - f) \\
        b' &= t < learn \;?\; b + ((2^{15} e - b) \gg \lfloor \log_2 (t + 1) \rfloor) : b \\
        m' &= m + ((2^{15}\, sat16(e - (b' \gg 15)) - m) \gg shift) \\
        s &= \min((\sum_i w_i |m_i' \gg 15| + 2^{14}) \gg 15,\; 32767) \\
        p' &= wait \le t < learn \;?\; \max(p, s) : p \\
        l &= \min(\max(threshold, (gain\, p') \gg 12),\; 32767) \\
        a' &= t \ge learn \land s > (a \;?\; (keep\, l) \gg 15 : l) \qquad y = [s, a']

    Each value has a running mean of its error, an EWMA control chart (S. W. Roberts, Technometrics
    1(3), 1959): noise cancels out, a shift adds up. The first `learn` steps after a reset are
    taken as normal: b is what the forecast is off there, p the largest score, a multiple of which
    is the limit, as anomaly detectors on test rigs take a quantile of each run's first part (SKAB,
    Katser and Kozitsin 2020).

    Parameters
    ----------
    name : str
    weight : int16 array [size]
        Q0.15, not negative; their sum is at most 1.
    size : int
        Values that are forecast.
    up : int
        A unit of what came is 2^up units of the forecast's, 0..15.
    horizon : int
        Steps that forecasts are ahead, 0..255.
    change : int
        1: they are changes from the present value; 0: they are values.
    shift : int
        Of the running means, 0 (none) to 15: a time constant of about 2^shift steps.
    learn : int
        Steps that are taken as normal, 0..32767; 0: `threshold` is the limit.
    wait : int
        Of these, steps whose score does not count, as means and forecasts begin.
    gain : int
        Q4.12, 0..65535.
    threshold : int
        The least limit, 0..32767; one that is 32767 is never exceeded.
    keep : int
        Q0.15, 0..32768: an anomaly lasts until the score is not above this share of the limit.
    """

    weight: NDArray[np.int16]
    size: int
    up: int
    horizon: int
    change: int
    shift: int
    learn: int
    wait: int
    gain: int
    threshold: int
    keep: int

    op_type = "Residual"
    x_field = ("inputs_of", 16)
    y_field = (2, 16)
    array_fields = {"weight": (0, INT16_MAX)}
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE // 2), "up": (0, 15), "horizon": (0, 255), "change": (0, 1),
        "shift": (0, 15), "learn": (0, INT16_MAX), "wait": (0, INT16_MAX),
        "gain": (0, (1 << 16) - 1), "threshold": (0, INT16_MAX), "keep": (0, 1 << 15),
    }  # fmt: skip
    state_fields = {
        "past": ("past", 16), "bias": ("size", 32), "mean": ("size", 32), "seen": (1, 16),
        "pace": (1, 16), "peak": (1, 16), "flag": (1, 2),
    }  # fmt: skip
    c_struct = "ef_residual"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            len(self.weight) == self.size, f"{len(self.weight)} weights of {self.size} values"
        )
        total = int(self.weight.astype(np.int64).sum())
        self.require(total <= 1 << FRACTION, f"its weights add up to {total}, above 2^15")
        self.require(
            self.past <= MAX_SIZE,
            f"forecasts of {self.size} values {self.horizon} steps ahead: at most {MAX_SIZE} fit",
        )

    @property
    def inputs_of(self) -> int:
        """Values that a step reads: forecasts and what came."""
        return 2 * self.size

    @property
    def past(self) -> int:
        """Values of the forecasts that are kept, the last one among them."""
        return (self.horizon + 1) * self.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        came = x[:, self.size :] << self.up
        forecast = saturate(x[:, : self.size] + self.change * came)
        past = np.concatenate([state["past"][:, self.size :], forecast], axis=1)
        error = saturate(came - past[:, : self.size])
        seen, pace = state["seen"], state["pace"]
        learning = seen < self.learn
        # pace is the logarithm of the steps with this one
        pace = np.where(learning & (seen + 1 >= 2 << pace), pace + 1, pace)
        moved = state["bias"] + (((error << FRACTION) - state["bias"]) >> pace)
        bias = np.where(learning, moved, state["bias"])
        unbiased = saturate(error - (bias >> FRACTION))
        mean = state["mean"] + (((unbiased << FRACTION) - state["mean"]) >> self.shift)
        total = (np.abs(mean >> FRACTION) * self.weight).sum(axis=1, keepdims=True)
        score = np.minimum((total + (1 << 14)) >> FRACTION, INT16_MAX)
        counts = learning & (seen >= self.wait)
        peak = np.where(counts, np.maximum(state["peak"], score), state["peak"])
        limit = np.maximum((peak * self.gain) >> GAIN_FRACTION, self.threshold)
        limit = np.minimum(limit, INT16_MAX)
        least = np.where(state["flag"] > 0, (limit * self.keep) >> FRACTION, limit)
        flag = (seen >= self.learn) & (score > least)
        following = {
            "past": past, "bias": bias, "mean": mean,
            "seen": np.minimum(seen + 1, INT16_MAX), "pace": pace, "peak": peak,
            "flag": flag.astype(np.int64),
        }  # fmt: skip
        return np.concatenate([score, following["flag"]], axis=1), following

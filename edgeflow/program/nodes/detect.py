"""Events in a stream of scores: smoothing, threshold with hysteresis, m of n, refractory time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT16_MAX, Ints, largest, saturate, split
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import INT16, Node, State

#: Fractional bits of the exponential means.
FRACTION = 15


@dataclass(frozen=True, eq=False, repr=False)
class Detect(Node):
    r"""An event where a smoothed score has been above its threshold in m of the last n steps.

    For each class, with s the score, its x or, if `relative`, its lead over the largest other x:

    .. math::
        m' &= m + ((2^{15} s - m) \gg shift) \\
        a' &= (m' \gg 15) > (a \;?\; low : high) \\
        c &= \sum_{k < steps} a'(t - k) \ge needed \\
        y &= c \land \lnot f \land w = 0 \land s \text{ is the largest such } m' \gg 15 \\
        f' &= c \land (f \lor y) \qquad w' = y \;?\; refractory : \max(w - 1, 0)

    y is 1 at the step of an event, else 0. f holds a class back until its score has fallen, so
    that one long event is one; w all classes for a time after an event. Of equal scores, all
    are events.

    Smoothing, suppression and threshold as of the recognizers of keyword spotters: G. Chen et al.,
    "Small-footprint keyword spotting using deep neural networks", ICASSP 2014, section 2.3.

    Parameters
    ----------
    name : str
    high, low : int16 array [size]
        In units of x. A score above high begins to count, and counts until it is not above low.
        high of 32767: never; no low is above its high.
    size : int
        Classes.
    relative : int
        1: scores are leads, which takes at least two classes; 0: they are the outputs.
    shift : int
        Of the exponential mean, 0 (none) to 15: a time constant of about 2^shift steps.
    needed, steps : int
        m and n, 1 <= m <= n <= 255.
    refractory : int
        Steps after an event in which there is no other, 0..32767.
    """

    high: NDArray[np.int16]
    low: NDArray[np.int16]
    size: int
    relative: int
    shift: int
    needed: int
    steps: int
    refractory: int

    op_type = "Detect"
    x_field = ("size", 16)
    y_field = ("size", 2)
    array_fields = {"high": INT16, "low": INT16}
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE), "relative": (0, 1), "shift": (0, 15), "needed": (1, 255),
        "steps": (1, 255), "refractory": (0, INT16_MAX),
    }  # fmt: skip
    unrolled_fields = ("relative",)
    state_fields = {
        "mean": ("size", 32), "past": ("past", 2), "fired": ("size", 2), "wait": (1, 16),
    }  # fmt: skip
    c_struct = "ef_detect"

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = f"{len(self.high)} and {len(self.low)} thresholds of {self.size} classes"
        self.require(len(self.high) == len(self.low) == self.size, sizes)
        self.require(self.low <= self.high, "a class has a threshold low above high")
        self.require(self.needed <= self.steps, f"{self.needed} of {self.steps} steps are needed")
        self.require(self.size > self.relative, "one class leads over no other")
        self.require(
            self.past <= MAX_SIZE,
            f"the last {self.steps} steps of {self.size} classes: at most {MAX_SIZE} values fit",
        )

    @property
    def past(self) -> int:
        """Flags of the last `steps`."""
        return self.steps * self.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        past, mean = state["past"], state["mean"]
        mean = mean + (((self._scores(x) << FRACTION) - mean) >> self.shift)
        score = mean >> FRACTION
        active = past[:, (self.steps - 1) * self.size :] > 0
        flags = (score > np.where(active, self.low, self.high)).astype(np.int64)
        past = np.concatenate([past[:, self.size :], flags], axis=1)
        clear = past.reshape(-1, self.steps, self.size).sum(axis=1) >= self.needed
        ready = clear & (state["fired"] == 0) & (state["wait"] == 0)
        # below every score
        held = np.where(ready, score, -(1 << 16))
        y = (ready & (held >= largest(held, 1))).astype(np.int64)
        fired = (clear & ((state["fired"] > 0) | (y > 0))).astype(np.int64)
        rest = np.maximum(state["wait"] - 1, 0)
        wait = np.where(largest(y, 1) > 0, self.refractory, rest)
        return y, {"mean": mean, "past": past, "fired": fired, "wait": wait}

    def _scores(self, x: Ints) -> Ints:
        if not self.relative:
            return x
        first, second = split(largest(x, 2), 2)
        return saturate(x - np.where(x >= first, second, first))

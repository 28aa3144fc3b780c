"""Slow and fast part of signals: gravity and motion of an acceleration."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import INT16_MAX, Ints, clip, shift_right_round
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.front import FrontEnd

#: Fractional bits of the slow part, and of the rate.
FRACTION = 15


@dataclass(frozen=True, eq=False, repr=False)
class Gravity(FrontEnd):
    r"""One-pole low-pass filter of values, and what it leaves of them.

    .. math::
        m' &= m + ((rate\,(2^{15} x - m) + 2^{14}) \gg 15) \\
        slow &= (m' + 2^{14}) \gg 15 \qquad rest = clip(x - slow)

    y is x with the rests in the place of the values, then the slow parts. After a reset m begins as
    :math:`2^{15} x`: as if the first sample had always been there. m lies between what it was and
    :math:`2^{15} x`, so :math:`|m| \le 2^{30}`. It stands still within ``1 / (2 rate)`` units of x.

    Parameters
    ----------
    name : str
    size, bits, first, count
        As of every front end.
    rate : int
        Q0.15, 1..32767: ``1 - exp(-2 pi f / f_s)`` of a corner frequency f.
    """

    rate: int

    op_type = "Gravity"
    int_fields = {**FrontEnd.int_fields, "rate": (1, INT16_MAX)}
    state_fields = {"slow": ("count", 32), "started": (1, 2)}
    c_struct = "ef_gravity"

    @property
    def outputs(self) -> int:
        return self.size + self.count

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        now = self.chosen(x)
        wide = now.astype(np.int64) << FRACTION
        before = np.where(state["started"] > 0, state["slow"], wide)
        m = before + shift_right_round(self.rate * (wide - before), FRACTION)
        slow = shift_right_round(m, FRACTION)
        y = np.concatenate([self.placed(x, clip(now - slow, self.bits)), slow], axis=1)
        return y, {"slow": m, "started": state["started"] * 0 + 1}

"""Difference of successive samples: the jerk of an acceleration."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints, clip
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.front import FrontEnd


@dataclass(frozen=True, eq=False, repr=False)
class Difference(FrontEnd):
    """``d = clip(x(t) - x(t - 1))``, 0 for the first sample after a reset.

    y are the differences or, with `keep`, x and the differences.

    Parameters
    ----------
    name : str
    size, bits, first, count
        As of every front end.
    keep : int
        1: x comes first in y.
    """

    keep: int = 1

    op_type = "Difference"
    int_fields = {**FrontEnd.int_fields, "keep": (0, 1)}
    unrolled_fields = ("keep",)
    state_fields = {"past": ("count", "bits"), "started": (1, 2)}
    c_struct = "ef_difference"

    @property
    def outputs(self) -> int:
        return self.keep * self.size + self.count

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        now = self.chosen(x)
        before = np.where(state["started"] > 0, state["past"], now)
        moved = clip(now - before, self.bits)
        following = {"past": now, "started": state["started"] * 0 + 1}
        return np.concatenate([x, moved], axis=1) if self.keep else moved, following

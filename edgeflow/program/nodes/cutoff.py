"""Early exit: the decision stands as soon as it is clear enough."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.program.fixedpoint import INT16_MAX, Ints, largest, split
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

#: No two int16 values are so far apart: this threshold never decides early.
NEVER = 1 << 16


@dataclass(frozen=True, eq=False, repr=False)
class Cutoff(Node):
    r"""Hold the outputs from the first sample on at which the largest leads by `threshold`.

    With ``count`` the samples read since the reset, -1 once it is decided, and ``lead`` the largest
    x less the second largest:

    .. math::
        y' &= count < 0 \;?\; y : x \\
        count' &= (count < 0 \lor count + 1 \ge start \land lead \ge threshold)
            \;?\; -1 : \min(count + 1, 32767)

    It is the last layer: once it has decided, the generated C computes none of the layers before
    it until the reset.

    Dynamic Confidence: C. Li et al., ICCV 2023, arXiv 2303.10276. The lead of the largest output
    over the second one as confidence (top-K cutoff): D. Wu et al., arXiv 2301.09522.

    Parameters
    ----------
    name : str
    size : int
        Classes, at least 2.
    threshold : int
        In units of the output, 0..65536; 0 decides at `start`, `NEVER` not before the window ends.
    start : int
        Samples that are read at least, 1..32767.
    """

    size: int
    threshold: int
    start: int = 1

    op_type = "Cutoff"
    x_field = ("size", 16)
    y_field = ("size", 16)
    size_fields = ()
    int_fields = {
        "size": (2, MAX_SIZE), "threshold": (0, NEVER), "start": (1, INT16_MAX),
    }  # fmt: skip
    output_state = "held"
    state_fields = {"held": ("size", 16), "count": (1, 16)}
    c_struct = "ef_cutoff"

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        decided, count = state["count"] < 0, state["count"] + 1
        first, second = split(largest(x, 2), 2)
        clear = (count >= self.start) & (first - second >= self.threshold)
        held = np.where(decided, state["held"], x)
        count = np.where(decided | clear, -1, np.minimum(count, INT16_MAX))
        return held, {"held": held, "count": count}

    def samples_read(self, outputs: ArrayLike) -> NDArray[np.int64]:
        """Return the samples read before each window is decided, at most all of them.

        Parameters
        ----------
        outputs : int16 array [n, time, size]
            What this layer reads.

        Returns
        -------
        int64 array [n]
            In 1..time.
        """
        return samples_until_clear(lead(outputs), self.threshold, self.start)


def lead(outputs: ArrayLike) -> Ints:
    """Return the largest value less the second largest, of int16 [..., at least 2]."""
    top = largest(np.asarray(outputs, dtype=np.int64), 2)
    return top[..., 0] - top[..., 1]


def samples_until_clear(leads: Ints, threshold: int, start: int) -> NDArray[np.int64]:
    """Return [n] samples until a lead [n, time] reaches `threshold`, `start` at the earliest."""
    clear = leads >= threshold
    clear[:, : start - 1] = False
    clear[:, -1] = True
    return clear.argmax(axis=1) + 1

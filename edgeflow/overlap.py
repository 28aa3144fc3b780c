r"""Overlapping windows, read by two states in turn: when decisions are due, and of which samples.

With :math:`w` samples in a window and a hop of :math:`h` from one decision to the next, a window
begins every

.. math:: s = h \left\lceil \frac{w}{2 h} \right\rceil

samples. It is read from a reset, by the first and the second state in turn: as :math:`2 s \ge w`,
at most two windows are read at a time. The outputs after each sample are those of the older one.
The first decision is due after :math:`w - s + h` samples, then one every :math:`h`; each is made of
:math:`w - j h` samples since a reset, :math:`0 \le j < s / h`. So each is made of a whole window if
:math:`h \ge w / 2`; else of more than :math:`w - s`, which is half a window where :math:`h` divides
it, and of a whole one every :math:`s` samples. Exact windows at a smaller hop would take
:math:`w / h` states.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def hop_of(window: int, hop: int | None) -> int:
    """Return a hop as programs have it: 0 where windows follow one another.

    Raises
    ------
    ValueError
        If it is not from 1 to `window`.
    """
    if hop is None or hop == window:
        return 0
    if not 1 <= hop < window:
        raise ValueError(
            f"a hop of {hop} samples with windows of {window}: it is from 1 to {window}"
        )
    return hop


@dataclass(frozen=True)
class Overlap:
    """Windows that overlap.

    Parameters
    ----------
    window : int
        w, from 2.
    hop : int
        h, from 1 and less than `window`.
    """

    window: int
    hop: int

    @property
    def stagger(self) -> int:
        """s: samples from the start of a window to that of the next."""
        return self.hop * -(-self.window // (2 * self.hop))

    @property
    def first(self) -> int:
        """Samples of the first decision, which are the fewest of any."""
        return self.window - self.stagger + self.hop

    @property
    def counted(self) -> int:
        """Last samples of a window after which decisions may be due."""
        return self.stagger - self.hop + 1

    @property
    def states(self) -> float:
        """States that read a sample, on average: more than 1, at most 2."""
        return self.window / self.stagger

    def windows(self, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return what is read from each reset of recordings x [n, time, channels].

        Returns
        -------
        array [n * count, window, channels]
            The windows of each recording in order; zeros stand behind its end.
        int64 array [count]
            How many samples of each window there are.
        """
        n, time, channels = x.shape
        starts = np.arange(0, time, self.stagger)
        parts = np.zeros((n, len(starts), self.window, channels), x.dtype)
        lengths = np.minimum(time - starts, self.window)
        for i, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            parts[:, i, :length] = x[:, start : start + length]
        return parts.reshape(-1, self.window, channels), lengths

    def run(self, model: Callable[[NDArray[Any]], NDArray[Any]], x: NDArray[Any]) -> NDArray[Any]:
        """Return the outputs [n, time, size] after each sample of recordings x.

        Parameters
        ----------
        model : callable
            Returns outputs [n, time, size] of x [n, time, channels], each from a reset.
        x : array [n, time, channels]
            Recordings, each from its start.
        """
        n, time = x.shape[:2]
        parts = self.windows(x)[0]
        whole = model(parts)
        whole = whole.reshape(n, -1, self.window, whole.shape[-1])
        at = np.arange(time)
        older = np.maximum((at - self.window) // self.stagger + 1, 0)
        return whole[:, older, at - older * self.stagger]

"""Segments of equal tags: whether runs of a class are found as runs, not in pieces."""

import numpy as np
from numpy.typing import NDArray

from edgeflow.metrics.events import runs_of


def segmental_f1(truth: NDArray[np.integer], decided: NDArray[np.integer], overlap: float) -> float:
    """Return the F1 of segments, 0..1, that overlap enough: F1@10 for 0.1, and so on.

    A decided segment is a hit if the intersection over union with a true one of the same class,
    that no other segment has hit, is at least `overlap`; how much longer it is does not count, how
    many pieces there are does. C. Lea et al., Temporal convolutional networks for action
    segmentation and detection, CVPR 2017, section 4.

    Parameters
    ----------
    truth, decided : int array [n]
        Tags of the same steps, one after the other.
    overlap : float
        0..1.
    """
    true, found = runs_of(truth), runs_of(decided)
    taken, hits, first = [False] * len(true), 0, 0
    for start, stop, tag in found:
        while first < len(true) and true[first].stop <= start:
            first += 1
        best, place = 0.0, -1
        for k in range(first, len(true)):
            a, b, other = true[k]
            if a >= stop:
                break
            share = (min(stop, b) - max(start, a)) / (max(stop, b) - min(start, a))
            if other == tag and share > best:
                best, place = share, k
        if place >= 0 and best >= overlap and not taken[place]:
            taken[place] = True
            hits += 1
    total = len(true) + len(found)
    return 2 * hits / total if total else 0.0

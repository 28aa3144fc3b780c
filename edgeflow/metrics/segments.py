"""Segments of equal tags: whether runs of a class are found as runs, not in pieces."""

import itertools

import numpy as np
from numpy.typing import NDArray


def runs_of(tags: NDArray[np.integer]) -> list[tuple[int, int, int]]:
    """Return the runs of equal tags [n] as (tag, start, stop)."""
    if not len(tags):
        return []
    edges = [0, *(np.flatnonzero(np.diff(tags)) + 1).tolist(), len(tags)]
    return [(int(tags[a]), a, b) for a, b in itertools.pairwise(edges)]


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
    for tag, start, stop in found:
        while first < len(true) and true[first][2] <= start:
            first += 1
        best, place = 0.0, -1
        for k in range(first, len(true)):
            other, a, b = true[k]
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

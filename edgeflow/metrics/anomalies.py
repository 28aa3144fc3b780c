"""Metrics of anomaly flags and scores, sample by sample.

Rates are those of SKAB (I. Katser, V. Kozitsin, "Skoltech anomaly benchmark", 2020): FAR is the
share of normal samples with a flag, MAR that of anomalous ones without.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgeflow.metrics.events import events_of


class Flags(NamedTuple):
    """Rates of flags, 0..1; NaN of samples that there are none of.

    Attributes
    ----------
    f1 : float
        Of anomalous samples; 0 if nothing is anomalous nor flagged.
    far, mar : float
        False and missed alarm rates.
    """

    f1: float
    far: float
    mar: float


def flag_rates(truth: ArrayLike, flags: ArrayLike) -> Flags:
    """Return the rates of flags [n] where `truth` [n] is anomalous."""
    real, found = np.asarray(truth, dtype=bool), np.asarray(flags, dtype=bool)
    hits = int((real & found).sum())
    false, missed = int((~real & found).sum()), int((real & ~found).sum())
    normal = int((~real).sum())
    return Flags(
        f1=2 * hits / max(2 * hits + false + missed, 1),
        far=false / normal if normal else float("nan"),
        mar=missed / (hits + missed) if hits + missed else float("nan"),
    )


def area_under_roc(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the chance that an anomalous sample's score [n] is above a normal one's.

    Equal scores count half (Mann and Whitney's U). NaN if either kind has no samples.
    """
    real, values = np.asarray(truth, dtype=bool), np.asarray(score, dtype=np.float64)
    positive, negative = int(real.sum()), int((~real).sum())
    if not positive or not negative:
        return float("nan")
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    rank = (last - (count - 1) / 2)[place]
    return float((rank[real].sum() - positive * (positive + 1) / 2) / (positive * negative))


def delays(truth: ArrayLike, flags: ArrayLike) -> list[int | None]:
    """Return for each anomaly the samples from its start to the first flag; None: no flag in it."""
    real, found = np.asarray(truth, dtype=bool), np.asarray(flags, dtype=bool)
    result: list[int | None] = []
    for start, stop, _ in events_of(real.astype(np.int64)):
        inside = np.flatnonzero(found[start:stop])
        result.append(int(inside[0]) if inside.size else None)
    return result

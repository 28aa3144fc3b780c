"""Breathing: three markers on the chest of patients, forecast 0.1 to 2 s ahead for radiotherapy.

Read from ``data.mat`` of each sequence in the folders of the repository (``1. Input time series
sequences/Ext markers seq 1`` ...; key ``org_data`` [9, time]) or from ``breathing.npz`` with an
array ``seq<n>`` [time, 9] for each. Every sequence is two subjects: ``<n>a``, its first minute, on
which a forecaster may be fine-tuned, and ``<n>``, all that follows.

Split by sequence in number order, which looks at no result.
"""

from pathlib import Path

import numpy as np

from edgeflow.data.arrays import read_npz
from edgeflow.data.dataset import Recording
from edgeflow.data.source import Source, by_hand
from edgeflow.errors import DataError

#: Samples of the first minute.
FIRST = 600
COLUMNS = tuple(f"{axis}{marker}" for axis in "xyz" for marker in (1, 2, 3))
_FOLDERS = ("", "1. Input time series sequences")
_PATTERN = "Ext markers seq */data.mat"


def _find(place: Path) -> Path | None:
    if (place / "breathing.npz").is_file():
        return place / "breathing.npz"
    return next((place / f for f in _FOLDERS if any((place / f).glob(_PATTERN))), None)


def _read(place: Path) -> list[Recording]:
    if place.is_file():
        found = {name.removeprefix("seq"): x for name, x in read_npz(place).items()}
    else:
        found = {path.parent.name.split()[-1]: _mat(path) for path in place.glob(_PATTERN)}
    recordings = []
    for name, x in sorted(found.items(), key=lambda one: (len(one[0]), one[0])):
        usable = x.ndim == 2 and x.shape[1] == len(COLUMNS) and x.dtype.kind == "f"
        if not usable or not np.isfinite(x).all():
            raise DataError(f"{place}: sequence {name}: not [time, {len(COLUMNS)}] numbers in mm")
        # the first and last rows of some are zeros: no marker was seen
        seen = np.flatnonzero(x.any(axis=1))
        whole = np.ascontiguousarray(x[seen[0] : seen[-1] + 1] if len(seen) else x, np.float32)
        for person, part in ((f"{name}a", whole[:FIRST]), (name, whole[FIRST:])):
            if len(part):
                recordings.append(Recording(part, 0, person))
    return recordings


def _mat(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(path, variable_names=["org_data"])["org_data"], np.float64).T
    except Exception as error:  # a damaged file raises what it likes
        raise DataError(
            f"{path}: no array 'org_data' can be read ({type(error).__name__}): copy it again"
        ) from None


SOURCES = [
    Source(
        name="breathing",
        summary="3 markers on the chest in 3 axes, up to 9 sequences, 10 Hz, to be forecast",
        licence="CC BY 4.0",
        citation="M. Pohl et al., Prediction of the position of external markers using a recurrent "
        "neural network trained with UORO for safe lung cancer radiotherapy, arXiv 2106.01100",
        homepage="https://github.com/pohl-michel/time-series-forecasting-with-UORO-RTRL-LMS-and-"
        "linear-regression",
        folder="breathing",
        classes=(),
        channels=COLUMNS,
        units=("mm",) * len(COLUMNS),
        rate_hz=10.0,
        window=200,
        val=("6", "6a"),
        test=("8", "8a", "9", "9a"),
        find=_find,
        read=_read,
        fetch=by_hand(
            "breathing",
            "take the folder '1. Input time series sequences' of https://github.com/pohl-michel/"
            "time-series-forecasting-with-UORO-RTRL-LMS-and-linear-regression",
        ),
    )
]

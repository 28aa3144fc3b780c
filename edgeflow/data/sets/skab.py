"""SKAB: a water-pump test rig whose valves are closed, which cavitates, leaks or heats up.

Read from the published CSV files (``valve1/0.csv`` ...) or from one ``skab.npz``. A run is a
subject. Targets are the flags of the column "anomaly", one for each sample.

Split by run in number order, which looks at no result: of each kind, multiples of three test, those
after them validate, the others and the normal run train.
"""

from pathlib import Path

import numpy as np

from edgeflow.data.arrays import Arrays, read_npz
from edgeflow.data.dataset import Recording
from edgeflow.data.source import Source, by_hand, read_columns
from edgeflow.errors import DataError
from edgeflow.tasks.anomaly import Anomaly

CHANNELS = (
    "accelerometer1", "accelerometer2", "current", "pressure", "temperature", "thermocouple",
    "voltage", "flow",
)  # fmt: skip
COLUMNS = (
    "Accelerometer1RMS", "Accelerometer2RMS", "Current", "Pressure", "Temperature", "Thermocouple",
    "Voltage", "Volume Flow RateRMS",
)  # fmt: skip
UNITS = ("g", "g", "A", "bar", "degC", "degC", "V", "l/min")
#: Numbers of the runs of each kind, beside the normal one.
RUNS = {"valve1": range(16), "valve2": range(4), "other": range(1, 15)}


def _numbered(rest: int) -> tuple[str, ...]:
    return tuple(f"{kind}-{n}" for kind, numbers in RUNS.items() for n in numbers if n % 3 == rest)


def _find(place: Path) -> Path | None:
    if place.is_file():
        return place if place.suffix == ".npz" else None
    if (place / "skab.npz").is_file():
        return place / "skab.npz"
    folders = (place, place / "data")
    return next((folder for folder in folders if any(folder.glob("valve1/*.csv"))), None)


def _read(place: Path) -> list[Recording]:
    runs = read_npz(place) if place.suffix == ".npz" else _read_folder(place)
    recordings = []
    for name in sorted(runs):
        table = runs[name]
        if table.ndim != 2 or table.shape[1] != len(CHANNELS) + 1 or not np.isfinite(table).all():
            raise DataError(f"{place}: run '{name}' is not [time, {len(CHANNELS) + 1}] of numbers")
        x = np.ascontiguousarray(table[:, :-1], dtype=np.float32)
        flags = (table[:, -1] > 0).astype(np.int64)
        recordings.append(Recording(x, 0, name, target=flags))
    return recordings


def _read_folder(place: Path) -> Arrays:
    files = sorted(place.glob("*/*.csv"))
    return {f"{path.parent.name}-{path.stem}": _read_csv(path) for path in files}


def _read_csv(path: Path) -> np.ndarray:
    """Return [time, channels and flag]; the normal run has no column of flags."""
    found = read_columns(path, COLUMNS, delimiter=";", optional=("anomaly",))
    flags = found.pop("anomaly", np.zeros(len(found[COLUMNS[0]])))
    return np.stack([*found.values(), flags], axis=1).astype(np.float32)


SOURCES = [
    Source(
        name="skab",
        summary="water-pump test rig with anomalies, 8 channels, 1 Hz; a run is a subject",
        licence="GPL-3.0",
        citation="I. D. Katser, V. O. Kozitsin, Skoltech Anomaly Benchmark (SKAB), Kaggle 2020, "
        "doi:10.34740/KAGGLE/DSV/1693952",
        homepage="https://github.com/waico/SKAB",
        folder="skab",
        classes=(),
        channels=CHANNELS,
        units=UNITS,
        rate_hz=1.0,
        window=60,
        val=_numbered(1),
        test=_numbered(0),
        find=_find,
        read=_read,
        fetch=by_hand("skab", "take the folder 'data' of https://github.com/waico/SKAB"),
        target=Anomaly(rate_hz=1.0),
    )
]

"""MotionSense: six everyday activities, phone in the trouser pocket.

Read from the original CSV files (``A_DeviceMotion_data/dws_1/sub_1.csv`` ...) or from a packed
``subject_<nn>.npz`` per subject. Both give the same samples: values are rounded to 1/10000 g,
1/2000 g and 1/1000 rad/s.

Split by subject in number order, which looks at no result: 1-16 train, 17-20 val, 21-24 test.
"""

from functools import partial
from pathlib import Path

import numpy as np

from edgeflow.data.arrays import Arrays, cached, find_folder, number_of, packed_people, runs
from edgeflow.data.dataset import Recording
from edgeflow.data.source import COPY_AGAIN, Source, by_hand, cache_folder, read_columns
from edgeflow.errors import DataError

CLASSES = ("dws", "ups", "wlk", "jog", "sit", "std")
SENSORS = ("gravity", "userAcceleration", "rotationRate")
COLUMNS = tuple(f"{sensor}.{axis}" for sensor in SENSORS for axis in "xyz")
COUNTS_PER_UNIT = np.repeat([10000.0, 2000.0, 1000.0], 3)


def _find(place: Path) -> Path | None:
    folders = ("", "A_DeviceMotion_data", "data/A_DeviceMotion_data")
    return find_folder(place, folders, "*_*/sub_*.csv")


def _read(place: Path) -> list[Recording]:
    recordings = []
    for person, arrays in _people(place):
        x = (arrays["x"] / COUNTS_PER_UNIT).astype(np.float32)
        label = arrays["label"]
        if x.shape[1] != len(COLUMNS) or (len(label) and label.max() >= len(CLASSES)):
            raise DataError(f"{place}: subject {person}: not packed MotionSense data")
        for piece in runs(label, arrays["trial"]):
            recordings.append(Recording(x[piece], int(label[piece.start]), person))
    return recordings


def _people(place: Path) -> list[tuple[str, Arrays]]:
    if packed := packed_people(place, ("x", "label", "trial")):
        return packed
    files: dict[int, list[Path]] = {}
    for name in CLASSES:
        for folder in sorted(place.glob(f"{name}_*"), key=number_of):
            for path in folder.glob("sub_*.csv"):
                files.setdefault(number_of(path), []).append(path)
    kept = cache_folder().parent / "parsed" / "motionsense"
    return [(str(p), cached(kept, files[p], partial(_read_csv, files[p]))) for p in sorted(files)]


def _read_csv(paths: list[Path]) -> Arrays:
    """Return x int16 [n, 9], label uint8 [n], trial uint8 [n] of one subject's files."""
    x, label, trial = [], [], []
    for path in paths:
        values = np.stack([*read_columns(path, COLUMNS, delimiter=",").values()], axis=1)
        if not np.isfinite(values).all():
            raise DataError(f"{path}: holds a value that is not finite: {COPY_AGAIN}")
        counts = np.clip(np.rint(values * COUNTS_PER_UNIT), -32768, 32767)
        x.append(counts.astype(np.int16))
        name, number = path.parent.name.split("_")
        label.append(np.full(len(values), CLASSES.index(name), dtype=np.uint8))
        trial.append(np.full(len(values), int(number), dtype=np.uint8))
    return {
        "x": np.concatenate(x), "label": np.concatenate(label), "trial": np.concatenate(trial)
    }  # fmt: skip


SOURCES = [
    Source(
        name="motionsense",
        summary="6 everyday activities, 24 subjects, phone in the trouser pocket, 50 Hz",
        licence="MIT",
        citation="M. Malekzadeh et al., Mobile sensor data anonymization, IoTDI 2019, "
        "doi:10.1145/3302505.3310068",
        homepage="https://github.com/mmalekzadeh/motion-sense",
        folder="motionsense",
        classes=CLASSES,
        channels=tuple(column.replace(".", "_") for column in COLUMNS),
        units=("g",) * 6 + ("rad/s",) * 3,
        rate_hz=50.0,
        window=100,
        val=("17", "18", "19", "20"),
        test=("21", "22", "23", "24"),
        find=_find,
        read=_read,
        fetch=by_hand(
            "motionsense",
            "unpack data/A_DeviceMotion_data.zip of https://github.com/mmalekzadeh/motion-sense",
        ),
    )
]

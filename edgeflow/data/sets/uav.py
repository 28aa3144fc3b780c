"""Drone trajectories: where a drone will be, from its velocity.

Read from the repository's folder ``trajectories`` (``fpv_uzh/*.txt``, ``gazebo/*.csv``,
``random_traj_100ms/*.txt``; columns timestamp, tx, ty, tz) or from ``uav.npz`` with an array
[time, 4] for each flight, of the names that the files have. Channels are velocities, differences
of the positions at 10 Hz; the targets of a step are its position, so that a forecast is a
displacement in metres.

A subject is a flight: racing flights were recorded by two sensors, which are one subject, as else
a model would be tested on a path that it was trained on. All flights of a random figure are one.
Split by flight, which looks at no result.
"""

import re
from pathlib import Path

import numpy as np

from edgeflow.data.arrays import read_npz
from edgeflow.data.dataset import Recording
from edgeflow.data.source import COPY_AGAIN, Source, by_hand
from edgeflow.errors import DataError
from edgeflow.tasks import Regression

RATE_HZ = 10.0
_KINDS = {"fpv_uzh": "*.txt", "gazebo": "*.csv", "random_traj_100ms": "*.txt"}
_FOLDERS = ("", "trajectories")


def _find(place: Path) -> Path | None:
    if (place / "uav.npz").is_file():
        return place / "uav.npz"
    return next(
        (
            place / f
            for f in _FOLDERS
            if any(any((place / f / kind).glob(p)) for kind, p in _KINDS.items())
        ),
        None,
    )


def subject_of(name: str) -> str:
    """Return the flight of a file or array: ``fpv_uzh-indoor_forward_3_davis_with_gt`` is fpv-3."""
    stem = name.removeprefix("random_traj_100ms-")
    if real := re.match(r"fpv_uzh-(\w+?)_(\d+)_(davis|snapdragon)", stem):
        where = "" if real[1] == "indoor_forward" else f"-{real[1].replace('_', '-')}"
        return f"fpv{where}-{real[2]}"
    if simulated := re.match(r"gazebo-(\w+?)_", stem):
        return f"gazebo-{simulated[1]}"
    return re.sub(r"[_-]?\d+$", "", stem)


def _read(place: Path) -> list[Recording]:
    if place.is_file():
        found = dict(read_npz(place))
    else:
        found = {
            f"{kind}-{path.stem}": _table(path)
            for kind, pattern in _KINDS.items()
            for path in sorted((place / kind).glob(pattern))
        }
    recordings = []
    for name, table in found.items():
        usable = table.ndim == 2 and table.shape[1] == 4 and table.dtype.kind == "f"
        if not usable or not np.isfinite(table).all():
            raise DataError(f"{place}: flight {name}: not rows of a time and a position in m")
        position = table[:, 1:].astype(np.float64)
        velocity = np.diff(position, axis=0) * RATE_HZ
        recordings.append(
            Recording(
                velocity.astype(np.float32), 0, subject_of(name), position[1:].astype(np.float32)
            )
        )
    return recordings


def _table(path: Path) -> np.ndarray:
    """Return the columns timestamp, tx, ty, tz of a text file, with or without a header."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [line.lstrip("#").replace(",", " ").split() for line in lines if line.strip()]
        numbers = [row[:4] for row in rows if re.match(r"[-+.\d]", row[0])]
        return np.array(numbers, np.float64)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path}: {error}: {COPY_AGAIN}") from None


SOURCES = [
    Source(
        name="uav",
        summary="drone trajectories, real racing, simulated and random, 10 Hz, to be forecast",
        licence="BSD-3-Clause; the racing flights (UZH-FPV) CC BY-NC-SA 3.0",
        citation="J. Delmerico et al., Are we ready for autonomous drone racing? The UZH-FPV drone "
        "racing dataset, ICRA 2019, doi:10.1109/ICRA.2019.8793887; others: M. Abdelkader",
        homepage="https://github.com/mzahana/drone_trajectories",
        folder="uav",
        classes=(),
        channels=("vx", "vy", "vz"),
        units=("m/s",) * 3,
        rate_hz=RATE_HZ,
        window=40,
        val=("fpv-5",),
        test=("fpv-10",),
        find=_find,
        read=_read,
        fetch=by_hand(
            "uav",
            "take the folder 'trajectories' of https://github.com/mzahana/drone_trajectories",
        ),
        target=Regression(("x", "y", "z"), ("m",) * 3, steps=True, along=True),
    )
]

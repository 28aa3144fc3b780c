"""Smartwatch recordings of seven shoulder exercises, out of the PyPI package seglearn.

Split by subject in number order, which looks at no result: 1-6 train, 7-8 val, 9-10 test.
Everybody did every exercise twice, once with each arm, so all splits hold all classes and
both sides. A recording is a set of twenty repetitions, as the study asked for; some have a
repetition more or less, which is not known.
"""

import hashlib
import importlib.util
import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeflow.data.arrays import read_npz
from edgeflow.data.dataset import Recording
from edgeflow.data.phases import with_count
from edgeflow.data.source import Source, differs, remedy
from edgeflow.errors import DataError
from edgeflow.files import scratch_folder, write_atomic
from edgeflow.tasks.counting import Counting

PACKAGE = "seglearn==1.2.5"
PIP = ("pip", "download", "--quiet", "--disable-pip-version-check", "--no-input")
CHECKED = ("--no-deps", "--only-binary=:all:", "--require-hashes")
WHEEL_SHA256 = "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd"
MEMBER = "seglearn/data/watch_dataset.npy"
MEMBER_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
#: Of each recording.
REPETITIONS = 20
CLASSES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")


def _find(place: Path) -> Path | None:
    if place.is_file():
        return place if place.suffix in (".npy", ".npz") else None
    for name in ("watch.npz", "watch_dataset.npy"):
        if (place / name).is_file():
            return place / name
    return None


def _damaged(path: Path) -> list[Path]:
    return [path] if path.suffix == ".npy" and differs(path, MEMBER_SHA256) else []


def _installed() -> Path | None:
    # found without importing it, since its import needs pandas and scikit-learn
    spec = importlib.util.find_spec("seglearn")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _read(path: Path) -> list[Recording]:
    if path.suffix == ".npz":
        arrays = read_npz(path, ("x", "length", "label", "subject"))
        length = arrays["length"]
        if length.sum() != len(arrays["x"]):
            raise DataError(
                f"{path}: 'length' adds up to {length.sum()}, 'x' has {len(arrays['x'])}"
            )
        parts = np.split(arrays["x"], np.cumsum(length)[:-1])
        labels, people = arrays["label"], arrays["subject"]
    else:
        try:
            content = path.read_bytes()
        except OSError as error:
            content = b""
            reason = error.strerror or str(error)
        else:
            reason = "SHA-256 differs"
        # the file is a pickle: it is opened only if it is the published one
        if hashlib.sha256(content).hexdigest() != MEMBER_SHA256:
            raise DataError(
                f"{path}: not the watch_dataset.npy of {PACKAGE} ({reason}): "
                f"{remedy(path, 'seglearn-watch')}"
            )
        table = np.load(io.BytesIO(content), allow_pickle=True).item()
        parts, labels, people = table["X"], table["y"], table["subject"]
    return [
        Recording(np.ascontiguousarray(x, dtype=np.float32), int(label), str(int(person)))
        for x, label, person in zip(parts, labels, people, strict=True)
    ]


def _read_sets(path: Path) -> list[Recording]:
    return [with_count(one, REPETITIONS) for one in _read(path)]


def _fetch(folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise DataError(
            f"'seglearn-watch' comes with the Python package {PACKAGE} and pip is not installed "
            "here: run 'python -m ensurepip', or pass --root DIR with watch_dataset.npy"
        )
    with scratch_folder("download") as temporary:
        wanted = temporary / "requirements.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
        command = [sys.executable, "-m", *PIP, *CHECKED]
        command += ["--requirement", str(wanted), "--dest", str(temporary)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(temporary.glob("*.whl"))
        if run.returncode or not wheels:
            lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
            raise DataError(
                f"'pip download {PACKAGE}' failed ({(lines or ['no reason given'])[0]}): check the "
                "network, or pass --root DIR with watch_dataset.npy of that package"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            write_atomic(folder / "watch_dataset.npy", wheel.read(MEMBER))


_WATCH = Source(
    name="seglearn-watch",
    summary="7 shoulder exercises, 10 subjects, smartwatch on the wrist, 50 Hz",
    licence="BSD-3-Clause",
    citation="D. M. Burns et al., Shoulder physiotherapy exercise recognition: "
    "machine learning the inertial signals from a smartwatch, Physiological "
    "Measurement 39 (2018) 075007, arXiv:1802.01489",
    homepage="https://github.com/dmbee/seglearn",
    folder="seglearn-watch",
    classes=CLASSES,
    channels=("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"),
    units=("g", "g", "g", "rad/s", "rad/s", "rad/s"),
    rate_hz=50.0,
    window=100,
    val=("7", "8"),
    test=("9", "10"),
    find=_find,
    read=_read,
    fetch=_fetch,
    damaged=_damaged,
    installed=_installed,
    small=True,
)
SOURCES = [
    _WATCH,
    replace(
        _WATCH,
        name="seglearn-watch-sets",
        summary="the same, as sets of 20 repetitions that are counted",
        classes=(),
        read=_read_sets,
        target=Counting(),
    ),
]

"""WISDM smartwatch recordings: 18 activities, or the seven of them that hands do.

Read from the original text files (``raw/watch/{accel,gyro}/data_<id>_*_watch.txt``, also
compressed with xz or gzip) or from a packed ``subject_<id>.npz`` per subject. Both give the same
samples: values are rounded to 0.001 m/s2 and 1/900 rad/s, below the sensors' resolution.

The split by subject is fixed: five subjects validate, seven test, everybody else trains.
"""

import gzip
import io
import itertools
import lzma
from functools import partial
from pathlib import Path

import numpy as np

from edgeflow.data.archive import extract_checked
from edgeflow.data.arrays import Arrays, cached, find_folder, number_of, packed_people, runs
from edgeflow.data.dataset import Recording
from edgeflow.data.source import Source, cache_folder, differs, remedy
from edgeflow.errors import DataError

FOLDER = "wisdm-watch"
LETTERS = "ABCDEFGHIJKLMOPQRS"
HAND = "FGOPQRS"
ACCEL_PER_COUNT, GYRO_PER_COUNT = 1 / 1000, 1 / 900
PAIR_NS = 30_000_000  # a gyroscope sample further away is not a partner
GAP_NS = 250_000_000  # a longer pause ends a recording
SHORTEST = 20  # samples: one second
URL = (
    "https://archive.ics.uci.edu/static/public/507/"
    "wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip"
)
ARCHIVE = "wisdm.zip"
_RAW = "raw/watch/accel"


def _find(place: Path) -> Path | None:
    return find_folder(place, ("", "wisdm-dataset"), f"{_RAW}/data_*_accel_watch.txt*")


def _read(place: Path, letters: str) -> list[Recording]:
    label_of = {LETTERS.index(letter): i for i, letter in enumerate(letters)}
    recordings = []
    for person, arrays in _people(place):
        x = np.concatenate(
            [arrays["acc"] * ACCEL_PER_COUNT, arrays["gyr"] * GYRO_PER_COUNT], axis=1
        ).astype(np.float32)
        label = arrays["label"]
        for piece in runs(label, arrays["seg"]):
            if (index := label_of.get(int(label[piece.start]))) is not None:
                recordings.append(Recording(x[piece], index, person))
    return recordings


def _people(place: Path) -> list[tuple[str, Arrays]]:
    if packed := packed_people(place, ("acc", "gyr", "label", "seg")):
        return packed
    found = []
    if missing := [path for path in _expected(place) if not path.is_file()]:
        raise DataError(f"{missing[0]}: no such file: {_remedy(missing[0])}")
    for accel in sorted((place / _RAW).glob("data_*_accel_watch.txt*"), key=number_of):
        person = number_of(accel)
        gyro = sorted((place / "raw/watch/gyro").glob(f"data_{person}_gyro_watch.txt*"))
        if not gyro:
            continue  # one subject of the public set has no accelerometer, others could lack a gyro
        arrays = cached(
            cache_folder().parent / "parsed" / "wisdm-watch",
            [accel, gyro[0]],
            partial(_parsed, place, accel, gyro[0]),
        )
        found.append((str(person), arrays))
    return found


def _parsed(place: Path, accel: Path, gyro: Path) -> Arrays:
    """Return `read_raw` of files that are as they were published, where they were downloaded."""
    expected = _expected(place)
    for path in (accel, gyro):
        if path in expected and differs(path, expected[path]):
            raise DataError(f"{path}: not as it was published (SHA-256 differs): {_remedy(path)}")
    return read_raw(accel, gyro)


def _expected(place: Path) -> dict[Path, str]:
    """Return the SHA-256 by file, if the place is that of the download."""
    if place != cache_folder() / FOLDER or any(place.glob("subject_*.npz")):
        return {}
    return {place / path: checksum for path, checksum in checksums().items()}


def _damaged(place: Path) -> list[Path]:
    return [path for path, checksum in _expected(place).items() if differs(path, checksum)]


def _remedy(path: Path) -> str:
    return remedy(path, "wisdm-watch")


def read_raw(accel: Path, gyro: Path) -> Arrays:
    """Pair the accelerometer and gyroscope samples of one subject's original text files.

    Each accelerometer sample takes the gyroscope sample of the same activity nearest in time,
    the earlier of two equally near; samples with no partner within 30 ms and repeated time
    stamps are left out. A pause over 0.25 s ends a recording; those under 1 s are left out.

    Returns
    -------
    dict
        acc, gyr int16 [n, 3] in counts of 1/1000 m/s2 and 1/900 rad/s; label uint8 [n], index
        into ``LETTERS``; seg int16 [n], number of the recording.

    Raises
    ------
    DataError
        If a file cannot be read, or there is nothing to pair.
    """
    tables = [_parse(path) for path in (accel, gyro)]
    acc: list[np.ndarray] = []
    gyr: list[np.ndarray] = []
    label: list[np.ndarray] = []
    seg: list[np.ndarray] = []
    for activity in range(len(LETTERS)):
        (ta, va), (tg, vg) = (_one_activity(table, activity) for table in tables)
        if len(ta) == 0 or len(tg) == 0:
            continue
        after = np.searchsorted(tg, ta)
        before = np.maximum(after - 1, 0)
        after = np.minimum(after, len(tg) - 1)
        nearest = np.where(np.abs(ta - tg[before]) <= np.abs(tg[after] - ta), before, after)
        paired = np.abs(ta - tg[nearest]) <= PAIR_NS
        ta, va, vg = ta[paired], va[paired], vg[nearest[paired]]
        edges = [0, *(np.flatnonzero(np.diff(ta) > GAP_NS) + 1).tolist(), len(ta)]
        for begin, end in itertools.pairwise(edges):
            if end - begin < SHORTEST:
                continue
            acc.append(_counts(va[begin:end], ACCEL_PER_COUNT))
            gyr.append(_counts(vg[begin:end], GYRO_PER_COUNT))
            label.append(np.full(end - begin, activity, dtype=np.uint8))
            seg.append(np.full(end - begin, len(seg), dtype=np.int16))
    if not acc:
        raise DataError(
            f"{accel}: no second of samples that {gyro.name} has, too: is this the WISDM "
            "smartwatch data (lines like '1600,A,252207666810782,-0.36,8.79,1.05;')?"
        )
    parts = {"acc": acc, "gyr": gyr, "label": label, "seg": seg}
    return {name: np.concatenate(part) for name, part in parts.items()}


def _counts(values: np.ndarray, per_count: float) -> np.ndarray:
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(values * round(1 / per_count)), limits.min, limits.max).astype(np.int16)


def _one_activity(
    table: tuple[np.ndarray, np.ndarray, np.ndarray], activity: int
) -> tuple[np.ndarray, np.ndarray]:
    label, time, values = table
    rows = np.flatnonzero(label == activity)
    time, first = np.unique(time[rows], return_index=True)
    return time, values[rows[first]]


def _parse(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return label uint8 [n], time int64 [n] in ns, values float64 [n, 3]."""
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix, open)
    try:
        with opener(path, "rb") as file:  # type: ignore[operator]
            text = file.read().replace(b";", b"").decode("ascii")
    except (OSError, lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}): {_remedy(path)}") from None
    columns = [("person", "i4"), ("letter", "U2"), ("time", "i8"), ("v", "f8", (3,))]
    try:
        table = np.loadtxt(io.StringIO(text), dtype=columns, delimiter=",", comments=None, ndmin=1)
    except ValueError:
        table = np.loadtxt(_clean(path, text), dtype=columns, delimiter=",", comments=None, ndmin=1)
    if not np.isfinite(table["v"]).all():
        row = int(np.flatnonzero(~np.isfinite(table["v"]).all(axis=1))[0])
        raise DataError(f"{path}: sample {row + 1} is not finite: {_remedy(path)}")
    code = np.full(128, 255, dtype=np.uint8)
    for i, letter in enumerate(LETTERS):
        code[ord(letter)] = i
    letters = np.char.strip(table["letter"]).astype("U1")
    return code[np.minimum(letters.view(np.uint32), 127)], table["time"], table["v"]


def _clean(path: Path, text: str) -> list[str]:
    """Return the lines that have six fields; raise a DataError at one that holds no numbers."""
    kept = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split(",")
        if len(fields) != 6:
            continue
        try:
            int(fields[0]), int(fields[2]), [float(f) for f in fields[3:]]
        except ValueError:
            raise DataError(
                f"{path}: line {number}: '{line[:60]}' should be person,letter,time,x,y,z: "
                f"{_remedy(path)}"
            ) from None
        kept.append(line)
    if not kept:
        raise DataError(f"{path}: no line has the form person,letter,time,x,y,z: {_remedy(path)}")
    return kept


def checksums() -> dict[str, str]:
    """Return the SHA-256 of each original text file, by its path in the archive."""
    text = (Path(__file__).parent.parent / "wisdm_watch.sha256").read_text(encoding="utf-8")
    return {path: checksum for checksum, path in (line.split() for line in text.splitlines())}


def _fetch(folder: Path) -> None:
    import pooch

    (folder / ARCHIVE).unlink(missing_ok=True)  # pooch would take an old one, as it is
    try:
        # the archive has no published checksum: each text file in it is checked instead
        archive = pooch.retrieve(URL, known_hash=None, path=folder, fname=ARCHIVE)
    except Exception as error:  # requests, urllib and pooch each raise their own
        raise DataError(
            f"the download of {URL} failed ({type(error).__name__}): check the network, or unpack "
            "the archive yourself and pass --root DIR"
        ) from None
    try:
        extract_checked(Path(archive), checksums(), folder)
    finally:
        Path(archive).unlink(missing_ok=True)


def _source(name: str, letters: str, summary: str) -> Source:
    return Source(
        name=name,
        summary=summary,
        licence="CC BY 4.0 as far as known (UCI Machine Learning Repository)",
        citation="G. M. Weiss, K. Yoneda, T. Hayajneh, Smartphone and smartwatch-based biometrics "
        "using activities of daily living, IEEE Access 7 (2019), doi:10.1109/ACCESS.2019.2940729",
        homepage="https://archive.ics.uci.edu/dataset/507",
        folder=FOLDER,
        classes=tuple(letters),
        channels=("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"),
        units=("m/s2", "m/s2", "m/s2", "rad/s", "rad/s", "rad/s"),
        rate_hz=20.0,
        window=40,
        mirror=0.5,
        val=("1602", "1631", "1633", "1643", "1647"),
        test=("1600", "1607", "1614", "1618", "1624", "1641", "1650"),
        find=_find,
        read=partial(_read, letters=letters),
        fetch=_fetch,
        damaged=_damaged,
    )


SOURCES = [
    _source("wisdm-watch", LETTERS, "18 activities, smartwatch on the wrist, 20 Hz"),
    _source(
        "wisdm-watch-hand",
        HAND,
        "7 activities of the hands (typing, teeth, catch, dribbling, writing, clapping, folding), "
        "smartwatch, 20 Hz",
    ),
]

"""Free Spoken Digit Dataset: the digits from zero to nine, in English, at 8 kHz.

Read from the published WAV files (``recordings/7_jackson_32.wav`` ...) or from one ``digits.npz``.
Samples are shares of the full scale. Clips shorter than a second begin with silence, so that each
has a window, which ends with the word.

Split by speaker in the order of names, which looks at no result: the last one tests, the two before
validate.
"""

from pathlib import Path

import numpy as np

from edgeflow.data.arrays import read_npz
from edgeflow.data.dataset import Recording
from edgeflow.data.source import COPY_AGAIN, Source, by_hand
from edgeflow.data.wav_file import from_silence, full_scale, read_wav
from edgeflow.errors import DataError

CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE_HZ, WINDOW = 8000, 8000


def _find(place: Path) -> Path | None:
    if place.is_file():
        return place if place.suffix == ".npz" else None
    if (place / "digits.npz").is_file():
        return place / "digits.npz"
    folders = (place / "recordings", place)
    return next((folder for folder in folders if any(folder.glob("[0-9]_*_*.wav"))), None)


def _read(place: Path) -> list[Recording]:
    if place.suffix != ".npz":
        return [_clip(path) for path in sorted(place.glob("[0-9]_*_*.wav"))]
    arrays = read_npz(place, ("x", "length", "digit", "speaker"))
    length = arrays["length"]
    if length.sum() != len(arrays["x"]):
        raise DataError(f"{place}: 'length' adds up to {length.sum()}, 'x' has {len(arrays['x'])}")
    parts = np.split(arrays["x"], np.cumsum(length)[:-1])
    return [
        _recording(x, int(digit), str(speaker))
        for x, digit, speaker in zip(parts, arrays["digit"], arrays["speaker"], strict=True)
    ]


def _clip(path: Path) -> Recording:
    digit, speaker, *_ = path.stem.split("_")
    x, rate = read_wav(path, COPY_AGAIN)
    if rate != RATE_HZ or x.shape[1] != 1:
        raise DataError(f"{path}: not one channel at {RATE_HZ} Hz: {COPY_AGAIN}")
    return Recording(from_silence(x, WINDOW), int(digit), speaker)


def _recording(x: np.ndarray, digit: int, speaker: str) -> Recording:
    return Recording(from_silence(full_scale(x)[:, None], WINDOW), digit, speaker)


SOURCES = [
    Source(
        name="spoken-digits",
        summary="digits spoken in English, 6 speakers, 8 kHz",
        licence="CC BY-SA 4.0",
        citation="Z. Jackson et al., Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401",
        homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        folder="spoken-digits",
        classes=CLASSES,
        channels=("audio",),
        units=("full scale",),
        rate_hz=RATE_HZ,
        window=WINDOW,
        val=("theo", "nicolas"),
        test=("yweweler",),
        find=_find,
        read=_read,
        fetch=by_hand(
            "spoken-digits",
            "take the folder 'recordings' of https://github.com/Jakobovski/free-spoken-digit-dataset",
        ),
    )
]

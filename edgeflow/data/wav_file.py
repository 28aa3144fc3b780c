"""Sound: WAV files, and folders of them whose paths say who says what."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.dataset import Recording
from edgeflow.data.folder import files_of, matching
from edgeflow.data.found import Found, ordered_classes
from edgeflow.data.reading import Reading, given
from edgeflow.errors import DataError

#: What paths say by default: a folder for each class, and files that begin with the speaker.
PATTERN = "{label}/{person}_*.wav"
_KIND = (".wav",)


def read_wav(path: Path, remedy: str) -> tuple[NDArray[np.float32], int]:
    """Return samples [time, channels] as shares of the full scale, and their rate.

    Raises
    ------
    DataError
        With the remedy, if it cannot be read, or has not 16 bits.
    """
    try:
        with wave.open(str(path)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            samples = file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError) as error:
        raise DataError(f"{path}: {error or 'it ends too soon'}: {remedy}") from None
    whole = len(samples) // (width * channels) * channels
    if width != 2 or not whole:
        raise DataError(f"{path}: {8 * width} bits, {whole} samples, not some of 16 bits: {remedy}")
    return full_scale(np.frombuffer(samples, "<i2")[:whole].reshape(-1, channels)), rate


def full_scale(x: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return samples as shares of the full scale."""
    shares: NDArray[np.float32] = x.astype(np.float32) / np.float32(32768)
    return shares


def from_silence(x: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Return a clip x [time, channels] that begins with silence, if it is shorter than `length`."""
    return np.pad(x, ((max(length - len(x), 0), 0), (0, 0)))


def is_sound(folder: Path, reading: Reading) -> bool:
    """Tell whether a folder holds sound: by the pattern, or because it has WAV files only."""
    if reading.pattern is not None:
        return reading.pattern.lower().endswith(_KIND)
    return bool(files_of(folder, _KIND)) and not files_of(folder)


def read_sound(folder: Path, reading: Reading) -> Found:
    """Read the WAV files of a folder, one a recording, with windows of a second.

    Shorter clips begin with silence, so that each has a window that ends with it.

    Raises
    ------
    DataError
        If a path does not say person and label, or files differ in rate or channels.
    """
    if wrong := [name for name in given(reading) if name != "--pattern"]:
        raise DataError(f"{folder}: {wrong[0]} is for tables, such as CSV: leave it out")
    parts, notes = matching(folder, files_of(folder, _KIND), reading.pattern or PATTERN)
    if not {"person", "label"} <= set(parts[0].says):
        raise DataError(
            f"{folder}: --pattern '{reading.pattern}' must say person and label: '{PATTERN}'"
        )
    found, first = Found(notes=notes), None
    classes, labels = ordered_classes(str(folder), [part.says["label"] for part in parts])
    for part, label in zip(parts, labels, strict=True):
        x, rate = read_wav(part.path, "write it as WAV of 16 bits, or leave it out")
        form = (rate, x.shape[1])
        first = first or form
        if form != first:
            raise DataError(
                f"{part.path}: {rate} Hz, {x.shape[1]} channels; {parts[0].name}: {first[0]} Hz, "
                f"{first[1]}: bring all to one form"
            )
        found.recordings.append(Recording(from_silence(x, rate), label, part.says["person"]))
        found.where.append(part.name)
    assert first is not None  # there are parts
    rate, channels = first
    found.classes, found.rate_hz, found.window = classes, float(rate), rate
    found.channels = ["audio"] if channels == 1 else [f"audio{i}" for i in range(channels)]
    found.units, found.counts = ["full scale"] * channels, [32768.0] * channels
    return found

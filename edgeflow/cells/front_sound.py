r"""Front end of sound: logarithms of the energies in the bands of the mel scale.

A step reads a hop of samples, as shares of the full scale. The windowed frame that ends with them
has the spectrum :math:`X`, and :math:`y_i = \max(\log_2 \sum_k weight_{ik} |X_k|^2, floor)`.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.cells.cell import Layer
from edgeflow.cells.front import FrontEnd, source_of
from edgeflow.errors import TrainError
from edgeflow.program.fourier import mel_filters
from edgeflow.program.nodes.log_mel import SIZES, hann, log_mel_of
from edgeflow.quantization import Calibration, Converted, Floats

#: Decibels of a factor of two of energy.
OCTAVE_DB = 10 * np.log10(2)
#: Frames that are transformed at a time: those of an hour would take gigabytes.
FRAMES = 4096


@dataclass(frozen=True)
class Mel:
    """Parameters of log-mel energies.

    Attributes
    ----------
    rate_hz : float
        Samples per second.
    hop, frame : int
        Samples of a step, and of the window.
    size : int
        Values that the transform reads.
    bands : int
    low_hz, high_hz : float
        Where the first band begins, and the last one ends.
    floor_db : float
        Least level, below that of a sine of full scale.
    """

    rate_hz: float
    hop: int
    frame: int
    size: int
    bands: int
    low_hz: float
    high_hz: float
    floor_db: float

    @property
    def floor(self) -> float:
        """Least y, in factors of two."""
        return float(2 * np.log2(hann(self.frame, self.size).sum() / 2) + self.floor_db / OCTAVE_DB)


class LogMel(FrontEnd):
    """Log-mel energies [n, time, bands] of samples within +-1 [n, time, hop]."""

    input_format = (2.0**-15, 16)  # int16 samples as they are

    def __init__(self, mel: Mel) -> None:
        super().__init__(mel.hop, mel.bands, 0, mel.hop)
        self.mel = mel
        edges, weight = mel_filters(mel.size, mel.rate_hz, mel.bands, mel.low_hz, mel.high_hz)
        share, bins = weight / 32768, np.arange(1, mel.size // 2)
        self.filters = np.zeros((mel.size // 2 + 1, mel.bands), np.float32)
        for band, (first, centre, last) in enumerate(
            zip(edges, edges[1:], edges[2:], strict=False)
        ):
            rising, falling = (bins >= first) & (bins < centre), (bins >= centre) & (bins < last)
            self.filters[1:-1, band] = rising * share + falling * (1 - share)
        self.window = hann(mel.frame, mel.size).astype(np.float32)

    def values(self, x: Floats, state: Any) -> tuple[Floats, Any]:
        from scipy import fft  # half a second; that of numpy is of float64

        n, time, hop = x.shape
        before = np.zeros((n, self.mel.size - hop)) if state is None else state
        samples = np.concatenate([before, x.reshape(n, -1)], axis=1).astype(np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.mel.size, axis=1)[:, ::hop]
        y = np.empty((n, time, self.mel.bands))
        together = max(FRAMES // n, 1)
        for start in range(0, time, together):
            part = slice(start, start + together)
            spectrum = fft.rfft(frames[:, part] * self.window)
            energy = (np.square(spectrum.real) + np.square(spectrum.imag)) @ self.filters
            y[:, part] = np.log2(np.maximum(energy, np.float32(2.0**self.mel.floor)))
        return y, samples[:, time * hop :]

    def sources(self, channels: Any) -> list[int]:
        return [0] * self.outputs


def convert_log_mel(layer: Any, given: Calibration) -> Converted:
    """Make the node; its outputs are as wide as the input is asked to be."""
    source_of(given)
    mel = layer.mel
    node = log_mel_of(
        given.name, mel.rate_hz, hop=mel.hop, frame=mel.frame, size=mel.size, channels=mel.bands,
        low_hz=mel.low_hz, high_hz=mel.high_hz, floor=mel.floor, bits=given.widths.input,
    )  # fmt: skip
    return layer.converted(node, np.full(mel.bands, 2.0 ** (6 - node.bits)), given)


LOG_MEL = Layer(LogMel, convert_log_mel, pads=True)

#: What a text may say, with the factor to seconds, hertz, bands or decibels.
_UNITS = {
    "hop": {"ms": 1e-3}, "frame": {"ms": 1e-3}, "bands": {"": 1.0}, "floor": {"db": 1.0},
    "from": {"hz": 1.0, "khz": 1e3}, "to": {"hz": 1.0, "khz": 1e3},
}  # fmt: skip
_OPTION = re.compile(r"(\w+)=(-?\d*\.?\d+)([a-z]*)")
_FORM = "log-mel:hop=20ms:frame=30ms:bands=40:from=125hz:to=7500hz:floor=-60db"


def is_log_mel(part: str) -> bool:
    """Tell whether a front end's text is of log-mel energies."""
    return part.strip().lower().split(":")[0] == "log-mel"


def mel_of(text: str, rate_hz: float) -> Mel:
    """Return the parameters in a text like ``log-mel:hop=10ms:bands=20``.

    By default hops of 20 ms and frames of 1.5 hops, the smallest transform that holds them, 40
    bands of transforms from 512 values on, or fewer, from 125 Hz to 95 % of half the rate, and
    -60 dB as the least level.

    Parameters
    ----------
    rate_hz : float
        Samples per second.

    Raises
    ------
    TrainError
        If an option is unknown, or a value is out of range.
    """
    given: dict[str, float] = {}
    for option in text.strip().lower().split(":")[1:]:
        found = _OPTION.fullmatch(option)
        if found is None or found[3] not in _UNITS.get(found[1], ()):
            raise TrainError(f"front '{text}': write {_FORM}, not '{option}'")
        given[found[1]] = float(found[2]) * _UNITS[found[1]][found[3]]
    hop = round(given.get("hop", 0.02) * rate_hz)
    frame = round(given["frame"] * rate_hz) if "frame" in given else hop * 3 // 2
    size = next((size for size in SIZES if size >= frame), 0)
    if not 1 <= hop <= frame or not size or hop >= size:
        raise TrainError(
            f"front '{text}': a hop of {hop} samples and a frame of {frame}, at {rate_hz:g} a "
            f"second: the hop is the shorter one, and the frame of at most {SIZES[-1]}"
        )
    low, high = given.get("from", 125.0), given.get("to", 0.475 * rate_hz)
    bands, floor = given.get("bands", min(40, size * 5 // 64)), given.get("floor", -60.0)
    if bands != int(bands) or not 1 <= bands <= size // 2 or not 0 <= low < high <= rate_hz / 2:
        raise TrainError(
            f"front '{text}': {bands:g} bands from {low:g} to {high:g} Hz: whole numbers up to "
            f"{size // 2}, and frequencies that rise to {rate_hz / 2:g} Hz at most"
        )
    if not -90 <= floor <= 0:
        raise TrainError(f"front '{text}': a floor of {floor:g} dB: it is from -90 to 0")
    return Mel(rate_hz, hop, frame, size, int(bands), low, high, floor)


def hop_of_front(front: str, rate_hz: float) -> int:
    """Return the samples that a step of front ends reads; 0: one, of each channel."""
    first = front.split(",")[0]
    return mel_of(first, rate_hz).hop if is_log_mel(first) else 0

"""Nordic's Power Profiler Kit II: 100,000 samples a second and eight digital lines.

A sample is four bytes, little-endian: the converter in bits 0 to 13, the range of current in 14 to
16, a counter in 18 to 23, the lines in 24 to 31. With the calibration of its range,

    x = (4 adc - O) (1.8 / 163840) / R
    A = UG (x (GS x + GI) + S volts + I)

Published by Nordic as the source of nRF Connect Power Profiler (pc-nrfconnect-ppk).
"""

import re
import time
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from edgeflow.device.probes.base import LineReader, SerialProbe
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError, EnergyError

RATE_HZ = 100_000.0
_START, _STOP, _POWER, _REGULATOR, _MODE, _METADATA = 0x06, 0x07, 0x0C, 0x0D, 0x11, 0x19
_METER, _SOURCE = 1, 2
_VOLTS = 0.8, 5.0
_FULL = 0x3FFF
_RANGES = 5
#: Of the reference's filter: weights of its means, samples that it replaces after a change of
#: range, and the range with the second mean, whose first two samples the means leave out.
_ALPHA, _ALPHA_4, _SPIKE, _WIDE, _LEFT_OUT = 0.18, 0.06, 3, 4, 2
_ROW = re.compile(r"^([A-Z]{1,2})([0-4]): *([-+]?[.\d]+(?:[eE][-+]?\d+)?)\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Calibration:
    """Numbers of a probe's metadata, float64 [5 ranges] each."""

    R: np.ndarray
    GS: np.ndarray
    GI: np.ndarray
    O: np.ndarray  # noqa: E741
    S: np.ndarray
    I: np.ndarray  # noqa: E741
    UG: np.ndarray

    @staticmethod
    def parse(text: str) -> "Calibration":
        """Read ``KEY: value`` lines; what is missing has the value of an ideal probe."""
        values = {
            "R": [1031.64, 101.65, 10.15, 0.94, 0.043], "GS": [1.0] * 5, "GI": [1.0] * 5,
            "O": [0.0] * 5, "S": [0.0] * 5, "I": [0.0] * 5, "UG": [1.0] * 5,
        }  # fmt: skip
        for key, place, number in re.findall(
            r"^([A-Z]{1,2})([0-4]): *([-+.\deE]+)\r?$", text, re.M
        ):
            if key in values and not (key == "R" and float(number) == 0):
                values[key][int(place)] = float(number)
        return Calibration(**{key: np.array(row) for key, row in values.items()})


@dataclass(frozen=True)
class Samples:
    """Decoded samples: amperes float64 [n], lines uint8 [n], ranges uint8 [n]; lost: those missing.

    `clipped` is how many reached the end of the widest range.
    """

    current_a: np.ndarray
    lines: np.ndarray
    lost: int
    clipped: int


def decode(
    data: bytes, calibration: Calibration, volts: float, *, spike_filter: bool = False
) -> Samples:
    """Decode whole samples; what the probe's counter says is missing is NaN.

    Parameters
    ----------
    data : bytes
        A rest of less than four bytes at the end is left out.
    calibration : Calibration
    volts : float
        Of the board's supply.
    spike_filter : bool
        As the reference's client: for 3 samples after a change of range, a mean of those before.
    """
    words = np.frombuffer(data, "<u4", len(data) // 4)
    ranges = np.minimum(words >> 14 & 7, _RANGES - 1)
    clipped = int(np.count_nonzero((words & _FULL == _FULL) & (ranges == _RANGES - 1)))
    x = 4.0 * (words & _FULL)
    x -= calibration.O[ranges]
    x *= (1.8 / 163840 / calibration.R)[ranges]
    current = calibration.UG[ranges] * (
        x * (calibration.GS[ranges] * x + calibration.GI[ranges])
        + (calibration.S * volts + calibration.I)[ranges]
    )
    if spike_filter:
        current = _filtered(current, ranges)
    lines = (words >> 24).astype(np.uint8)
    return _with_gaps(current, lines, words >> 18 & 63, clipped)


def _with_gaps(
    current: np.ndarray, lines: np.ndarray, counter: np.ndarray, clipped: int
) -> Samples:
    """Put NaN where the counter, of six bits, jumps; all 0 is a probe without one."""
    if not counter.any():
        return Samples(current, lines, 0, clipped)
    steps = (counter[1:].astype(np.int64) - counter[:-1]) % 64
    steps[steps == 0] = 64
    places = np.concatenate([[0], np.cumsum(steps)])
    lost = int(places[-1]) + 1 - len(current) if len(current) else 0
    if lost == 0:
        return Samples(current, lines, 0, clipped)
    whole = np.full(places[-1] + 1, np.nan)
    whole[places] = current
    levels = np.repeat(lines, np.append(steps, 1))
    return Samples(whole, levels, lost, clipped)


def _filtered(current: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    n = len(current)
    if n == 0:
        return current
    change = np.flatnonzero(ranges[1:] != ranges[:-1]) + 1
    since = np.full(n, n)
    last = np.zeros(n, dtype=np.int64)
    last[change] = change
    last = np.maximum.accumulate(last)
    since = np.where(last > 0, np.arange(n) - last, n)
    after = since < _SPIKE
    wide = ranges == _WIDE
    taken = ~(after & wide & (since < _LEFT_OUT))
    place = np.maximum(np.cumsum(taken) - 1, 0)

    def mean(alpha: float) -> np.ndarray:
        kept = current[taken]
        start = (1 - alpha) * kept[:1]
        return np.asarray(lfilter([alpha], [1, alpha - 1], kept, zi=start)[0])[place]

    smooth = np.where(wide, mean(_ALPHA_4), mean(_ALPHA))
    return np.where(after, smooth, current)


class Ppk2(SerialProbe):
    NAME = "ppk2"
    ABOUT = "Nordic Power Profiler Kit II, 100 kS/s; its D0 at the marker's pin"
    USB = "1915:c00a"

    def prepare(self) -> None:
        volts = self.options.voltage
        if volts is None:
            raise EnergyError("--probe ppk2: say the board's supply by --voltage, such as 3.0")
        if not _VOLTS[0] <= volts <= _VOLTS[1]:
            raise EnergyError(f"--voltage {volts:g}: the PPK2 has {_VOLTS[0]} to {_VOLTS[1]} V")
        self._volts = volts
        self.line.write(bytes([_STOP]))
        while self.line.read(0.1):  # what it still sends of a recording that was not ended
            pass
        text = self.ask(bytes([_METADATA]), lambda answer: b"END" in answer, 2.0)
        if b"END" not in text or b"R0:" not in text:
            raise DeviceError(
                f"{self.line.name}: no PPK2 answers there: it sent {len(text)} bytes that are not "
                "a PPK2's calibration: check the port (it has two; try the other one)"
            )
        self.calibration = Calibration.parse(text.decode("ascii", "replace"))
        supply = self.options.supply
        self.line.write(bytes([_MODE, _SOURCE if supply else _METER]))
        self.line.write(regulator(volts))
        if supply:
            self.line.write(bytes([_POWER, 1]))
            time.sleep(0.2)

    def start(self) -> None:
        self.reader = LineReader(self.line)
        self.line.write(bytes([_START]))

    def stop(self) -> Recording:
        if self.reader.failure is None:
            self.line.write(bytes([_STOP]))
        data = self.reader.stop()
        return self.recording(data, self.reader.failure)

    def recording(self, data: bytes, failure: str | None = None) -> Recording:
        """Return the recording of what arrived."""
        filtered = self.options.spike_filter
        found = decode(data, self.calibration, self._volts, spike_filter=filtered)
        notes = [failure] if failure else []
        if found.lost:
            notes.append(f"the PPK2 lost {found.lost:,} of {len(found.current_a):,} samples")
        if found.clipped:
            notes.append(
                f"the PPK2's widest range was exceeded in {found.clipped:,} samples: energies are "
                "too low"
            )
        if len(found.current_a) < 2:
            raise EnergyError(failure or f"{self.line.name}: the PPK2 sent no samples")
        digital = {f"D{i}": (found.lines >> i & 1).astype(bool) for i in range(8)}
        return Recording(
            RATE_HZ, found.current_a * self._volts, found.current_a, digital, source="ppk2",
            notes=tuple(notes),
        )  # fmt: skip

    def leave(self) -> None:
        self.line.write(bytes([_STOP]))


def regulator(volts: float) -> bytes:
    """Return the request that sets the supply: mV = 800 + (high - 3) 256 + low - 32."""
    value = round(1000 * volts) - 800 + 32
    return bytes([_REGULATOR, 3 + value // 256, value % 256])

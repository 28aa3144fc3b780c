"""Power of a board whose every joule is known, as probes' programs write it to files."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

VOLTS = 3.0


@dataclass
class Board:
    """A paced run: idle, wake-up, steps of layers; its power is known at any time.

    Attributes
    ----------
    steps, pace_hz
        Of the run; the board's clock is fast by `skew_ppm` of the probe's.
    layers_s, layers_w
        Duration and power of each layer, and of the rest.
    idle_w, wakeup_s, wakeup_w
        Before each step there is a wake-up.
    noise_w
        Spread of a sample's power.
    drift_w
        How much more the power is at the end.
    jitter
        Spread of a step's duration, as a share.
    """

    steps: int = 250
    pace_hz: float = 50.0
    layers_s: tuple[float, ...] = (400e-6, 900e-6, 200e-6, 100e-6)
    layers_w: tuple[float, ...] = (20e-3, 32e-3, 26e-3, 18e-3)
    idle_w: float = 1.2e-3
    wakeup_s: float = 600e-6
    wakeup_w: float = 6e-3
    noise_w: float = 0.4e-3
    drift_w: float = 0.3e-3
    jitter: float = 0.03
    skew_ppm: float = 200.0
    seed: int = 0
    head_s: float = 0.35
    edges: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        period = (1 + self.skew_ppm * 1e-6) / self.pace_hz
        self.begin = self.head_s + (np.arange(self.steps) + 0.05 * rng.random(self.steps)) * period
        scale = 1 + self.jitter * rng.standard_normal(self.steps)
        parts = np.array(self.layers_s) * scale[:, None]
        #: [steps, layers + 1]: begin, and the end of each part
        self.edges = self.begin[:, None] + np.column_stack(
            [np.zeros(self.steps), np.cumsum(parts, axis=1)]
        )
        self.duration_s = float(self.edges[-1, -1] + 0.3)
        times = np.column_stack([self.begin - self.wakeup_s, self.edges])
        powers = np.tile([self.wakeup_w, *self.layers_w, self.idle_w], (self.steps, 1))
        self._times = np.concatenate([[0.0], times.ravel(), [self.duration_s]])
        powers = np.concatenate([[self.idle_w], powers.ravel()])
        self._joules = np.concatenate([[0.0], np.cumsum(powers * np.diff(self._times))])
        self._rng = rng

    def joules(self, seconds: np.ndarray) -> np.ndarray:
        """Energy from the start."""
        drift = 0.5 * self.drift_w / self.duration_s * np.square(seconds)
        return np.asarray(np.interp(seconds, self._times, self._joules) + drift)

    @property
    def step_j(self) -> np.ndarray:
        return self.joules(self.edges[:, -1]) - self.joules(self.edges[:, 0])

    @property
    def layers_j(self) -> np.ndarray:
        return np.diff(self.joules(self.edges), axis=1)

    def power(self, rate_hz: float) -> np.ndarray:
        """Mean power of each sample, with the probe's noise."""
        count = int(self.duration_s * rate_hz)
        sums = self.joules(np.arange(count + 1) / rate_hz)
        return np.diff(sums) * rate_hz + self.noise_w * self._rng.standard_normal(count)

    def lines(self, rate_hz: float, missing: int = 0) -> dict[str, np.ndarray]:
        """Levels of the step's and the layers' line, read 0.3 of a sample after its begin.

        Of `missing` steps the end, or begin and end, is not seen.
        """
        count = int(self.duration_s * rate_hz)
        seconds = (np.arange(count) + 0.3) / rate_hz
        edges = self.edges[:, [0, -1]].copy()
        seen = np.ones((self.steps, 2), dtype=bool)
        lost = np.arange(1, missing + 1) * (self.steps // (missing + 1)) if missing else []
        for number, step in enumerate(lost):
            seen[step, 1] = False
            if number % 2:
                seen[step, 0] = False
            else:  # high until the next one's end
                seen[step + 1, 0] = False
        inside = np.searchsorted(edges[seen], seconds, side="right") % 2 == 1
        marks = np.searchsorted(self.edges[:, 1:-1].ravel(), seconds, side="right") % 2 == 1
        return {"D0": inside, "D1": marks}


def write_power_profiler(path: Path, board: Board, rate_hz: float, form: str = "digits",
                         missing: int = 0) -> Path:  # fmt: skip
    current = board.power(rate_hz) / VOLTS * 1e6
    times = np.arange(len(current)) / rate_hz * 1e3
    lines = board.lines(rate_hz, missing)
    columns, formats = [times, current], ["%.5f", "%.3f"]
    header = "Timestamp(ms),Current(uA)"
    if form == "digits":
        header += ",D0-D7"
        columns.append(lines["D0"] * 10_000_000 + lines["D1"] * 1_000_000)
        formats.append("%08d")
    elif form == "columns":
        header += "".join(f",D{i}" for i in range(8))
        columns += [lines["D0"], lines["D1"], *[np.zeros(len(times))] * 6]
        formats += ["%d"] * 8
    elif form == "bits":
        header += ",Bits"
        columns.append(lines["D0"] + 2 * lines["D1"])
        formats.append("%d")
    np.savetxt(
        path, np.column_stack(columns), fmt=formats, delimiter=",", header=header, comments=""
    )
    return path


def write_table(path: Path, board: Board, rate_hz: float, missing: int = 0) -> Path:
    """As Keysight's and Saleae's programs: some lines, then names with units."""
    power, lines = board.power(rate_hz), board.lines(rate_hz, missing)
    times = np.arange(len(power)) / rate_hz
    header = (
        "Model N6705\nExported,2026-01-02\nTime [s],Current avg 1 (mA),Voltage (V),marker,layers"
    )
    rows = np.column_stack(
        [times, power / VOLTS * 1e3, np.full(len(power), VOLTS), lines["D0"], lines["D1"]]
    )
    np.savetxt(
        path,
        rows,
        fmt=["%.7f", "%.6f", "%.3f", "%d", "%d"],
        delimiter=",",
        header=header,
        comments="",
    )
    return path


def write_sigrok(path: Path, board: Board, rate_hz: float, missing: int = 0) -> Path:
    """As sigrok-cli: the rate in a comment, no times."""
    power, lines = board.power(rate_hz), board.lines(rate_hz, missing)
    header = (f"; CSV generated by libsigrok\n; Samplerate: {rate_hz / 1e3:g} kHz\n"
              "P (mW),D0,D1")  # fmt: skip
    rows = np.column_stack([power * 1e3, lines["D0"], lines["D1"]])
    np.savetxt(path, rows, fmt=["%.5f", "%d", "%d"], delimiter=",", header=header, comments="")
    return path


def write_jls(path: Path, board: Board, rate_hz: float, missing: int = 0) -> Path:
    import pyjls

    current = (board.power(rate_hz) / VOLTS).astype(np.float32)
    lines = board.lines(rate_hz, missing)
    with pyjls.Writer(str(path)) as writer:
        writer.source_def(
            source_id=1, name="probe", vendor="v", model="m", version="1", serial_number="1"
        )
        rate = int(rate_hz)
        for number, name, unit in ((1, "current", "A"), (2, "voltage", "V")):
            writer.signal_def(
                number, 1, sample_rate=rate, name=name, units=unit, data_type=pyjls.DataType.F32
            )
        for number, name in ((3, "gpi[0]"), (4, "gpi[1]")):
            writer.signal_def(number, 1, sample_rate=rate, name=name, data_type=pyjls.DataType.U1)
        writer.fsr_f32(1, 0, current)
        writer.fsr_f32(2, 0, np.full(len(current), VOLTS, dtype=np.float32))
        for number, name in ((3, "D0"), (4, "D1")):
            writer.fsr(number, 0, np.packbits(lines[name], bitorder="little"))
    return path


def write_otii(path: Path, board: Board, rate_hz: float, missing: int = 0) -> Path:
    power, lines = board.power(rate_hz), board.lines(rate_hz, missing)

    def changes(line: np.ndarray) -> list[dict[str, object]]:
        at = np.flatnonzero(line[1:] != line[:-1]) + 1
        return [{"timestamp": 2.5 + i / rate_hz, "value": bool(line[i])} for i in at]

    analog = {"data_type": "analog", "timestamp": 2.5}
    channels = {
        "mc": {**analog, "interval": 1 / rate_hz, "values": (power / VOLTS).tolist()},
        "mv": {**analog, "interval": 0.001, "values": [VOLTS] * int(len(power) * 1e3 / rate_hz)},
        "i1": {"data_type": "digital", "values": changes(lines["D0"])},
        "i2": {"data_type": "digital", "values": changes(lines["D1"])},
    }
    path.write_text(json.dumps(channels))
    return path


def write_lpm01a(path: Path, board: Board, rate_hz: float) -> Path:
    """Currents in ASCII: no digital line, events alone."""
    current = board.power(rate_hz) / VOLTS
    return write_lpm01a_values(path, np.maximum(current, 1e-9), rate_hz, "current")


def write_lpm01a_values(path: Path, values: np.ndarray, rate_hz: float, output: str,
                        events: dict[int, str] | None = None) -> Path:  # fmt: skip
    exponents = np.floor(np.log10(np.maximum(values, 1e-12))).astype(int) - 3
    mantissas = np.rint(values / 10.0**exponents).astype(int)
    over = mantissas > 9999
    mantissas[over] = 1000
    exponents[over] += 1
    lines = [f"PowerShield > ack {said}" for said in
             ("htc", f"output {output}", "format ascii_dec", f"freq {rate_hz / 1e3:g}k", "volt 3000m", "start")]  # fmt: skip
    for i, (m, e) in enumerate(zip(mantissas, exponents, strict=True)):
        lines.append(f"{m:04d}{e:+03d}")
        if i % int(rate_hz) == int(rate_hz) - 1:
            lines.append(f"TimeStamp: {i // int(rate_hz):03d}s 000ms, buff 05%")
        if events and i in events:
            lines.append(f"event 00 {events[i]}")
    lines.append("PowerShield > Acquisition completed")
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


Writer = Callable[..., Path]
#: Formats with digital lines, by name.
WRITERS: dict[str, tuple[Writer, str]] = {
    "power-profiler": (write_power_profiler, ".csv"),
    "table": (write_table, ".csv"),
    "sigrok": (write_sigrok, ".csv"),
    "jls": (write_jls, ".jls"),
    "otii": (write_otii, ".json"),
}

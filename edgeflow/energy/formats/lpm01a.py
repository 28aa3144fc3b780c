"""What ST's power monitor LPM01A sends in ASCII (UM2243), as a log of its line or a file.

A sample is ``mmmm-ee``: 2124-08 is 2.124e-5, of energies joules in the time of a sample, of
currents amperes. ``event N ris`` and ``event N fal`` are edges of its D7, behind the sample in
which they were; ``TimeStamp`` and what answers commands (``ack``) stand between.
"""

import re
from pathlib import Path

import numpy as np

from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.recording import Recording
from edgeflow.errors import EnergyError

NAME = "lpm01a"
ABOUT = "ST X-NUCLEO-LPM01A, its line in ASCII (.txt)"

_SAMPLE = re.compile(r"^(\d{4})([+-]\d{2})$")
_EVENT = re.compile(r"^event\s+(\d+)\s+(ris|fal)", re.IGNORECASE)
_ACK = re.compile(r"^(?:PowerShield\s*>\s*)?ack\s+(\w+)\s*(.*)$")
#: Samples of its energies have a rate of their own; of a log without "freq".
_DEFAULT_HZ = 1000.0


def matches(path: Path, head: bytes) -> bool:
    lines = head.decode("ascii", "replace").split("\n")[:-1] or [""]
    texts = [line.strip() for line in lines]
    known = [bool(_SAMPLE.match(text) or _ACK.match(text)) for text in texts if text]
    return "PowerShield" in texts[0] or (len(known) > 3 and sum(known) >= 0.7 * len(known))


def read(path: Path, options: ReadOptions) -> Recording:
    with path.open(encoding="ascii", errors="replace") as file:
        return recording_of(file.read().splitlines(), path, options)


def recording_of(lines: list[str], path: Path, options: ReadOptions) -> Recording:
    """Return the recording of lines that a monitor sent.

    Raises
    ------
    EnergyError
        If there are no samples, or currents without a voltage.
    """
    told: dict[str, str] = {}
    mantissas: list[int] = []
    exponents: list[int] = []
    edges: list[tuple[int, bool]] = []
    errors = 0
    for line in lines:
        text = line.strip()
        if sample := _SAMPLE.match(text):
            mantissas.append(int(sample[1]))
            exponents.append(int(sample[2]))
        elif event := _EVENT.match(text):
            edges.append((len(mantissas), event[2].lower() == "ris"))
        elif ack := _ACK.match(text):
            told.setdefault(ack[1], ack[2])
        elif text.lower().startswith("error") or "overcurrent" in text.lower():
            errors += 1
    if not mantissas:
        raise EnergyError(f"{path}: no samples of an LPM01A, such as 2124-08")
    values = np.array(mantissas) * 10.0 ** np.array(exponents)
    rate = options.rate_hz or _frequency(told.get("freq", "")) or _DEFAULT_HZ
    notes = (f"the monitor reported {errors} errors: its range was exceeded",) if errors else ()
    seconds = np.array([max(0, at - 1) for at, _ in edges], dtype=np.float64) / rate
    events = {"D7": seconds} if edges else {}
    if told.get("output", "energy").startswith("energy"):
        return Recording(rate, values * rate, events=events, source=str(path), notes=notes)
    volts = options.voltage or _volts(told.get("volt", ""))
    if volts is None:
        volts = options.supply(path)
    return Recording(rate, values * volts, values, events=events, source=str(path), notes=notes)


def _frequency(text: str) -> float | None:
    found = re.match(r"([\d.]+)([kM]?)", text)
    return float(found[1]) * {"": 1, "k": 1e3, "M": 1e6}[found[2]] if found else None


def _volts(text: str) -> float | None:
    """Return the volts of ``1800m`` or ``3``."""
    found = re.match(r"([\d.]+)(m?)", text)
    return float(found[1]) * (1e-3 if found[2] else 1.0) if found else None

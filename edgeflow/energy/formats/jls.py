"""Joulescope's files (.jls), by its library pyjls."""

from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.recording import Recording
from edgeflow.errors import EnergyError, ToolMissingError

NAME = "jls"
ABOUT = "Joulescope (.jls)"
_MAGIC = b"jlsfmt"


def matches(path: Path, head: bytes) -> bool:
    return head.startswith(_MAGIC)


def read(path: Path, options: ReadOptions) -> Recording:
    """Read current, voltage and the general-purpose inputs, which must have one rate."""
    try:
        import pyjls
    except ImportError:
        raise ToolMissingError(
            f"{path}: files of Joulescope need pyjls: pip install 'edgeflow[probes]'"
        ) from None
    try:
        with pyjls.Reader(str(path)) as reader:
            return _read(reader, path, options)
    except (RuntimeError, ValueError) as error:
        raise EnergyError(f"{path}: not a whole .jls file ({error})") from None


def _read(reader: Any, path: Path, options: ReadOptions) -> Recording:
    signals = {one.name: one for one in reader.signals.values() if one.length > 0 and one.name}
    if "current" not in signals:
        raise EnergyError(f"{path}: has no signal 'current'; there are: {', '.join(signals)}")
    first = signals["current"]
    wanted = {name: one for name, one in signals.items() if _is_wanted(name)}
    starts = [one.sample_id_offset for one in wanted.values()]
    ends = [one.sample_id_offset + one.length for one in wanted.values()]
    if len({one.sample_rate for one in wanted.values()}) > 1 or len(set(starts)) > 1:
        raise EnergyError(
            f"{path}: its signals have other rates or starts: record current, voltage and inputs "
            "at one rate"
        )
    size = min(ends) - starts[0]
    values = {name: reader.fsr(one.signal_id, 0, size) for name, one in wanted.items()}
    current = np.asarray(values["current"], dtype=np.float64)
    volts: Any = values.get("voltage")
    volts = options.supply(path) if volts is None else np.asarray(volts, dtype=np.float64)
    digital = {
        name: np.unpackbits(bits, bitorder="little")[:size].astype(bool)
        for name, bits in values.items()
        if name.startswith("gpi")
    }
    return Recording(float(first.sample_rate), current * volts, current, digital, source=str(path))


def _is_wanted(name: str) -> bool:
    return name in ("current", "voltage") or name.startswith("gpi[")

"""Recordings of Qoitech's Otii: what its server answers, as JSON by channel.

That is what `edgeflow profile --probe otii` keeps: ``{"mc": {"timestamp", "interval", "values"},
"mv": {...}, "i1": {"values": [{"timestamp", "value"}]}}`` with amperes, volts and levels, the
fields of ``recording_get_channel_data``. A CSV that Otii's program exported is read as a table.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.recording import Recording
from edgeflow.errors import EnergyError

NAME = "otii"
ABOUT = "Qoitech Otii, channels of its server (.json)"


def matches(path: Path, head: bytes) -> bool:
    return head.lstrip().startswith(b"{") and (b'"mc"' in head or b'"me"' in head)


def read(path: Path, options: ReadOptions) -> Recording:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return recording_of(content, path, options)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise EnergyError(f"{path}: not channels of an Otii recording ({error!r})") from None


def recording_of(channels: Mapping[str, Any], path: Path, options: ReadOptions) -> Recording:
    """Return the recording of channels by name.

    A voltage of a lower rate than the current's holds until the next one.

    Raises
    ------
    EnergyError
        If there is no main current.
    """
    if "mc" not in channels:
        raise EnergyError(f"{path}: no main current (mc); there are: {', '.join(channels)}")
    main = channels["mc"]
    current = np.array(main["values"], dtype=np.float64)
    step, start = float(main["interval"]), float(main["timestamp"])
    times = start + step * np.arange(len(current))
    volts: Any
    if "mv" in channels:
        other = channels["mv"]
        values = np.array(other["values"], dtype=np.float64)
        at = np.floor((times - float(other["timestamp"])) / float(other["interval"]) + 1e-6)
        volts = values[np.clip(at.astype(int), 0, len(values) - 1)]
    else:
        volts = options.supply(path)
    lines = {}
    for name in ("i1", "i2"):
        changes = channels.get(name, {}).get("values", [])
        if changes:
            at = np.searchsorted([change["timestamp"] for change in changes], times, side="right")
            levels = [not changes[0]["value"], *(change["value"] for change in changes)]
            lines[name] = np.array(levels, dtype=bool)[at]
    return Recording(1 / step, current * volts, current, lines, source=str(path))

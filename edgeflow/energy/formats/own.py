"""What EdgeFlow keeps of a probe's recording (.npz): written by `write`, read by `read`."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.recording import Recording
from edgeflow.errors import EnergyError
from edgeflow.files import write_atomic

NAME = "edgeflow"
ABOUT = "what 'edgeflow profile --probe' keeps (.npz)"
_LINE = "line_"


def matches(path: Path, head: bytes) -> bool:
    return head.startswith(b"PK") and b"power_w.npy" in head


def write(recording: Recording, path: Path) -> None:
    """Write a recording: float32 watts, and a bit a sample of each line that ever changes."""
    lines = {
        _LINE + name: np.packbits(line)
        for name, line in recording.digital.items()
        if line.any() and not line.all()
    }
    content: dict[str, Any] = {
        "power_w": recording.power_w.astype(np.float32),
        "rate_hz": recording.rate_hz,
        "notes": np.array(recording.notes, dtype=str),
        **{f"event_{name}": at for name, at in recording.events.items()},
        **lines,
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    write_atomic(path, buffer.getvalue())


def read(path: Path, options: ReadOptions) -> Recording:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            content = {name: found[name] for name in found.files}
        power = content["power_w"].astype(np.float64)
        digital = {
            name.removeprefix(_LINE): np.unpackbits(bits)[: len(power)].astype(bool)
            for name, bits in content.items()
            if name.startswith(_LINE)
        }
        events = {name[6:]: at for name, at in content.items() if name.startswith("event_")}
        return Recording(
            float(content["rate_hz"]), power, None, digital, events, str(path),
            tuple(map(str, content["notes"])),
        )  # fmt: skip
    except Exception as error:  # of zip, zlib and numpy there are many kinds
        raise EnergyError(f"{path}: not a whole recording of EdgeFlow ({error})") from None

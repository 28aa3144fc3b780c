"""CSV of Nordic's nRF Connect Power Profiler, in its forms.

``Timestamp(ms),Current(uA)``, and nothing more, ``D0-D7`` (eight digits, D0 first), ``D0`` to
``D7``, or ``Bits`` (a number, D0 the lowest bit) of older versions.
"""

from pathlib import Path

import numpy as np

from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.recording import Recording
from edgeflow.energy.rows import read_rows, steady
from edgeflow.errors import EnergyError

NAME = "power-profiler"
ABOUT = "nRF Connect Power Profiler (.csv)"
_BEGIN = "Timestamp(ms),Current(uA)"


def matches(path: Path, head: bytes) -> bool:
    return head.decode("utf-8", "replace").lstrip("\ufeff").startswith(_BEGIN)


def read(path: Path, options: ReadOptions) -> Recording:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline().strip().split(",")
    if ",".join(header[:2]) != _BEGIN:
        raise EnergyError(f"{path}: line 1: must begin with {_BEGIN}")
    volts = options.supply(path)
    rows = read_rows(path, skip=1, columns=len(header))
    if not (np.abs(rows) < 1e15).all():
        raise EnergyError(f"{path}: a value is not finite")
    current = rows[:, 1] * 1e-6
    lines = _lines(path, header[2:], rows[:, 2:])
    grid = steady(path, rows[:, 0] * 1e-3)
    return Recording(
        grid.rate_hz, grid.analog(current) * volts, grid.analog(current),
        {name: grid.digital(values) for name, values in lines.items()}, source=str(path),
        notes=grid.notes,
    )  # fmt: skip


def _lines(path: Path, names: list[str], values: np.ndarray) -> dict[str, np.ndarray]:
    if names == ["D0-D7"]:
        digits = values[:, 0].astype(np.int64)
        return {f"D{i}": digits // 10 ** (7 - i) % 10 == 1 for i in range(8)}
    if names == ["Bits"]:
        bits = values[:, 0].astype(np.int64)
        return {f"D{i}": (bits >> i & 1).astype(bool) for i in range(8)}
    unknown = [name for name in names if name not in {f"D{i}" for i in range(8)}]
    if unknown:
        raise EnergyError(f"{path}: line 1: column '{unknown[0]}' is none of the Power Profiler's")
    return {name: values[:, i] > 0.5 for i, name in enumerate(names)}

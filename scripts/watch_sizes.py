"""Measures what apps of watches take, for the table of docs/watches.md.

    python scripts/watch_sizes.py              writes benchmarks/watches.json
    python scripts/docs_tables.py              then writes the table

The models have 32 units, 3 inputs, 7 outputs and random weights: sizes do not depend on
values. That of int4 is exported with ``--optimize size``, as faster kernels have it in int8.
"""

import base64
import json
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgeflow  # noqa: E402
from tests.parity.export.watch_builds import infinitime_bytes, pebble_bytes  # noqa: E402
from tests.parity.export.watch_programs import watch_program  # noqa: E402

RESULTS = ROOT / "benchmarks" / "watches.json"


def measure(*, int4: bool) -> dict[str, int]:
    """Return bytes by what they are of."""
    program = watch_program(int4=int4)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for to in ("pebble", "infinitime", "banglejs", "wearos"):
            edgeflow.export(
                program, to, folder / to, name="gait", optimize="size" if int4 else "balanced"
            )
        (folder / "objects").mkdir()
        (text,) = re.findall(r'atob\("(.+)"\)', (folder / "banglejs" / "gait.bin.js").read_text())
        libraries = folder / "wearos" / "app" / "src" / "main" / "jniLibs"
        sizes = {
            "pebble": pebble_bytes(folder / "pebble", folder / "objects"),
            "infinitime": infinitime_bytes(folder / "infinitime", "gait", folder / "objects"),
            "banglejs": len(base64.b64decode(text)),
        }
        for kind in ("arm64-v8a", "armeabi-v7a"):
            sizes[kind] = (libraries / kind / "libgait.so").stat().st_size
    return sizes


def main() -> None:
    """Measure both models."""
    found = {"int8": measure(int4=False), "int4": measure(int4=True)}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

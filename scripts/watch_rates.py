"""What a model loses where a watch samples at another rate, for the table of docs/watches.md.

    C="--data wisdm-watch-hand --channels acc_x,acc_y,acc_z"
    edgeflow train $C --hidden 32 --epochs 6 -o runs/hand
    edgeflow compress runs/hand $C -o hand.onnx
    python scripts/watch_rates.py hand.onnx    writes benchmarks/watch_rates.json
    python scripts/docs_tables.py              then writes the table

Recordings of the test subjects are resampled to a watch's rate by a polyphase filter, and back by
what apps do, which the tests compare with their C.
"""

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgeflow  # noqa: E402
from tests.parity.export.watch_programs import stream  # noqa: E402

RESULTS = ROOT / "benchmarks" / "watch_rates.json"
DATA = "wisdm-watch-hand"
#: Of watches, in samples per second.
RATES = (10.0, 12.5, 25.0, 50.0, 100.0)


def main() -> None:
    """Measure one model at each rate."""
    program = edgeflow.load(sys.argv[1])
    data = edgeflow.load_dataset(DATA, channels=program.input.channels)
    rate = program.rate_hz
    recordings = [one for one in data.recordings if one.person in data.people["test"]]
    right, same, windows = (dict.fromkeys((rate, *RATES), 0) for _ in range(3))
    for one in recordings:
        itself: list[int] = []
        for other in (rate, *RATES):
            ratio = Fraction(other / rate).limit_denominator(100)
            x = one.x
            if ratio != 1:
                x = resample_poly(x, ratio.numerator, ratio.denominator, axis=0, padtype="line")
            time = (np.arange(len(x)) * 1e6 / other).astype(np.int64)
            found = [int(np.argmax(y)) for y in stream(program, x.astype(np.float32), time)]
            itself = found if other == rate else itself
            both = list(zip(found, itself, strict=False))
            right[other] += sum(label == one.label for label, _ in both)
            same[other] += sum(label == own for label, own in both)
            windows[other] += len(both)
    rows = [
        {
            "rate_hz": other,
            "windows": windows[other],
            "accuracy": right[other] / windows[other],
            "same": same[other] / windows[other],
        }
        for other in (rate, *RATES)
    ]
    content = {"data": DATA, "model_hash": program.hash.hex(), "rate_hz": rate, "rates": rows}
    RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

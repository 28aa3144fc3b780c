"""Spoken digits with a speaker left out in turn: the table in docs/benchmarks.md.

python scripts/digit_voices.py -o voices
python scripts/spoken_digits.py --root DATA [--voices voices] [--seed 0] [--only lucas] [--compress]

The next speaker by name validates, the others train, with synthetic voices if they are given. The
last epoch is kept; options are chosen on validation speakers only. Prints the accuracy of each test
speaker over ten classes, one decision a clip.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.compression.evaluate import compress_model  # noqa: E402
from edgeflow.data import load_dataset  # noqa: E402
from edgeflow.data.dataset import everybody  # noqa: E402
from edgeflow.training import train  # noqa: E402

#: As `edgeflow train` has them.
OPTIONS: dict[str, Any] = {
    "front": "log-mel:floor=-80db,highpass=1hz,difference", "hidden": 48, "epochs": 16,
    "batch": 64, "keep": "last", "scale": 0.5, "noise": 0.3, "dropout": 0.4,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--voices", help="folder of synthetic speakers, who train, too")
    parser.add_argument("--epochs", type=int, default=OPTIONS["epochs"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="this test speaker")
    parser.add_argument("--compress", action="store_true", help="accuracy of the integers, too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    speakers = everybody(load_dataset("spoken-digits", root=given.root).recordings)
    found = []
    for i, test in enumerate(speakers):
        if given.only in (None, test):
            val = speakers[(i + 1) % len(speakers)]
            people = {
                "train": [one for one in speakers if one not in (test, val)],
                "val": [val],
                "test": [test],
            }
            found.append(_accuracies(test, people, given))
    print("mean", *(f"{100 * value:.1f} %" for value in np.mean(found, axis=0)), flush=True)


def _accuracies(test: str, people: dict[str, list[str]], given: argparse.Namespace) -> list[float]:
    """Return the accuracy of validation and test speaker and, to compress, of the integers."""
    data = load_dataset("spoken-digits", root=given.root, people=people, more=given.voices)
    options = {**OPTIONS, "epochs": given.epochs, "seed": given.seed}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        metrics = train(data, "gru", out=run, **options).metrics
        found = [metrics[split]["accuracy"] for split in ("val", "test")]
        if given.compress:
            from edgeflow.recipes.apply import for_model

            scores = compress_model(run, for_model(data, run)).scores
            found.append(scores["accuracy_int"])
    print(f"{test} (val {people['val'][0]})", *(f"{100 * v:.1f} %" for v in found), flush=True)
    return found


if __name__ == "__main__":
    main()

"""Measures how long a search's proposal takes with many trials stored.

python scripts/search_asks.py [--trials 1000] [--sampler tpe]
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from edgeflow.search.space import read_space
from edgeflow.search.study import Study, Told

#: Proposals that are timed.
ASKS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sampler", default="tpe")
    given = parser.parse_args()
    space, rng = read_space(None), np.random.default_rng(0)
    ways = {"accuracy": "maximize", "instructions": "minimize"}
    with tempfile.TemporaryDirectory() as folder:
        # what is stored comes by chance, as that is soon done
        study = Study(Path(folder) / "study.db", space, ways, "random", 0)
        for number in range(given.trials):
            asked = study.ask()
            size = float(asked.point["model.hidden"])
            excess = {"instructions": size / 48 - 1}
            if excess["instructions"] > 0:
                study.tell(Told(number, asked.point, "rejected", (), excess), begun=False)
                continue
            values = (1 - 2 / size - 0.1 * rng.random(), size**2)
            study.tell(Told(number, asked.point, "complete", values, excess), begun=False)
        study = Study(Path(folder) / "study.db", space, ways, given.sampler, 0)
        clock, processor = [], []
        for _ in range(ASKS):
            begun = time.monotonic(), time.process_time()
            study.ask()
            clock.append(time.monotonic() - begun[0])
            processor.append(time.process_time() - begun[1])
    print(f"{given.sampler}, {given.trials} trials: an ask takes {np.median(processor):.3f} s of a "
          f"core, at most {max(processor):.3f}; on the clock {np.median(clock):.3f} s")  # fmt: skip


if __name__ == "__main__":
    main()

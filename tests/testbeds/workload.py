"""A program and recordings for it, small enough for every testbed."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeflow.program import Program
from tests.random_programs import random_program

WINDOW, WINDOWS = 20, 100
STEPS = WINDOW * WINDOWS


def program() -> Program:
    """Return a random recurrent program that knows three classes."""
    made = random_program(3, 3, [8], 3, 12, 12)
    return replace(made, classes=("run", "sit", "walk"), window=WINDOW, rate_hz=20.0)


def recordings(path: Path) -> Path:
    """Write random recordings, a window each, of three persons: `STEPS` are of the test split."""
    count = 3 * WINDOWS
    np.savez(
        path,
        x=np.random.default_rng(0).normal(0, 200, (count, WINDOW, 3)).astype(np.float32),
        y=np.arange(count) % 3,
        person=np.repeat(["p0", "p1", "p2"], WINDOWS),
        classes=np.array(["run", "sit", "walk"]),
        channels=np.array(["x0", "x1", "x2"]),
        rate_hz=20.0,
    )
    return path

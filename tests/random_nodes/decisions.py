"""Random layers behind a program."""

from collections.abc import Callable

import numpy as np

from edgeflow.program import Node
from edgeflow.program.nodes import (
    Count,
    Detect,
    MovingMean,
    Residual,
)
from edgeflow.program.nodes.moving_mean import reciprocal


def random_detect(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    size = seen.shape[1]
    low, high = np.sort(np.quantile(seen, rng.uniform(0.3, 0.9, (2, size))), axis=0)
    if extreme:
        low, high = np.sort(rng.choice([-32768, -1, 0, 32767], (2, size)), axis=0)
    steps = int(rng.integers(1, 6))
    return Detect(
        name, high.astype(np.int16), low.astype(np.int16), size,
        relative=int(size > 1 and rng.integers(2)), shift=int(rng.integers(16 if extreme else 3)),
        needed=int(rng.integers(1, steps + 1)), steps=steps, refractory=int(rng.integers(9)),
    )  # fmt: skip


def random_count(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    channel = int(rng.integers(seen.shape[1]))
    low, high = np.sort(np.quantile(seen[:, channel], rng.uniform(0.2, 0.8, 2)))
    if extreme:
        low, high = np.sort(rng.choice([-32768, -1, 0, 32767], 2))
    return Count(name, seen.shape[1], channel, int(high), int(low), int(rng.integers(5)))


def random_mean(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    steps = int(rng.integers(2, 20))
    return MovingMean(name, seen.shape[1], 16, steps, reciprocal(steps))


def random_residual(rng: np.random.Generator, name: str, seen: np.ndarray, extreme: bool) -> Node:
    size = seen.shape[1] // 2
    weight = np.floor(rng.dirichlet(np.ones(size)) * (1 << 15)).clip(0, 32767).astype(np.int16)
    learn = int(rng.choice([0, 32767])) if extreme else int(rng.integers(25))
    return Residual(
        name, weight, size, up=int(rng.integers(16 if extreme else 2)),
        horizon=int(rng.integers(4)), change=int(rng.integers(2)), shift=int(rng.integers(16 if extreme else 4)), learn=learn,
        wait=int(rng.integers(9)), gain=65535 if extreme else int(rng.integers(2000, 7000)),
        threshold=int(rng.integers(2)) * int(np.abs(seen).mean()),
        keep=int(rng.integers((1 << 15) + 1)),
    )  # fmt: skip


#: Layers behind a program, for what its outputs [n, outputs] are.
DECISIONS: dict[str, Callable[..., Node]] = {
    "detect": random_detect, "count": random_count, "mean": random_mean,
    "residual": random_residual,
}  # fmt: skip

"""Runs that repeat to the bit: seeds, deterministic kernels, a fixed number of threads."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def repeatable(seed: int, threads: int) -> Iterator[None]:
    """Seed all generators and fix torch's threads; put everything back afterwards.

    The number of threads matters since sums are divided among them, and the order of a sum
    changes its last bits.
    """
    before = rng_states()
    old_threads = torch.get_num_threads()
    # `use_deterministic_algorithms` does the same, and imports the compiler: two seconds
    deterministic = torch.get_deterministic_debug_mode()
    try:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode("error")
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield
    finally:
        set_rng_states(before)
        torch.set_num_threads(old_threads)
        torch.set_deterministic_debug_mode(deterministic)


def rng_states() -> dict[str, Any]:
    """Return the states of the generators of torch, numpy and Python, as plain values."""
    state: tuple[Any, ...] = np.random.get_state(legacy=True)  # type: ignore[assignment]
    kind, keys, position, has_gauss, gauss = state
    version, internal, next_gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, list(internal), next_gauss],
    }


def set_rng_states(states: dict[str, Any]) -> None:
    """Go back to states of :func:`rng_states`."""
    torch.set_rng_state(states["torch"])
    kind, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, next_gauss = states["python"]
    random.setstate((version, tuple(internal), next_gauss))

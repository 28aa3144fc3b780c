"""Random front ends."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program import Node
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes import (
    Difference,
    Gravity,
    Magnitude,
)
from edgeflow.program.nodes.biquad import biquad_of
from edgeflow.program.nodes.log_mel import SIZES, log_mel_of
from edgeflow.program.sections import Cascade
from tests.random_nodes.matrices import random_range


def random_magnitude(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                     state_bits: int, extreme: bool) -> Node:  # fmt: skip
    first, count = random_range(rng, width)
    most = min(count, (2**32 - 1) // largest_magnitude(bits) ** 2)
    group = int(rng.integers(1, most + 1))
    shift = int(rng.choice([0, 0, 1, rng.integers(bits)]))
    return Magnitude(name, width, bits, first, count // group, group, int(rng.integers(2)), shift)


def random_difference(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                      state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return Difference(name, width, bits, *random_range(rng, width), int(rng.integers(2)))


def random_gravity(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                   state_bits: int, extreme: bool) -> Node:  # fmt: skip
    rate = rng.choice([1, 32767]) if extreme else 2 ** rng.uniform(5, 15)
    return Gravity(name, width, bits, *random_range(rng, width), int(rate))


def random_biquad(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                  state_bits: int, extreme: bool) -> Node:  # fmt: skip
    part = random_range(rng, width)
    while True:
        with suppress(ProgramError):  # its gains are not of the kind that fits
            return biquad_of(name, width, bits, *part, random_sections(rng, extreme))


def random_sections(rng: np.random.Generator, extreme: bool) -> NDArray[np.float64]:
    """Return second-order sections of a filter as loud as its input."""
    sections = int(rng.integers(1, 5))
    radius = rng.choice([0.0, 0.995], sections) if extreme else rng.uniform(0, 0.98, sections)
    pole = radius * np.exp(1j * rng.uniform(0, np.pi, sections))
    zero = rng.uniform(0.5, 1, sections) * np.exp(1j * rng.uniform(0, np.pi, sections))
    ones = np.ones(sections)
    sos = np.stack(
        [ones, -2 * zero.real, abs(zero) ** 2, ones, -2 * pole.real, abs(pole) ** 2], axis=1
    )
    sos[0, :3] /= Cascade.of_sos(sos).gains()[-1] / rng.uniform(1, 3)
    return sos


def random_log_mel(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                   state_bits: int, extreme: bool) -> Node:  # fmt: skip
    points = next(number for number in SIZES if number > width)
    channels = int(rng.integers(1, 13))
    made = log_mel_of(
        name, 16e3, hop=width, frame=points, size=points, channels=channels, low_hz=0.0,
        high_hz=8e3, bits=state_bits, floor=float(rng.uniform(-40, 10)),
    )  # fmt: skip
    window = np.full(points, 32767) if extreme else rng.integers(0, 32768, points)
    edges = np.sort(rng.integers(1, points // 2 + 1, channels + 2))
    weight = rng.choice([0, 32767], points // 2 - 1) if extreme else made.weight
    return replace(
        made, window=window.astype(np.int16), edges=edges.astype(np.int16),
        weight=weight.astype(np.int16),
    )  # fmt: skip

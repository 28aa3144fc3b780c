"""Log-mel energies over as many frames as a device sees in half an hour.

It alone would catch a frame that sums or shifts take wrong where random samples do not come near:
silence, full scale, tones of one bit, and what lies between them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeflow.program import InputFormat, Program
from edgeflow.program.nodes.log_mel import log_mel_of
from tests.harness import Case, mismatches, none_of

RATE, HOP = 16e3, 160


def program_of(bits: int) -> Program:
    node = log_mel_of(
        "mel", RATE, hop=HOP, frame=400, size=512, channels=40, low_hz=60.0, high_hz=7800.0,
        bits=bits,
    )  # fmt: skip
    ones, names = np.ones(HOP, np.float32), tuple(f"s{i}" for i in range(HOP))
    return Program((node,), InputFormat(0 * ones, ones, 16, names), 1.0)


def sound(streams: int, frames: int) -> np.ndarray:
    """Return int16 [streams, frames, HOP]: each stream of one kind, of levels in between."""
    rng, n = np.random.default_rng(1), frames * HOP
    t, kind = np.arange(n), np.arange(streams)[:, None] % 8
    level = 2.0 ** rng.uniform(0, 15, (streams, 1))
    tone = np.sin(2 * np.pi * rng.uniform(20, 7900, (streams, 1)) * t / RATE)
    noise = rng.normal(0, 0.3, (streams, n))
    bursts = noise * (t // rng.integers(50, 5000, (streams, 1)) % 2)
    square = np.sign(tone) * 32768
    x = np.select(
        [kind == 0, kind == 1, kind == 2, kind == 3, kind == 4, kind == 5, kind == 6],
        [0.0, square, level * tone, level * noise, level * bursts, 32768.0 * bursts,
         rng.integers(-1, 2, (streams, n))], 1e5 * noise,
    )  # fmt: skip
    return np.clip(np.round(x), -32768, 32767).astype(np.int16).reshape(streams, frames, HOP)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_c_equals_oracle(run_c: Callable[..., np.ndarray], bits: int) -> None:
    program, x = program_of(bits), sound(24, 20)
    np.testing.assert_array_equal(run_c(program, x), program.run(x))


@pytest.mark.slow
def test_c_equals_oracle_in_100_000_frames(run_c: Callable[..., np.ndarray]) -> None:
    program, x = program_of(16), sound(1000, 100)
    np.testing.assert_array_equal(run_c(program, x), program.run(x))


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m4", "qemu-m0", "qemu-m55"])
def test_board_equals_oracle_in_2_000_frames(board: str, tmp_path: Path) -> None:
    cases = {"sound": Case(program_of(12), x=sound(80, 25))}
    assert mismatches(board, cases, tmp_path) == none_of(cases)

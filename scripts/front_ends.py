"""Counts the instructions of front ends, a step of each: the table in docs/front-ends.md.

    python scripts/front_ends.py [--board qemu-m4 ...] [--steps 20]

Steps whose outputs differ from the reference's end the script with 1.
"""

import argparse

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edgeflow.bench.measure import measure_layer
from edgeflow.program.nodes import Difference, Gravity, Magnitude, Node
from edgeflow.program.nodes.biquad import biquad_of
from edgeflow.program.nodes.log_mel import log_mel_of
from edgeflow.targets.board import load_board

BOARDS = ("qemu-m0", "qemu-m4", "qemu-m55", "qemu-rv32", "qemu-a53")


def band(order: int) -> NDArray[np.float64]:
    """Return a band-pass of `order` sections, 0.5 to 10 Hz of 50 samples a second."""
    sos: NDArray[np.float64] = signal.butter(order, [0.5, 10], "bandpass", fs=50, output="sos")
    return sos


def front_ends() -> dict[str, Node]:
    """Return what is measured, by name."""
    return {
        "magnitude of 1 vector of 3": Magnitude("front", 3, 12, 0, 1, 3),
        "difference of 3 values": Difference("front", 3, 12, 0, 3),
        "gravity of 3 values": Gravity("front", 3, 12, 0, 3, 1214),
        "biquad, 1 section, 3 values": biquad_of("front", 3, 12, 0, 3, band(1)),
        "biquad, 4 sections, 3 values": biquad_of("front", 3, 12, 0, 3, band(4)),
        "log-mel, 20 x FFT 256, hop 80": mel(8e3, 80, 200, 256, 20),
        "log-mel, 40 x FFT 512, hop 320": mel(16e3, 320, 480, 512, 40),
        "log-mel, 40 x FFT 1024, hop 512": mel(16e3, 512, 1024, 1024, 40),
    }


def mel(rate: float, hop: int, frame: int, size: int, channels: int) -> Node:
    """Return a front end of sound from 125 Hz on."""
    return log_mel_of(
        "front", rate, hop=hop, frame=frame, size=size, channels=channels, low_hz=125.0,
        high_hz=rate / 2 * 0.95,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", help=f"default: {', '.join(BOARDS)}")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", default="", help="front ends whose name begins so")
    given = parser.parse_args()
    boards = given.board or BOARDS
    wrong = 0
    print(f"| front end | {' | '.join(boards)} |\n| --- |{' --- |' * len(boards)}")
    for name, node in front_ends().items():
        if not name.startswith(given.only):
            continue
        top = (1 << (node.input_bits - 1)) - 1
        walk = np.random.default_rng(0).normal(0, 0.2 * top, (given.steps, node.inputs))
        x = np.clip(np.round(walk), -top, top).astype(np.int16)
        row = [measure_layer(node, load_board(board), x) for board in boards]
        wrong += sum(found.mismatches for found in row)
        print(f"| {name} | {' | '.join(f'{found.instructions:,.0f}' for found in row)} |")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()

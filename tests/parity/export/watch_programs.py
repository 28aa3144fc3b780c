"""Programs for watches, samples of their sensors, and what an app must make of these."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.program import InputFormat, Matrix, Program
from edgeflow.program.reader import Reader
from tests.random_programs import random_program

#: Of a window in tests: short ones need short streams.
WINDOW = 20


def watch_program(*, int4: bool = False, rate_hz: float = 50.0, gyroscope: bool = False) -> Program:
    """Return a GRU of 32 units with random parameters on sensors in m/s² (and degrees per second)."""
    channels = ("acc_x", "acc_y", "acc_z", *(("gyr_x", "gyr_y", "gyr_z") if gyroscope else ()))
    program = random_program(5, len(channels), [32], 7, 12, 12)
    form = InputFormat(
        np.linspace(-1, 2, len(channels)).astype(np.float32),
        np.linspace(0.01, 0.02, len(channels)).astype(np.float32),
        12,
        channels,
    )
    units = ["m/s²"] * 3 + (["deg/s"] * 3 if gyroscope else [])
    nodes = program.nodes
    if int4:
        nodes = tuple(
            replace(node, **{name: _narrow(matrix) for name, matrix in node.matrices().items()})
            for node in nodes
        )
    return replace(
        program, nodes=nodes, input=form, classes=tuple("ABCDEFG"), window=WINDOW, rate_hz=rate_hz,
        metadata={"units": units},
    )  # fmt: skip


def _narrow(matrix: Matrix) -> Matrix:
    return replace(matrix, weight=np.clip(matrix.weight // 16, -7, 7).astype(np.int8))


def stream(program: Program, raw: NDArray[np.float32], time_us: NDArray[np.int64]) -> list[tuple]:
    """Return the outputs of each decision on samples raw [time, channels], in the model's units.

    Times are in microseconds, without gaps. It states what ``NAME_stream.c`` does: linear
    interpolation of quantized samples with weights of 1/4096.
    """
    x = program.quantize_input(raw).astype(np.int64)
    found = [x[0]]
    while (at := time_us[0] + len(found) * 10**9 // round(program.rate_hz * 1000)) <= time_us[-1]:
        after = int(np.searchsorted(time_us, at))
        before, span = time_us[after - 1], time_us[after] - time_us[after - 1]
        weight = (((at - before) << 12) + span // 2) // span
        scaled = (x[after] - x[after - 1]) * weight
        part = np.trunc((scaled + np.where(scaled < 0, -2048, 2048)) / 4096).astype(np.int64)
        found.append(x[after - 1] + part)
    values = np.array(found, np.int16)
    if not program.window:
        return [tuple(map(int, y)) for y in program.run(values[None])[0]]
    if program.hop:
        reader, decided = Reader(program), []
        for sample in values:
            y = reader.step(sample[None])[0]
            decided += [tuple(map(int, y))] if reader.due else []
        return decided
    whole = len(values) // program.window
    if not whole:
        return []
    windows = values[: whole * program.window].reshape(whole, program.window, -1)
    return [tuple(map(int, y)) for y in program.run(windows)[:, -1]]


def movement(samples: int, channels: int, seed: int = 0) -> NDArray[np.float32]:
    """Return a walk of the wrist in m/s² and degrees per second, beyond the model's range at times."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 1.5, (samples, channels)), axis=0)
    return (x - x.mean(axis=0)).astype(np.float32)

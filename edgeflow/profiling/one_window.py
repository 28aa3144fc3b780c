"""Cycles of a step before there are any data: counted on a window of noise."""

import numpy as np

from edgeflow.codegen.build import Build
from edgeflow.files import scratch_folder
from edgeflow.profiling.counted import counted_steps
from edgeflow.profiling.models import estimate_cycles, load_cycle_model
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import estimated_part

#: Samples of a program without windows, and the most of others.
_SAMPLES = 256


def cycles_on_noise(build: Build, board: BoardSpec) -> float | None:
    """Run a build for a window of noise, and estimate the cycles of a step on the board's part.

    Layers that skip what did not change, or does not spike, have more to do than on recordings.

    Parameters
    ----------
    build : Build
    board : BoardSpec
        An emulated one, that of the build.

    Returns
    -------
    float or None
        The mean; None if the board has no such part or cycle model.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        If the emulator or a tool is missing, or the image does not answer.
    """
    part, model = estimated_part(board), load_cycle_model(board.core.name)
    if part is None or model is None or board.emulator is None:
        return None
    program = build.program()
    limit = symmetric_max(program.input.bits)
    shape = (min(program.window or _SAMPLES, _SAMPLES), program.inputs)
    x = np.random.default_rng(0).integers(-limit, limit + 1, shape).astype(np.int16)
    with scratch_folder("noise") as folder:
        _, counts = counted_steps(board, build.elf, build.expected, x, folder)
    cycles = estimate_cycles(counts, model, part)
    return None if cycles is None else float(cycles.sum(axis=1).mean())

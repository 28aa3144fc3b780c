"""The cost of raw samples as integers on an emulated board, which no step counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.image import compile_image, frame_size
from edgeflow.codegen.quantizer import SOURCES, quantizer_library
from edgeflow.codegen.render import write
from edgeflow.files import scratch_folder
from edgeflow.profiling.counted import counted_steps
from edgeflow.profiling.models import estimate_cycles, load_cycle_model
from edgeflow.program import Program
from edgeflow.program.counts import CountsFormat
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import estimated_part

#: Samples that it is measured on, spread over all.
_SAMPLES = 64


def quantizer_cost(
    program: Program,
    board: BoardSpec,
    x: NDArray[np.float32],
    counts: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Run ``model_quantize`` in an image of its own, and ``model_quantize_counts`` in another.

    Parameters
    ----------
    program : Program
    board : BoardSpec
        An emulated one.
    x : float32 array [..., channels]
        Raw samples, of which some are taken.
    counts : sequence of float, optional
        Counts per unit of the sensor of each channel.

    Returns
    -------
    dict
        As `ProfileResult.quantizer`.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        If the image cannot be made or does not answer.
    """
    samples = np.ascontiguousarray(x.reshape(-1, program.inputs), dtype="<f4")
    samples = samples[:: -(-len(samples) // _SAMPLES)]
    found = _measured(program, board, samples.view("<i2"), program.quantize_input(samples), None)
    if counts is not None:
        form = CountsFormat.of(program.input, counts)
        limit = 2**15 - 1
        of_sensor = np.clip(np.nan_to_num(samples * np.asarray(counts)), -limit, limit)
        of_sensor = np.rint(of_sensor).astype(np.int16)
        found["counts"] = _measured(program, board, of_sensor, form.quantize(of_sensor), form)
    return found


def _measured(
    program: Program,
    board: BoardSpec,
    x: NDArray[np.int16],
    expected: NDArray[np.int16],
    form: CountsFormat | None,
) -> dict[str, Any]:
    """Return the cost of samples, given as the image's inputs and as what it must make of them."""
    part, model = estimated_part(board), load_cycle_model(board.core.name)
    with scratch_folder("quantizer") as folder:
        write(quantizer_library(program, form), folder)
        frame = frame_size(board, x.shape[1], program.inputs)
        elf, _ = compile_image(board, folder, SOURCES, (), frame)
        y, counts = counted_steps(board, elf, program.hash, x, folder)
    cycles = None
    if part is not None and model is not None:
        cycles = estimate_cycles(counts, model, part)
    return {
        "samples": len(x),
        "instructions_mean": float(counts.layers[:, 1].mean()),
        "cycles_mean": None if cycles is None else float(cycles[:, 1].mean()),
        "mismatches": int((y != expected).any(axis=1).sum()),
    }

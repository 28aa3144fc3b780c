"""A ``.tflite`` file: one step of a program for LiteRT (TensorFlow Lite).

One graph of quantized builtin operators with a signature ``step``: inputs ``x`` and each state
``<layer>_<state>``, outputs ``y`` and each ``<layer>_<state>_next``; states start at zero. Weights
are the program's int8 with a scale per row; activations are int16 or int8. LiteRT rounds in other
places than the program, so results differ by some units; ``docs/export.md`` has figures.

What a consumer needs besides (normalisation, class names, window) is JSON in the metadata entry
``edgeflow``.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow import __version__
from edgeflow.data import Dataset, choose_windows
from edgeflow.errors import ExportError
from edgeflow.exporting import Options
from edgeflow.exporting.flatbuffer import Kind, StepGraph
from edgeflow.exporting.tflite_layers import ELSE, Lowering, lower
from edgeflow.exporting.tflite_run import METADATA, LiteRTProgram
from edgeflow.files import write_atomic
from edgeflow.program import InputFormat, Program
from edgeflow.program.onnx_forms import ROUNDING
from edgeflow.tasks.output import scale_by

#: Types of activations, by the name that ``--activations`` takes.
ACTIVATIONS: dict[str, Kind] = {"int16": np.int16, "int8": np.int8}
#: Real value of one unit of a linear layer that is not the last: its int16 counts as [-1, 1).
_INNER_UNIT = 2.0**-15


def write(program: Program, out: Path, options: Options) -> list[Path]:
    """Write `program` to the file `out`.

    Raises
    ------
    DataError
        If channels or classes of the data are not the program's.
    ExportError
        If a layer cannot be expressed.
    ToolMissingError
        If LiteRT is not installed.
    """
    if options.data is not None:
        choose_windows(program, options.data, "test")  # an error leaves no file
    write_atomic(out, to_tflite(program, options.activations))
    return [out]


def to_tflite(program: Program, activations: str = "int16") -> bytes:
    """Return the file of a program.

    Parameters
    ----------
    program : Program
    activations : str
        "int16": all activations have the program's own units. "int8": a value of b bits loses the
        last b - 8, but for states that add up over time.

    Raises
    ------
    ExportError
        If a layer cannot be expressed, or `activations` is another word.
    ToolMissingError
        If LiteRT is not installed.
    """
    if activations not in ACTIVATIONS:
        raise ExportError(f"there are no {activations} activations: use {' or '.join(ACTIVATIONS)}")
    if program.sources:
        raise ExportError(f"its layers are a graph, and this format has chains only: {ELSE}")
    if program.start:
        raise ExportError(f"it starts from learned states, and this format from zeros: {ELSE}")
    graph = StepGraph(f"edgeflow {program.hash.hex()}")
    low = Lowering(graph, ACTIVATIONS[activations])
    signal = low.input(program.inputs, program.input.bits)
    for node in program.nodes:
        last = node is program.nodes[-1]
        signal = lower(low, node, signal, program.output_scale if last else _INNER_UNIT)
    graph.output("y", signal.tensor)
    for name, tensor in low.following.items():
        graph.output(name, tensor)
    # a last layer that is not linear has a unit of its own
    real = program.output_scale * signal.tensor.scale / signal.unit
    header = _header(program, activations, real, list(low.following))
    graph.attach(METADATA, json.dumps(header).encode())
    return graph.content()


def check(program: Program, out: Path, data: Dataset) -> dict[str, Any]:
    """Run the file on windows of the test subjects, with LiteRT's reference interpreter.

    Returns
    -------
    dict
        "windows", "accuracy" (of the program) and "accuracy_exported" (shares), "agreement"
        (share of windows with the same decision), "largest_difference" and "mean_difference" (of
        all outputs, in units of the file's y).

    Raises
    ------
    DataError
        If channels or classes of the data are not the program's.
    """
    windows = choose_windows(program, data, "test")
    exported = LiteRTProgram(out)
    y = exported.run(exported.quantize_input(windows.x))
    expected = program.run(program.quantize_input(windows.x))
    apart = np.abs(y - expected * (program.output_scale / exported.output_scale))
    task = program.task
    ours = task.decisions(expected, program.scaling)
    theirs = task.decisions(y, scale_by(program.output, exported.output_scale))
    name = task.headline.name
    return {
        "windows": len(windows.y),
        name: task.score(windows.y, ours)[name],
        f"{name}_exported": task.score(windows.y, theirs)[name],
        "agreement": task.agreement(ours, theirs),
        "largest_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
    }


def _header(
    program: Program, activations: str, output_scale: float, following: list[str]
) -> dict[str, Any]:
    form = input_format(program.input, activations)
    return {
        "labels": list(program.classes),
        "sample_rate_hz": program.rate_hz,
        "window": program.window,
        "input_channels": list(form.channels),
        "input_offset": form.offset.tolist(),
        "input_scale": form.scale.tolist(),
        "input_bits": form.bits,
        "input_rounding": ROUNDING,
        "output_scale": output_scale,
        "states": {name.removesuffix("_next"): name for name in following},
        "state_start": "zeros",
        "program_hash": program.hash.hex(),
        "edgeflow": __version__,
    }


def input_format(form: InputFormat, activations: str) -> InputFormat:
    """Return the quantization of raw samples to x: the program's, or their upper 8 bits."""
    if activations == "int16" or form.bits <= 8:
        return form
    scale = (form.scale * np.float32(2 ** (form.bits - 8))).astype(np.float32)
    return InputFormat(form.offset, scale, 8, form.channels)

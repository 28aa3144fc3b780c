"""Runs a ``.tflite`` file that EdgeFlow wrote, as `Program.run` runs the program."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ExportError
from edgeflow.exporting import litert
from edgeflow.program import InputFormat

#: Name of the metadata entry.
METADATA = "edgeflow"


class LiteRTProgram:
    """One step in LiteRT's reference interpreter, and the states between steps.

    Parameters
    ----------
    model : path or bytes
        A file, or what is in it.

    Attributes
    ----------
    header : dict
        The metadata; ``docs/export.md`` lists its keys.
    output_scale : float
        Real value of one unit of y.

    Raises
    ------
    ExportError
        If it is not a file that EdgeFlow wrote.
    ToolMissingError
        If LiteRT is not installed.
    """

    def __init__(self, model: str | Path | bytes) -> None:
        where = "the model" if isinstance(model, bytes) else str(model)
        try:
            content = model if isinstance(model, bytes) else Path(model).read_bytes()
        except OSError as error:
            raise ExportError(f"{where}: cannot be read: {error.strerror}") from error
        problem = ExportError(f"{where}: not a .tflite file that 'edgeflow export' wrote")
        try:
            header = _header(content)
            # the runner does not keep the interpreter alive
            self._interpreter = litert.interpreter(content)
            self._step = self._interpreter.get_signature_runner("step")
        except (LookupError, RuntimeError, TypeError, ValueError, struct.error) as error:
            raise problem from error
        if header is None:
            raise problem
        self.header = header
        self.output_scale = float(header["output_scale"])

    def quantize_input(self, x: ArrayLike) -> NDArray[np.integer[Any]]:
        """Turn raw samples [..., channels] into the integers of the input x."""
        h = self.header
        offset, scale = (np.asarray(h[f"input_{k}"], np.float32) for k in ("offset", "scale"))
        form = InputFormat(offset, scale, h["input_bits"], tuple(h["input_channels"]))
        return form.quantize(x).astype(self._step.get_input_details()["x"]["dtype"])

    def initial_state(self, n: int = 1) -> dict[str, NDArray[np.integer[Any]]]:
        """Return the states after a reset, for n independent streams."""
        details = self._step.get_input_details()
        return {
            name: np.zeros((n, details[name]["shape"][1]), details[name]["dtype"])
            for name in self.header["states"]
        }

    def step(
        self, x: NDArray[np.integer[Any]], state: dict[str, NDArray[np.integer[Any]]]
    ) -> tuple[NDArray[np.integer[Any]], dict[str, NDArray[np.integer[Any]]]]:
        """Run one sample x [n, inputs]; return y [n, outputs] and the next states."""
        result = self._step(x=np.ascontiguousarray(x), **state)
        following = {name: result[new] for name, new in self.header["states"].items()}
        return result["y"], following

    def run(self, x: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Run sequences x [n, time, inputs] from a reset; returns y [n, time, outputs]."""
        state, result = self.initial_state(x.shape[0]), []
        for t in range(x.shape[1]):
            y, state = self.step(x[:, t], state)
            result.append(y)
        return np.stack(result, axis=1)


def _header(content: bytes) -> dict[str, Any] | None:
    model = litert.schema().Model
    if not model.ModelBufferHasIdentifier(content, 0):
        return None
    found = model.GetRootAs(content)
    for k in range(found.MetadataLength()):
        entry = found.Metadata(k)
        if entry.Name() == METADATA.encode():
            text = found.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            header: dict[str, Any] = json.loads(text)
            return header
    return None

"""The window that the example of a library package runs, and the outputs that it must give."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data import Dataset, choose_windows
from edgeflow.errors import DataError
from edgeflow.program import Program

#: Samples of a window where neither program nor data say how long one is.
_SAMPLES = 16
#: Windows that are looked at for one that the program is right about.
_TRIED = 200


@dataclass(frozen=True)
class ExampleWindow:
    """A window in the units of the training data.

    Parameters
    ----------
    x : float32 array [time, channels]
    y : int16 array [outputs]
        The program's outputs after the last sample.
    source : str
        Subject and data set of the recording; empty if there is none.
    label : str
        The activity recorded.
    units : tuple of str
        One per channel; empty if not known.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int16]
    source: str = ""
    label: str = ""
    units: tuple[str, ...] = ()


def example_window(program: Program, data: Dataset | None) -> ExampleWindow:
    """Return a window of the data's test subjects, or without data one of constant samples.

    It is the first that the program is right about; the first of all if there is none soon.

    Raises
    ------
    DataError
        If channels or classes of the data are not the program's, or samples are missing in all.
    """
    if data is None:
        # the middle of each channel, which any program takes
        x = np.repeat(program.input.offset[None], program.window or _SAMPLES, axis=0)
        return ExampleWindow(x, _outputs(program, x))
    windows = choose_windows(program, data, "test")
    usable = np.flatnonzero(np.isfinite(windows.x).all(axis=(1, 2)))[:_TRIED]
    if not usable.size:
        raise DataError(f"data set '{data.name}': no window of its test subjects has only numbers")
    chosen = next(
        (i for i in usable if _is_right(program, windows.x[i], windows.y[i : i + 1])), usable[0]
    )
    x = windows.x[chosen]
    return ExampleWindow(
        x,
        _outputs(program, x),
        source=f"subject {windows.person[chosen]} of the data set {data.name}",
        label=program.task.target_text(windows.y[chosen]),
        units=tuple(data.units),
    )


def _is_right(program: Program, x: NDArray[np.float32], truth: NDArray[Any]) -> bool:
    return bool(program.task.right(_outputs(program, x)[None], truth)[0])


def _outputs(program: Program, x: NDArray[np.float32]) -> NDArray[np.int16]:
    return program.run(program.quantize_input(x[None]))[0, -1]

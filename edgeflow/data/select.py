"""Windows of a data set that fit a program's channels, task and window."""

from typing import TYPE_CHECKING

import numpy as np

from edgeflow.data.dataset import Dataset, Windows
from edgeflow.errors import DataError

if TYPE_CHECKING:
    from edgeflow.program import Program


def choose_windows(
    program: "Program", dataset: Dataset, split: str, steps: int | None = None
) -> Windows:
    """Return the windows to run, with targets as the program's task has them.

    Raises
    ------
    DataError
        If channels or task are not the model's, or `steps` is not positive.
    """
    if steps is not None and steps < 1:
        raise DataError(f"{steps} steps: run at least one")
    channels = list(program.input.channels)
    if list(dataset.channels) != channels:
        raise DataError(
            f"data set '{dataset.name}' has the channels {', '.join(dataset.channels)}; "
            f"the model was trained on {', '.join(channels)}"
        )
    windows = dataset.windows(split, length=program.window or None)
    targets = program.task.aligned(windows.y, dataset.task, dataset.name)
    keep = np.arange(len(windows.y))
    if steps is not None:
        count = min(len(keep), max(1, steps // windows.x.shape[1]))
        keep = np.linspace(0, len(keep) - 1, count).round().astype(np.int64)
    return Windows(windows.x[keep], targets[keep], windows.person[keep])

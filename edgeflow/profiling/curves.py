"""Outputs beside what was recorded, as few as a plot has room for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.program import Program

#: Outputs, and decisions of each.
MOST_OUTPUTS, MOST = 4, 300


def curves_of(
    program: Program, y: NDArray[Any], truth: NDArray[Any], stream: bool
) -> dict[str, Any] | None:
    """Return the first decisions and what was recorded; None of classes of windows.

    Parameters
    ----------
    y : int array [n, time, outputs]
    truth : array [n, ...]
        Targets of the n decisions.
    stream : bool
        Whether decisions follow each other in a recording.

    Returns
    -------
    dict
        ``of``: "steps", one after another, or "windows". ``outputs``: of each the ``name``,
        ``unit``, and lists ``board`` and ``recorded``, in which None is not known. Of tasks with
        classes it is the number of the class.
    """
    task = program.task
    if not task.metrics or (program.classes and not (task.per_step and stream)):
        return None
    count = min(len(y), MOST)
    decided = task.decisions(y[:count], program.scaling)
    decided, recorded = (np.asarray(one[:count]).reshape(count, -1) for one in (decided, truth))
    names, form = task.outputs, program.output
    outputs = []
    for k in range(min(decided.shape[1], recorded.shape[1], MOST_OUTPUTS)):
        named = not program.classes and k < len(names)
        outputs.append({
            "name": names[k] if named else "class" if program.classes else f"output {k + 1}",
            "unit": form.units[k] if form is not None and named else "",
            "board": _numbers(decided[:, k]),
            "recorded": _numbers(recorded[:, k]),
        })  # fmt: skip
    return {"of": "steps" if stream else "windows", "outputs": outputs}


def check_curves(found: Mapping[str, Any]) -> None:
    """Check what `curves_of` gave, as a file has it.

    Raises
    ------
    ValueError
        If there are none, or what was recorded are more or fewer.
    """
    sizes = {len(one[key]) for one in found["outputs"] for key in ("board", "recorded")}
    if len(sizes) != 1:
        raise ValueError("curves: needs outputs with as many values of the board as recorded")


def _numbers(values: NDArray[Any]) -> list[float | None]:
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values.tolist()]

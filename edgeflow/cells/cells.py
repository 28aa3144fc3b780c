"""The registry of cells: name to builder."""

from collections.abc import Callable

from torch import nn

from edgeflow.cells import gru
from edgeflow.errors import TrainError

# Each builder takes (inputs, hidden, layers, dropout) and returns a module that maps
# x [n, time, inputs] and a state (None: zeros) to (h [n, time, hidden], state).
CELLS: dict[str, Callable[..., nn.Module]] = {"gru": gru.build}


def build_cell(name: str, inputs: int, hidden: int, layers: int, dropout: float) -> nn.Module:
    """Return a new cell by name.

    Raises
    ------
    TrainError
        If there is no such cell, or a size is out of range.
    """
    if name not in CELLS:
        raise TrainError(f"there is no cell '{name}': use one of {', '.join(CELLS)}")
    for what, value in (("inputs", inputs), ("hidden", hidden), ("layers", layers)):
        if value < 1:
            raise TrainError(f"{what} is {value}: it must be at least 1")
    if not 0 <= dropout < 1:
        raise TrainError(f"dropout is {dropout}: it must be in [0, 1)")
    return CELLS[name](inputs, hidden, layers, dropout)

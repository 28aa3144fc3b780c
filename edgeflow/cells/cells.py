"""The registry of cells and other layers: a new one is a file here and a line in this one."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from edgeflow.cells import (
    accumulate,
    cfc,
    delta,
    gru,
    gru_reset_before,
    l2mu,
    lif,
    linear,
    lmu,
    lmuformer,
    lstm,
    ltc,
    mingru,
    minlstm,
    norm,
    relu,
    rnn,
    taps,
)
from edgeflow.cells.cell import Cell, Layer
from edgeflow.cells.options import check_options
from edgeflow.errors import CompressError, TrainError

CELLS: dict[str, Cell] = {
    "gru": gru.CELL,
    "cfc": cfc.CELL,
    "ltc": ltc.CELL,
    "lmu": lmu.CELL,
    "lmu-ff": lmu.FEED_FORWARD,
    "lstm": lstm.CELL,
    "rnn": rnn.CELL,
    "mingru": mingru.CELL,
    "minlstm": minlstm.CELL,
    "lif": lif.LIF_CELL,
    "cuba-lif": lif.CUBA_LIF_CELL,
    "l2mu": l2mu.CELL,
    "cuba-l2mu": l2mu.CUBA,
    "lmuformer": lmuformer.CELL,
    "lmuformer-snn": lmuformer.SPIKING,
}

#: Layers that are no cells.
LAYERS: list[Layer] = [
    linear.LAYER,
    delta.LAYER,
    accumulate.LAYER,
    gru_reset_before.LAYER,
    norm.LAYER,
    norm.BATCH_NORM,
    norm.LAYER_NORM,
    relu.LAYER,
    taps.LAYER,
    taps.CONV,
]


def layer_of(module: nn.Module) -> Layer:
    """Return what is registered for a torch layer.

    Raises
    ------
    CompressError
        If nothing is.
    """
    for layer in (*CELLS.values(), *LAYERS):
        if type(module) is layer.module:
            return layer
    raise CompressError(f"{type(module).__name__} is not supported: use one of {supported()}")


def is_known(module: nn.Module) -> bool:
    """Tell whether a torch layer is registered."""
    return any(type(module) is layer.module for layer in (*CELLS.values(), *LAYERS))


def supported() -> str:
    """Return the names of the registered layers, for messages."""
    names = [layer.module.__name__ for layer in (*CELLS.values(), *LAYERS)]
    return ", ".join(dict.fromkeys(names))


def cell_of(name: str) -> Cell:
    """Return a cell by name.

    Raises
    ------
    TrainError
        If there is none.
    """
    if name not in CELLS:
        raise TrainError(f"there is no cell '{name}': use one of {', '.join(CELLS)}")
    return CELLS[name]


def build_cell(
    name: str,
    inputs: int,
    hidden: int,
    layers: int,
    dropout: float,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return a new cell by name.

    Parameters
    ----------
    options : mapping, optional
        Of the cell (``edgeflow.cells.options``).

    Raises
    ------
    TrainError
        If there is no such cell or option, or a value is out of range.
    """
    cell = cell_of(name)
    for what, value in (("inputs", inputs), ("hidden", hidden), ("layers", layers)):
        if value < 1:
            raise TrainError(f"{what} is {value}: it must be at least 1")
    if not 0 <= dropout < 1:
        raise TrainError(f"dropout is {dropout}: it must be in [0, 1)")
    check_options(name, cell, options or {})
    assert cell.build is not None
    return cell.build(inputs, hidden, layers, dropout, **(options or {}))

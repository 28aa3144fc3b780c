"""The registry of cells and other layers: a new one is a file here and a line in this one."""

from torch import nn

from edgeflow.cells import accumulate, cfc, gru, l2mu, lif, linear, lmu, lstm, ltc, mingru, minlstm
from edgeflow.cells.cell import Cell, Layer
from edgeflow.errors import CompressError, TrainError

CELLS: dict[str, Cell] = {
    "gru": gru.CELL,
    "cfc": cfc.CELL,
    "ltc": ltc.CELL,
    "lmu": lmu.CELL,
    "lmu-ff": lmu.FEED_FORWARD,
    "lstm": lstm.CELL,
    "mingru": mingru.CELL,
    "minlstm": minlstm.CELL,
    "lif": lif.LIF_CELL,
    "cuba-lif": lif.CUBA_LIF_CELL,
    "l2mu": l2mu.CELL,
    "cuba-l2mu": l2mu.CUBA,
}

#: Layers that are no cells.
LAYERS: list[Layer] = [linear.LAYER, accumulate.LAYER]


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
    build = CELLS[name].build
    assert build is not None
    return build(inputs, hidden, layers, dropout)

"""Registry of cells and other layers: those of the modules of this package."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from edgeflow.cells.cell import Cell, Layer
from edgeflow.cells.options import check_options
from edgeflow.discovery import modules_of
from edgeflow.errors import CompressError, TrainError

#: Most units of a layer, and most layers; so many units are one layer, of fewer there may be more.
MOST_UNITS, MOST_LAYERS = 4096, 64
#: Cells by name, gru first, then by module; `edgeflow.cell_names` has the same without an import.
CELLS: dict[str, Cell] = {}
#: Cells and other layers, by the torch class that they are for.
LAYERS: dict[type[nn.Module], Layer] = {}


def discover(path: list[str], package: str) -> None:
    """Register the `Cell` and `Layer` objects at the top level of a package's modules."""
    gru = f"{package}.gru"
    for module in sorted(modules_of(path, package), key=lambda module: module.__name__ != gru):
        for found in vars(module).values():
            if isinstance(found, Layer):
                LAYERS.setdefault(found.module, found)
            if isinstance(found, Cell):
                CELLS[found.name] = found


def layer_of(module: nn.Module) -> Layer:
    """Return the `Layer` of a torch layer.

    Raises
    ------
    CompressError
        If none is registered.
    """
    if not is_known(module):
        raise CompressError(f"{type(module).__name__} is not supported: use one of {supported()}")
    return LAYERS[type(module)]


def is_known(module: nn.Module) -> bool:
    """Tell whether a torch layer is registered."""
    return type(module) in LAYERS


def supported() -> str:
    """Return the names of the registered layers, for messages."""
    return ", ".join(dict.fromkeys(module.__name__ for module in LAYERS))


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


def cells_with(kinds: type | tuple[type, ...]) -> str:
    """Return the names of the cells that are made of such modules, for messages."""
    made = {name: cell.build(4, 4, 1, 0.0).modules() for name, cell in CELLS.items()}
    return ", ".join(n for n, modules in made.items() if any(isinstance(m, kinds) for m in modules))


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
    sizes = (("inputs", inputs, MOST_UNITS), ("hidden", hidden, MOST_UNITS),
             ("layers", layers, MOST_LAYERS))  # fmt: skip
    for what, value, most in sizes:
        if type(value) is not int or not 1 <= value <= most:
            raise TrainError(f"{what} is {value!r}: it must be a whole number from 1 to {most}")
    if layers * hidden**2 > MOST_UNITS**2:
        raise TrainError(
            f"{layers} layers of {hidden} units: use at most {MOST_UNITS**2 // hidden**2} of that "
            "size, or smaller ones"
        )
    if not 0 <= dropout < 1:
        raise TrainError(f"dropout is {dropout}: it must be in [0, 1)")
    check_options(name, cell, options or {})
    return cell.build(inputs, hidden, layers, dropout, **(options or {}))

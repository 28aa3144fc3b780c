"""Cells and other layers as objects: how each is trained, imported, quantized and pruned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

#: Real weights by the field of the node's matrix that stands for them.
Weights = Mapping[str, NDArray[np.float64]]

if TYPE_CHECKING:
    from edgeflow.program.fixedpoint import Ints
    from edgeflow.quantization import Calibration, Converted

    Converter = Callable[[Any, Calibration], Converted]
    # layer, x [n, time, inputs], state or None, what the recurrent weights see of h [n, hidden]
    Recurrence = Callable[[Any, Tensor, Any, Callable[[Tensor], Tensor]], tuple[Tensor, Any]]
    LoadDequantized = Callable[[Any, Weights], None]
    # layer, numbers of the inputs and of the units that stay
    PruneUnits = Callable[[Any, Ints, Ints], nn.Module]


def copy_params(parameters: Sequence[Tensor], values: NDArray[np.float64], axis: int = 0) -> None:
    """Copy float64 values into parameters that stand side by side along an axis."""
    sizes = np.cumsum([p.shape[axis] for p in parameters])[:-1]
    for parameter, part in zip(parameters, np.split(values, sizes, axis=axis), strict=True):
        parameter.data.copy_(torch.from_numpy(part))


def gate_rows(units: "Ints", blocks: int, size: int) -> "Ints":
    """Return the rows of units in a matrix of as many blocks of `size` rows, such as gates."""
    return np.concatenate([block * size + units for block in range(blocks)])


def slice_rows(parameter: Tensor, rows: "Ints", cols: "Ints | None" = None) -> Tensor:
    """Return these rows, and columns, of a parameter."""
    value = parameter.detach()[torch.from_numpy(rows)]
    return value if cols is None else value[:, torch.from_numpy(cols)]


def _itself(layer: nn.Module) -> list[nn.Module]:
    return [layer]


@dataclass(frozen=True)
class Layer:
    """A torch layer that EdgeFlow understands, wherever it stands in a model.

    Parameters
    ----------
    module : type
        The torch class. Called on x [n, time, inputs] it returns [n, time, outputs], or a tuple
        that starts with it.
    convert : callable
        ``convert(layer, given)`` makes the integer node of a layer and its `Calibration`, or raises
        a CompressError, such as where it needs an input whose integer zero is zero.
    unstack : callable
        Splits a stacked layer into single, batch-first ones.
    unsupported_reason : callable
        Returns why a layer of this class cannot run on a stream, or None.
    load_dequantized : callable
        Copies the weights that the integers of the node's matrices stand for (float64, by field)
        into a layer, for quantization-aware training; None: the layer trains with its own.
    pads : bool
        It reads zeros before the first sample, so the integer zero of its input must be zero.
    recur : callable, optional
        ``recur(layer, x, state, read)`` is the layer's forward pass whose recurrent weights see
        ``read(h)`` of the state h [n, hidden], once per step: what a delta layer needs
        (``edgeflow.cells.delta``). None: no weights read the state.
    prune_units : callable, optional
        ``prune_units(layer, inputs, units)`` is a new layer of these inputs and units (or outputs),
        by their numbers. None: units cannot be pruned.
    """

    module: type[nn.Module]
    convert: "Converter"
    unstack: Callable[[nn.Module], list[nn.Module]] = _itself
    unsupported_reason: Callable[[nn.Module], str | None] = lambda layer: None
    pads: bool = field(default=False, kw_only=True)
    recur: "Recurrence | None" = field(default=None, kw_only=True)
    load_dequantized: "LoadDequantized | None" = field(default=None, kw_only=True)
    prune_units: "PruneUnits | None" = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Cell(Layer):
    """A recurrent layer that ``edgeflow train --cell`` can make.

    Parameters
    ----------
    name : str
        Argument of ``--cell`` and key of ``edgeflow.cells.CELLS``.
    about : str
        Description in a few words, for the help.
    build : callable
        ``build(inputs, hidden, layers, dropout)`` returns a module that maps x [n, time, inputs]
        and a state (None: zeros) to (h [n, time, hidden], state). Keyword-only parameters are
        the cell's options, with values that are bool, int, float or str.
    readout : str
        What a classifier makes of its outputs over time, a name in
        ``edgeflow.cells.accumulate.READOUTS``; without windows, "mean" becomes "leaky".
    training : mapping
        What the cell trains better with than with the defaults of
        ``edgeflow.training.TrainOptions``; chosen on validation subjects.
    """

    build: Callable[..., nn.Module] = field(kw_only=True)
    name: str = field(kw_only=True)
    about: str = field(kw_only=True)
    readout: str = field(default="last", kw_only=True)
    training: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def origin(self) -> str:
        """Name of the module that defines the cell; variants of a cell share one."""
        build: Any = getattr(self.build, "func", self.build)  # of a functools.partial
        return str(build.__module__)

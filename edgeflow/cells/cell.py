"""What a cell, or another layer, registers so that it can be trained, imported and quantized."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeflow.compress.convert import Converted, Signal, Widths

    # name, layer, its input, its float output on the calibration data [n, time, size], widths
    Converter = Callable[[str, nn.Module, Signal, NDArray[np.float32], Widths], Converted]


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
        Makes the integer node.
    expand : callable
        Splits a stacked layer into single, batch-first ones.
    refuse : callable
        Returns why a layer of this class cannot run on a stream, or None.
    pads : bool
        It reads zeros before the first sample, so the integer zero of its input must be zero.
    """

    module: type[nn.Module]
    convert: "Converter"
    expand: Callable[[nn.Module], list[nn.Module]] = _itself
    refuse: Callable[[nn.Module], str | None] = lambda layer: None
    pads: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Cell(Layer):
    """A recurrent layer that ``edgeflow train --cell`` can make.

    Parameters
    ----------
    build : callable
        ``build(inputs, hidden, layers, dropout)`` returns a module that maps x [n, time, inputs]
        and a state (None: zeros) to (h [n, time, hidden], state). Keyword-only parameters are
        the cell's options, with values that are bool, int, float or str.
    readout : str
        What a classifier makes of its outputs over time, a name in
        ``edgeflow.cells.accumulate.READOUTS``; without windows, "mean" becomes "leaky".
    training : mapping
        What the cell trains better with than with the defaults of
        ``edgeflow.train.TrainOptions``; chosen on validation people.
    """

    build: Callable[..., nn.Module] | None = None
    readout: str = "last"
    training: Mapping[str, Any] = field(default_factory=dict)

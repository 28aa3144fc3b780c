r"""Recurrent layers that start from a state of their own, which training learns, instead of zeros.

As a module writes it: ``self.rnn(x, self.h0.expand(-1, len(x), -1).contiguous())`` with a parameter
h0. Layers of torch have no place for it, so these have one; else they are those of torch.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells import gru, lstm, rnn
from edgeflow.cells.cell import Cell, Layer
from edgeflow.program.fixedpoint import Ints, saturate
from edgeflow.program.nodes.base import Node
from edgeflow.program.start import start_range
from edgeflow.quantization import Calibration, Converted


class _Started(nn.Module):
    """A layer of ``torch.nn`` whose first state, without one given, is `start`.

    `start` is [states, hidden]: h, and of an LSTM c.
    """

    STATES = 1
    hidden_size: int

    def __init__(self, *sizes: Any, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.start = nn.Parameter(torch.zeros(self.STATES, self.hidden_size))

    def first(self, n: int) -> Any:
        """Return the first state of n sequences, as the layer takes it."""
        states = [state.expand(1, n, -1).contiguous() for state in self.start]
        return states[0] if self.STATES == 1 else tuple(states)

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        return super().forward(x, self.first(len(x)) if hx is None else hx)


class StartedGRU(_Started, nn.GRU):  # type: ignore[misc]  # forward takes no packed sequences
    """``nn.GRU`` from a learned state."""


class StartedLSTM(_Started, nn.LSTM):  # type: ignore[misc]  # as above
    """``nn.LSTM`` from learned states h and c."""

    STATES = 2


class StartedRNN(_Started, nn.RNN):  # type: ignore[misc]  # as above
    """``nn.RNN`` from a learned state."""


#: By the layer that each is made of.
STARTED: dict[type[nn.Module], type[_Started]] = {
    nn.GRU: StartedGRU,
    nn.LSTM: StartedLSTM,
    nn.RNN: StartedRNN,
}


def started(layer: nn.Module, start: Tensor) -> nn.Module:
    """Return a single layer of ``torch.nn`` that starts from `start` [states, hidden]."""
    options: dict[str, Any] = {"batch_first": True}
    if isinstance(layer, nn.RNN):
        options["nonlinearity"] = layer.nonlinearity
    made = STARTED[type(layer)](layer.input_size, layer.hidden_size, **options)
    made.load_state_dict({**layer.state_dict(), "start": start})
    return made.eval()


def _integers(node: Node, unit: Any, start: Tensor) -> dict[str, Ints]:
    """Return a layer's first states in its integers, by name.

    `unit` is that of h.
    """
    h, *rest = start.detach().double().numpy()
    real = {"h": h / unit, "m": h * 2.0**30}
    if rest:
        real["c"] = rest[0] * 2.0 ** node.ints()["cell_fraction"]
    found = {}
    for name in node.start_fields:
        found[name] = saturate(np.round(real[name]), *start_range(node.states[name]))
    return found


def _with_start(
    convert: Callable[[Any, Calibration], Converted],
) -> Callable[[Any, Calibration], Converted]:
    def converted(layer: Any, given: Calibration) -> Converted:
        done = convert(layer, given)
        return replace(done, start=_integers(done.node, done.output.scale, layer.start))

    return converted


def _recurring(recur: Any) -> Any:
    def recurred(layer: Any, x: Tensor, state: Any, read: Any) -> Any:
        return recur(layer, x, layer.first(len(x)) if state is None else state, read)

    return recurred


@torch.no_grad()
def prune_units(layer: Any, inputs: Ints, units: Ints) -> nn.Module:
    """Return a layer of these inputs and units, from the states of these."""
    smaller = gru.prune_recurrent(layer, inputs, units)
    smaller.start = nn.Parameter(layer.start[:, torch.from_numpy(units)].contiguous())
    return smaller


def _layer(cell: Cell) -> Layer:
    return Layer(
        STARTED[cell.module],
        _with_start(cell.convert),
        unsupported_reason=cell.unsupported_reason,
        load_dequantized=cell.load_dequantized,
        recur=_recurring(cell.recur),
        prune_units=prune_units,
    )


GRU, LSTM, RNN = (_layer(cell) for cell in (gru.CELL, lstm.CELL, rnn.CELL))

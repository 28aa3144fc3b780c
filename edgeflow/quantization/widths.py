"""Bit widths of a program's input, states and weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeflow.errors import CompressError

#: Width of a state, unless it needs more.
DEFAULT_STATE = 12
#: Width of a state that is not rounded from step to step.
EXACT_STATE = 32


@dataclass(frozen=True)
class Widths:
    """Bits of the inputs of matrices, and of their weights.

    Parameters
    ----------
    input : int
        Width of the program's input, 8..16.
    state : int, optional
        Width of the states, 8..16. None: 12, or more in layers whose states move so slowly that 12
        would lose their steps on the calibration data.
    weight : int
        Width of the weights, 2..8.
    matrices : mapping
        Width of the weights of single matrices, by layer and field like ``{"rnn.recurrent": 4}``,
        or of all matrices of a layer (``"rnn"``).
    states : mapping
        Width of the states of single layers, by name: 8..16; or 32 for a GRU or LSTM whose state
        is not to be rounded from step to step: its matrices read 12 bits of it. With
        32 a minGRU or minLSTM, whose state is not rounded anyway, has a unit per neuron, and an RNN
        of relu has that and 16 bits.

    Raises
    ------
    CompressError
        If a width is out of range.
    """

    input: int = 12
    state: int | None = None
    weight: int = 8
    matrices: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = {} if self.state is None else {"state": self.state}
        activations = {"input": self.input, **given, **self.states}
        for bits in (*activations.values(), self.weight, *self.matrices.values()):
            if not isinstance(bits, int):
                raise CompressError(f"a width is a whole number of bits, not {type(bits).__name__}")
        for name, bits in activations.items():
            if not 8 <= bits <= 16 and (bits != EXACT_STATE or name not in self.states):
                raise CompressError(f"{name} width {bits} is not in 8..16 bits")
        for name, bits in {"weights": self.weight, **self.matrices}.items():
            if not 2 <= bits <= 8:
                raise CompressError(f"{name}: a weight width of {bits} is not in 2..8 bits")

    def state_of(self, layer: str) -> int:
        """Return the bits of a layer's state, 8..16 or `EXACT_STATE`."""
        return self.states.get(layer, DEFAULT_STATE if self.state is None else self.state)

    def of(self, layer: str, matrix: str) -> int:
        """Return the bits of a matrix's weights, given its layer's name and its field."""
        whole = self.matrices.get(layer, self.weight)
        return self.matrices.get(f"{layer}.{matrix}", whole)

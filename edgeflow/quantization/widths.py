"""Bit widths of a program's input, states and weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeflow.errors import CompressError


@dataclass(frozen=True)
class Widths:
    """Bits of the inputs of matrices, and of their weights.

    Parameters
    ----------
    input, state : int
        Width of the program's input and of the states, 8..16.
    weight : int
        Width of the weights, 2..8.
    matrices : mapping
        Width of the weights of single matrices, by layer and field like ``{"rnn.recurrent": 4}``,
        or of all matrices of a layer (``"rnn"``).

    Raises
    ------
    CompressError
        If a width is out of range.
    """

    input: int = 12
    state: int = 12
    weight: int = 8
    matrices: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for bits in (self.input, self.state, self.weight, *self.matrices.values()):
            if not isinstance(bits, int):
                raise CompressError(f"a width is a whole number of bits, not {type(bits).__name__}")
        for name, bits in (("input", self.input), ("state", self.state)):
            if not 8 <= bits <= 16:
                raise CompressError(f"{name} width {bits} is not in 8..16 bits")
        for name, bits in {"weights": self.weight, **self.matrices}.items():
            if not 2 <= bits <= 8:
                raise CompressError(f"{name}: a weight width of {bits} is not in 2..8 bits")

    def of(self, layer: str, matrix: str) -> int:
        """Return the bits of a matrix's weights, given its layer's name and its field."""
        whole = self.matrices.get(layer, self.weight)
        return self.matrices.get(f"{layer}.{matrix}", whole)

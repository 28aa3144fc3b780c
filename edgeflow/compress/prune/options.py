"""What is to be pruned."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeflow.compress.prune.mask import Block
from edgeflow.errors import CompressError


@dataclass(frozen=True)
class PruneOptions:
    """Shares of weights and of units that go.

    Parameters
    ----------
    sparsity : float
        Of all matrices but those of the last layer, the read-out; in [0, 1).
    matrices : mapping
        Of single matrices, by layer and field (``{"rnn.recurrent": 0.8}``), of all of a layer
        (``"rnn"``), or of a field in all layers (``"input"``); the first of these that is there
        counts. Each in [0, 1).
    block : Block
    units : float
        Share of the units of each recurrent layer that are cut off, in [0, 1).

    Raises
    ------
    CompressError
        If a share is out of range.
    """

    sparsity: float = 0.0
    matrices: Mapping[str, float] = field(default_factory=dict)
    block: Block = field(default_factory=Block)
    units: float = 0.0

    def __post_init__(self) -> None:
        shares = {"weights": self.sparsity, "units": self.units, **self.matrices}
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise CompressError(f"{name}: the share to prune is {share:g}: it is in [0, 1)")

    def of(self, layer: str, matrix: str, *, last: bool) -> float:
        """Return the share of a matrix, given its layer's name and its field."""
        for name in self.names(layer, matrix):
            return self.matrices[name]
        return 0.0 if last else self.sparsity

    def names(self, layer: str, matrix: str) -> list[str]:
        """Return the entries of `matrices` that speak of a matrix, the one that counts first."""
        return [name for name in (f"{layer}.{matrix}", layer, matrix) if name in self.matrices]

    @property
    def any_weights(self) -> bool:
        """Whether weights are pruned, not only units."""
        return self.sparsity > 0 or any(share > 0 for share in self.matrices.values())


def parse_sparsity(text: str) -> tuple[float, dict[str, float]]:
    """Return `sparsity` and `matrices` of a text like ``0.75`` or ``0.5,recurrent=0.8``.

    Raises
    ------
    CompressError
        If a part of it is neither a number nor NAME=NUMBER.
    """
    whole, matrices = 0.0, {}
    for part in text.split(","):
        name, found, number = part.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            raise CompressError(f"'{part}': use a share like 0.75, or recurrent=0.8") from None
        if found and not name.strip():
            raise CompressError(f"'{part}' names no matrix: use one like recurrent=0.8")
        if name:
            matrices[name.strip()] = share
        else:
            whole = share
    return whole, matrices

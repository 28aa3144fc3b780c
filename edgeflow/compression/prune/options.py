"""Options of pruning: shares of weights, blocks, units and ranks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgeflow.compression.prune.mask import Block
from edgeflow.errors import CompressError


@dataclass(frozen=True)
class Ranks:
    """Ranks that matrices are to have: whole numbers, or below 1 shares of the smaller side.

    Parameters
    ----------
    rank : float
        Of all matrices that read a state; 0: any.
    matrices : mapping
        Of single matrices, by names as in `PruneOptions`.

    Raises
    ------
    CompressError
        If a rank is neither.
    """

    rank: float = 0.0
    matrices: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, rank in {"low rank": self.rank, **self.matrices}.items():
            if not (0 <= rank < 1 or (1 <= rank < 1 << 16 and rank == int(rank))):
                raise CompressError(
                    f"{name}: a rank of {rank:g} is neither a whole number nor a share below 1"
                )

    def __bool__(self) -> bool:
        return self.rank > 0 or any(rank > 0 for rank in self.matrices.values())


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
    units : float
        Share of the units of each recurrent layer that are removed, in [0, 1).

    Raises
    ------
    CompressError
        If a share is out of range.
    """

    sparsity: float = 0.0
    matrices: Mapping[str, float] = field(default_factory=dict)
    block: Block = field(default_factory=Block)
    units: float = 0.0
    low_rank: Ranks = field(default_factory=Ranks)

    def __post_init__(self) -> None:
        shares = {"weights": self.sparsity, "units": self.units, **self.matrices}
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise CompressError(f"{name}: the share to prune is {share:g}: it is in [0, 1)")

    def of(self, layer: str, matrix: str, *, last: bool) -> float:
        """Return the share of a matrix, given its layer's name and its field."""
        for name in names_of(layer, matrix, self.matrices):
            return self.matrices[name]
        return 0.0 if last else self.sparsity

    @property
    def any_weights(self) -> bool:
        """True if weights are pruned, not only units."""
        return self.sparsity > 0 or any(share > 0 for share in self.matrices.values())


def names_of(layer: str, matrix: str, given: Iterable[str]) -> list[str]:
    """Return which of the given names speak of a matrix, the one that counts first."""
    return [name for name in (f"{layer}.{matrix}", layer, matrix) if name in given]


def check_names(known: Iterable[tuple[str, str]], given: Iterable[str]) -> None:
    """Refuse a name that speaks of none of the matrices, which are known by layer and field.

    Raises
    ------
    CompressError
        If there is one.
    """
    pairs = list(known)
    for name in given:
        if not any(names_of(layer, field, [name]) for layer, field in pairs):
            full = ", ".join(f"{layer}.{field}" for layer, field in pairs)
            raise CompressError(f"there is no matrix '{name}': use one of {full}")


def parse_by_matrix(text: str, example: str) -> tuple[float, dict[str, float]]:
    """Return the number for all, and those by matrix, of a text like ``0.5,recurrent=0.8``.

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
            raise CompressError(
                f"'{part}': use a number like {example}, or recurrent={example}"
            ) from None
        if found and not name.strip():
            raise CompressError(f"'{part}' names no matrix: use one like recurrent={example}")
        if name:
            matrices[name.strip()] = share
        else:
            whole = share
    return whole, matrices

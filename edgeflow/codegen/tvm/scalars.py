"""One element of a value, for all iterations of a loop at once, down to what memory holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from edgeflow.codegen.tvm.values import LEAVES, Graph, Value
from edgeflow.program.fixedpoint import Ints

REDUCTIONS = ("sum", "top")


@dataclass(eq=False)
class Region:
    """Elements in memory: an argument, or a part of the scratch memory.

    Attributes
    ----------
    kind, name : str
        Argument as in `step.Step.arguments`; kind "scratch" has no name.
    dtype : str
    size : int
        Elements, with padding.
    row, pitch : int
        Rows of `row` elements start every `pitch` elements.
    offset : int
        In elements; of scratch memory, once it is given out.
    """

    kind: str
    name: str
    dtype: str
    size: int
    row: int = 1
    pitch: int = 1
    offset: int = 0

    def place(self, index: Ints) -> Ints:
        """Return the positions of flat indices."""
        return index // self.row * self.pitch + index % self.row


@dataclass(eq=False)
class Scalar:
    """An element of `value`: of index `at` [iterations, terms of reductions around it...]."""

    op: str
    value: Value
    args: tuple["Scalar", ...]
    at: Ints
    lo: int
    hi: int
    region: Region | None = None
    terms: int = 0  # of a reduction
    choice: int = 0  # which of the largest
    below: frozenset["Scalar"] = field(default=frozenset(), repr=False)  # reductions

    @property
    def level(self) -> int:
        """Number of reductions whose terms it depends on."""
        return self.at.ndim - 1


class PiecesError(Exception):
    """Iterations do different things: `groups` numbers those that do the same."""

    def __init__(self, groups: Ints) -> None:
        self.groups = groups


class Builder:
    """Makes the scalars of a loop; the same element is made once.

    Parameters
    ----------
    graph : Graph
    stored : function
        Returns the region that a value is stored in, None if it is to be computed.
    """

    def __init__(self, graph: Graph, stored: Callable[[Value], Region | None]) -> None:
        self._graph, self._stored = graph, stored
        self._made: dict[tuple[int, tuple[int, ...], bytes], Scalar] = {}

    def scalar(self, value: Value, at: Ints, computed: bool = False) -> Scalar:
        """Return the element of `value` at the flat indices `at`.

        Parameters
        ----------
        value : Value
        at : int array [iterations, terms...]
        computed : bool
            Compute it even where it is stored.

        Raises
        ------
        PiecesError
            If iterations take elements of different parts of a concatenation.
        """
        while at.ndim > 1 and (at == at[..., :1]).all():
            at = at[..., 0]
        key = (value.id, at.shape, at.tobytes())
        if key not in self._made:
            self._made[key] = self._make(value, at, computed)
        return self._made[key]

    def _make(self, value: Value, at: Ints, computed: bool) -> Scalar:
        lo, hi = (end.reshape(-1)[at] for end in (value.range.lo, value.range.hi))
        bounds = int(lo.min()), int(hi.max())
        if bounds[0] == bounds[1]:
            return Scalar("const", value, (), at[(slice(0, 1),) + (0,) * (at.ndim - 1)], *bounds)
        if value.op == "const":
            raise PiecesError(_by_iteration(lo))
        region = None if computed and value.op not in LEAVES else self._stored(value)
        if region is not None:
            return Scalar("load", value, (), at, *bounds, region)
        if value.op in ("view", "concat"):
            position = value.index.reshape(-1)[at]
            starts = np.cumsum([0, *(part.size for part in value.args)])
            parts = np.searchsorted(starts, position, side="right") - 1
            if (parts != parts.flat[0]).any():
                raise PiecesError(_by_iteration(parts))
            part = int(parts.flat[0])
            return self.scalar(value.args[part], position - starts[part])
        if value.op in REDUCTIONS:
            return self._reduction(value, at, bounds)
        narrow = self._graph.narrow(value)
        if narrow is not value:
            return self.scalar(narrow, at)
        args = []
        for arg in value.args[1:] if value.op == "gather" else value.args:
            positions = np.arange(arg.size).reshape(arg.shape)
            args.append(self.scalar(arg, np.broadcast_to(positions, value.shape).reshape(-1)[at]))
        table = self._stored(value.args[0]) if value.op == "gather" else None
        return Scalar(value.op, value, tuple(args), at, *bounds, table, below=_reductions(args))

    def _reduction(self, value: Value, at: Ints, bounds: tuple[int, int]) -> Scalar:
        choice, outer = 0, at
        if value.op == "top":
            outer, choices = at // value.key, at % value.key
            if (choices != choices.flat[0]).any():
                raise PiecesError(_by_iteration(choices))
            choice = int(choices.flat[0])
        terms = value.index.reshape(-1, value.index.shape[-1])[outer]
        arg = self.scalar(value.args[0], terms)
        return Scalar(
            value.op, value, (arg,), at, *bounds, terms=terms.shape[-1], choice=choice,
            below=_reductions([arg]),
        )  # fmt: skip


def walk(roots: list[Scalar]) -> Iterator[Scalar]:
    """Yield every scalar once, arguments first."""
    seen: set[Scalar] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        scalar, ready = stack.pop()
        if ready:
            yield scalar
        elif scalar not in seen:
            seen.add(scalar)
            stack.append((scalar, True))
            stack += [(arg, False) for arg in reversed(scalar.args)]


def _reductions(args: list[Scalar]) -> frozenset[Scalar]:
    direct = {arg for arg in args if arg.op in REDUCTIONS}
    return frozenset(direct).union(*(arg.below for arg in args))


def _by_iteration(kinds: Ints) -> Ints:
    """Return a number for each iteration; a reduction whose terms differ in kind stays one."""
    rows = kinds.reshape(len(kinds), -1)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)

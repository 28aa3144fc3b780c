"""Steps of a plan: calls of matrix kernels, and nests of loops."""

from dataclasses import dataclass, field

import numpy as np

from edgeflow.codegen.tvm.scalars import REDUCTIONS, Region, Scalar, walk
from edgeflow.codegen.tvm.values import Value
from edgeflow.program.fixedpoint import Ints


@dataclass(eq=False)
class Call:
    """A matrix kernel on each row of x."""

    field: str
    x: Region
    region: Region  # of y
    rows: int  # of x
    distance: int  # between rows of x, elements
    results: int  # of a row

    @property
    def reads(self) -> tuple[Region]:
        return (self.x,)

    @property
    def touched(self) -> tuple[Region, ...]:
        """The regions that are read or written."""
        return self.x, self.region


@dataclass(eq=False)
class Task:
    """Elements to compute and to store: those of `value` at `source` go to `target` in `region`."""

    value: Value
    source: Ints
    region: Region
    target: Ints
    shape: tuple[int, ...] = ()
    reads: dict[Region, None] = field(default_factory=dict)  # in order

    @property
    def size(self) -> int:
        return len(self.source)


@dataclass(eq=False)
class Loop:
    """Tasks of one loop nest, with what they store."""

    shape: tuple[int, ...]
    tasks: list[Task]
    roots: list[Scalar]
    #: Of each index array: first position, distance in each loop, then in each axis of terms.
    strides: dict[bytes, tuple[int, tuple[int, ...]]]

    @property
    def touched(self) -> tuple[Region, ...]:
        """The regions that are read or written."""
        return tuple(region for task in self.tasks for region in (*task.reads, task.region))

    def access(self, at: Ints) -> tuple[int, tuple[int, ...]]:
        return self.strides[array_key(at)]


def dependencies(loop: Loop) -> dict[Scalar, frozenset[int]]:
    """Return the dimensions of the loop that each scalar changes with; terms come behind them."""
    found: dict[Scalar, frozenset[int]] = {}
    for scalar in walk(loop.roots):
        mine: set[int] = set()
        for arg in scalar.args:
            mine |= found[arg]
        if scalar.op == "load":
            assert scalar.region is not None
            _, strides = loop.access(scalar.region.place(scalar.at))
            mine |= {dim for dim, stride in enumerate(strides) if stride}
        if scalar.op in REDUCTIONS:
            # its own terms are the last axis of its argument
            mine.discard(len(loop.shape) + scalar.level)
        found[scalar] = frozenset(mine)
    return found


def nest(arrays: list[Ints]) -> tuple[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] | None:
    """Find the loops in which all index arrays advance by constant distances.

    Parameters
    ----------
    arrays : list of int array [n, terms...]

    Returns
    -------
    shape : tuple of int
        Of the loops, their product is n.
    accesses : list of (int, tuple of int)
        First index of each array, and its distance in each loop, then in each axis of terms.
    None
        If there are no such loops.
    """
    tails: list[tuple[int, ...]] = []
    heads: list[Ints] = []
    for array in arrays:
        steps = []
        while array.ndim > 1:
            distance = np.diff(array, axis=-1)
            if distance.size and (distance != distance.flat[0]).any():
                return None
            steps.append(int(distance.flat[0]) if distance.size else 0)
            array = array[..., 0]
        tails.append(tuple(reversed(steps)))
        heads.append(array)
    starts = [int(head[0]) for head in heads]
    shape: list[int] = []
    distances: list[list[int]] = [[] for _ in heads]
    while (n := len(heads[0])) > 1:
        first = n
        for head in heads:
            distance = np.diff(head)
            breaks = np.nonzero(distance != distance[0])[0]
            first = min(first, int(breaks[0]) + 1 if breaks.size else n)
        for inner in (p for p in range(first, 1, -1) if n % p == 0):
            rows = [head.reshape(-1, inner) for head in heads]
            if all((np.diff(row, axis=1) == row[0, 1] - row[0, 0]).all() for row in rows):
                break
        else:
            return None
        shape.append(inner)
        for row, mine in zip(rows, distances, strict=True):
            mine.append(int(row[0, 1] - row[0, 0]))
        heads = [row[:, 0] for row in rows]
    accesses = [
        (start, (*reversed(mine), *tail))
        for start, mine, tail in zip(starts, distances, tails, strict=True)
    ]
    return tuple(reversed(shape)), accesses


def array_key(at: Ints) -> bytes:
    """Return a key that is equal for equal index arrays only."""
    return bytes(str(at.shape), "ascii") + np.ascontiguousarray(at).tobytes()

"""Tensors of a traced step as values of a graph, with constant shapes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.tvm.intervals import Interval, full
from edgeflow.codegen.tvm.values import ELEMENTWISE, Graph, Value
from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import Ints, interpolate, table
from edgeflow.program.matrix import Matrix
from edgeflow.program.traced import Traced

#: Functions of numpy on elements: those that the graph simplifies, and those that it takes as is.
_SIMPLIFIED: Mapping[np.ufunc, Callable[..., Value]] = {
    np.add: Graph.add, np.subtract: Graph.sub, np.multiply: Graph.mul, np.minimum: Graph.min,
    np.maximum: Graph.max, np.remainder: Graph.mod, np.right_shift: Graph.shr,
}  # fmt: skip
_PLAIN = {ELEMENTWISE[op]: op for op in ("neg", "abs", "lt", "le", "gt", "ge", "eq")}
_LOGIC = {np.bitwise_and: "both", np.bitwise_or: "either"}


class Tensor(Traced):
    """A value of a graph; numbers and arrays that it meets become constants.

    Parameters
    ----------
    graph : Graph
    value : Value
    """

    def __init__(self, graph: Graph, value: Value) -> None:
        self.graph, self.value = graph, value

    def _of(self, value: Any) -> Value:
        return value.value if isinstance(value, Tensor) else self.graph.const(value)

    def _number(self, value: Any) -> Value:
        """Return a value whose elements are numbers, where they may be truth values."""
        value, g = self._of(value), self.graph
        return g.where(value, g.const(1), g.const(0)) if value.is_bool else value

    def _moved(self, change: Callable[[Ints], Ints]) -> "Tensor":
        return Tensor(self.graph, self.graph.rearrange(self._number(self), change))

    def wrapped(self, bits: int) -> Value:
        """Return the value as integers of 16 or 32 bits, which wrap."""
        return self.graph.wrap(self._number(self), bits)

    # elements

    def elementwise(self, ufunc: np.ufunc, *inputs: Any) -> "Tensor":
        g = self.graph
        values = [self._of(value) for value in inputs]
        if ufunc in _LOGIC and all(value.is_bool for value in values):
            return Tensor(g, g.of(_LOGIC[ufunc], *values))
        values = [self._number(value) for value in inputs]
        if ufunc in _SIMPLIFIED:
            return Tensor(g, _SIMPLIFIED[ufunc](g, *values))
        if ufunc in _PLAIN:
            return Tensor(g, g.of(_PLAIN[ufunc], *values))
        if ufunc is np.left_shift:
            return Tensor(g, g.mul(values[0], g.pow2(values[1])))
        if ufunc is np.bitwise_and and isinstance(mask := inputs[1], int) and not mask & (mask + 1):
            return Tensor(g, g.mod(values[0], g.const(mask + 1)))
        if ufunc is np.matmul:
            return Tensor(g, self._product(*values))
        raise ProgramError(f"TVM has no translation of numpy.{ufunc.__name__} yet")

    def _product(self, a: Value, b: Value) -> Value:
        shape = (*a.shape[:-1], b.shape[1], b.shape[0])
        g = self.graph
        rows = g.rearrange(a, lambda at: np.broadcast_to(at[..., None, :], shape))
        columns = g.rearrange(b, lambda at: np.broadcast_to(at.T, shape))
        return g.reduce("sum", g.mul(rows, columns), _terms(shape, -1))

    def where(self, condition: Any, a: Any, b: Any) -> "Tensor":
        g = self.graph
        return Tensor(g, g.where(self._of(condition), self._number(a), self._number(b)))

    def astype(self, dtype: Any) -> "Tensor":
        return self

    # layout

    def concatenate(self, parts: Sequence[Any], axis: int = 0) -> "Tensor":
        return Tensor(self.graph, self.graph.concat([self._number(part) for part in parts], axis))

    def pad(self, value: Any, widths: tuple[tuple[int, int], tuple[int, int]]) -> "Tensor":
        result = self._number(value)
        for axis, ends in enumerate(widths):
            parts = [result]
            for size, place in zip(ends, (0, 2), strict=True):
                shape = [*result.shape[:axis], size, *result.shape[axis + 1 :]]
                parts[place:place] = [self.graph.const(np.zeros(shape))] if size else []
            result = self.graph.concat(parts, axis) if len(parts) > 1 else result
        return Tensor(self.graph, result)

    def split(self, parts: int) -> list["Tensor"]:
        size = self.value.shape[-1] // parts
        return [self[..., k * size : (k + 1) * size] for k in range(parts)]

    def reshape(self, *sizes: int) -> "Tensor":
        return self._moved(lambda at: at.reshape(sizes))

    def __getitem__(self, at: Any) -> "Tensor":
        if not isinstance(at, Tensor):
            return self._moved(lambda positions: positions[at])
        table, index = self.value, self._number(at)
        if table.op not in ("table", "array") or len(table.shape) != 1:
            raise ProgramError("positions that are computed need a one-dimensional table or array")
        if index.range.lo.min() < 0 or index.range.hi.max() >= table.size:
            raise ProgramError(f"a position may lie outside of the {table.size} elements")
        return Tensor(self.graph, self.graph.gather(table, index))

    @property
    def T(self) -> "Tensor":  # noqa: N802 - numpy's name
        return self._moved(np.transpose)

    @property
    def size(self) -> int:
        return self.value.size

    # reductions and tables

    def sum(self, axis: int, keepdims: bool = False) -> "Tensor":
        value, g = self._number(self), self.graph
        result = Tensor(g, g.reduce("sum", value, _terms(value.shape, axis)))
        return result._moved(lambda at: np.expand_dims(at, axis)) if keepdims else result

    def largest(self, count: int) -> "Tensor":
        value, g = self._number(self), self.graph
        return Tensor(g, g.reduce("top", value, _terms(value.shape, -1), count))

    def table(self, name: str) -> "Tensor":
        return Tensor(self.graph, self.graph.leaf("table", name, exactly(table(name))))

    def lookup(self, name: str) -> Any:
        nodes: Any = self.table(name)
        return interpolate(nodes, self + (1 << 15), 8)


class Product(Matrix):
    """A matrix of a traced layer: its products are calls in C, which hold x and apply factors."""

    field: str

    def hold(self, x: Any, held: Any) -> Any:
        return x

    def apply(self, x: Any) -> Any:
        read = x.wrapped(16)
        if (self.threshold or self.factor) and read.op != "input":
            raise ProgramError(f"the matrix {self.field} must read x or a state as it is")
        known = full((*read.shape[:-1], self.rows), -32768, 32767)
        return Tensor(x.graph, x.graph.leaf("matvec", self.field, known, (read,)))


def exactly(array: NDArray[Any]) -> Interval:
    """Return the interval of a constant."""
    values = np.asarray(array, dtype=np.int64)
    return Interval(values, values)


def _terms(shape: tuple[int, ...], axis: int) -> Ints:
    """Return positions [*kept, terms] of what is reduced along an axis."""
    return np.moveaxis(np.arange(int(np.prod(shape))).reshape(shape), axis, -1)

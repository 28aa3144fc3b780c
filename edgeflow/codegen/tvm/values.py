"""Integer tensors as expressions of a layer's inputs, with an interval for every element.

A `Graph` makes `Value` nodes, each once. Their intervals prove which arithmetic fits 32 bits, and
drop what cannot happen: a clip that never clips, a branch that is never taken. Shapes are constant.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.tvm import intervals
from edgeflow.codegen.tvm.intervals import Interval, fits
from edgeflow.program.fixedpoint import Ints

#: Values in memory; "matvec" is the result of a matrix kernel, "stored" a copy.
LEAVES = ("input", "array", "table", "matvec", "stored")
COMPARISONS: dict[str, Callable[..., Any]] = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
}  # fmt: skip
#: Operators on elements, as numpy computes them on constants.
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "neg": np.negative,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "shr": np.right_shift,
    "and": np.bitwise_and,
    "pow2": lambda e: np.left_shift(1, e),
    "mod": np.mod,
    "both": np.logical_and,
    "either": np.logical_or,
    "where": np.where,
    "wrap16": lambda a: a.astype(np.int16),
    "wrap32": lambda a: a.astype(np.int32),
    **COMPARISONS,
}
BOOLEAN = {*COMPARISONS, "both", "either"}
_NO_INDEX = np.empty(0, np.int64)


class Value:
    """A tensor: `op` applied to `args`, made by a `Graph`.

    Attributes
    ----------
    op : str
        One of `ELEMENTWISE`, `LEAVES`, "const"; "view": of one argument; "concat": of the
        arguments, flattened, then taken at `index`; "gather": of a table at an index; "sum": over
        the last axis of `index`; "top": the `key` largest over it, which makes them the last axis.
    shape : tuple of int
    range : Interval
        Of every element.
    index : int array
        Flat positions in the argument (in all arguments together for "concat"): of a view
        [*shape], of a reduction [*outer, terms]; else empty.
    key : Any
        What else tells it from others: a leaf's name.
    id : int
        Arguments have smaller ones.
    """

    def __init__(
        self,
        op: str,
        args: tuple["Value", ...],
        shape: tuple[int, ...],
        id: int,
        index: Ints,
        key: Any,
    ) -> None:
        self.op, self.args, self.shape, self.id = op, args, shape, id
        self.index, self.key = index, key
        self.range: Interval
        self.below = 1 << id
        self.compared: dict[Value, set[int]] = {}  # what is compared with which constants, below
        for arg in args:
            self.below |= arg.below
            for value, bounds in arg.compared.items():
                self.compared[value] = self.compared.get(value, set()) | bounds

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def const(self) -> NDArray[np.int64] | None:
        """The elements if they are constants of the layer that need no memory."""
        return self.range.lo if self.op == "const" else None

    @property
    def scalar(self) -> int | None:
        """The number if all elements are one constant."""
        if self.op != "const" or not self.size:
            return None
        first = int(self.range.lo.flat[0])
        return first if (self.range.lo == first).all() else None

    @property
    def is_bool(self) -> bool:
        return self.op in BOOLEAN


class Graph:
    """Makes values; the same operator of the same arguments is made once."""

    def __init__(self) -> None:
        self._made: dict[Any, Value] = {}

    # leaves

    def const(self, array: Any) -> Value:
        values = np.asarray(array, dtype=np.int64)
        known = Interval(values, values)
        return self._make("const", (), values.shape, key=values.tobytes(), known=known)

    def leaf(self, op: str, name: str, known: Interval, args: tuple[Value, ...] = ()) -> Value:
        """Return a value in memory: one of `LEAVES`, its elements within `known`."""
        return self._make(op, args, known.lo.shape, key=name, known=known)

    # layout

    def view(self, value: Value, index: Ints, shape: Sequence[int] | None = None) -> Value:
        """Return the elements at the flat positions `index`."""
        index = np.asarray(index, dtype=np.int64)
        index = index if shape is None else index.reshape(tuple(shape))
        if value.op == "view":
            value, index = value.args[0], value.index.reshape(-1)[index]
        if index.shape == value.shape and (index.reshape(-1) == np.arange(value.size)).all():
            return value
        if value.op == "const":
            return self.const(value.range.lo.reshape(-1)[index])
        if value.op == "pow2":
            return self.of("pow2", self.view(value.args[0], index))
        return self._make("view", (value,), index.shape, index)

    def rearrange(self, value: Value, change: Callable[[Ints], Ints]) -> Value:
        """Return `value` changed by a function of numpy that only moves elements."""
        return self.view(value, change(np.arange(value.size).reshape(value.shape)))

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        if all(part.op == "const" for part in parts):
            return self.const(np.concatenate([part.range.lo for part in parts], axis))
        start, positions = 0, []
        for part in parts:
            positions.append(np.arange(start, start + part.size).reshape(part.shape))
            start += part.size
        index = np.concatenate(positions, axis)
        return self._make("concat", tuple(parts), index.shape, index)

    # reductions

    def reduce(self, op: str, value: Value, index: Ints, key: int = 0) -> Value:
        """Return "sum" or "top" over the last axis of `index`, [*outer, terms]."""
        shape = index.shape[:-1] + ((key,) if op == "top" else ())
        return self._make(op, (value,), shape, index, key)

    def gather(self, table: Value, index: Value) -> Value:
        """Return the elements of the one-dimensional `table` at `index`."""
        return self._make("gather", (table, index), index.shape)

    # elements

    def add(self, a: Value, b: Value) -> Value:
        if a.op == "const":
            a, b = b, a
        return a if _neutral(a, b, 0) else self.of("add", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return a if _neutral(a, b, 0) else self.of("sub", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        if a.op == "const":
            a, b = b, a
        if _neutral(a, b, 1):
            return a
        exponents = exponent(self, a), exponent(self, b)
        if exponents[0] and exponents[1]:
            return self.pow2(self.add(exponents[0], exponents[1]))
        return self.of("mul", a, b)

    def mod(self, x: Value, unit: Value) -> Value:
        """Return x mod unit, of the sign of `unit`."""
        width = exponent(self, unit)
        if width is None:
            return self.of("mod", x, unit)
        if width.scalar == 0:
            return self.const(0)
        moved = x.op == "add" and x.args[1].op == "const" and x.shape == x.args[0].shape
        if moved and unit.scalar is not None and not (x.args[1].range.lo % unit.scalar).any():
            x = x.args[0]  # what is added does not reach the bits that are left
        return self.of("and", x, self.sub(unit, self.const(1)))

    def shr(self, x: Value, down: Value) -> Value:
        """Return ``floor(x / 2^down)``."""
        k = down.scalar
        if k == 0:
            return x
        if k is None or down.size != 1:
            return self.of("shr", x, down)
        if x.op == "add" and x.args[1].op == "const" and x.shape == x.args[0].shape:
            rest = x.args[1]
            if (rest.range.lo % (1 << k) == 0).all():
                return self.add(self.shr(x.args[0], down), self.const(rest.range.lo >> k))
        return self.of("shr", x, down)

    def narrow(self, value: Value) -> Value:
        """Return ``(a f + c) >> k`` without its wide product, where that helps; else `value`.

        With ``a = (a >> k) 2^k + (a mod 2^k)`` the first part of the product needs no shift.
        """
        if value.op != "shr" or fits(value.args[0].range, 32):
            return value
        x, down = value.args
        rest = self.const(0)
        if x.op == "add" and x.args[1].op == "const":
            x, rest = x.args
        if x.op != "mul" or down.scalar is None:
            return value
        a, factor = x.args
        high = self.mul(self.shr(a, down), factor)
        low = self.add(self.mul(self.mod(a, self.const(1 << down.scalar)), factor), rest)
        if not all(fits(part.range, 32) for part in (a, factor, high, low, value)):
            return value
        return self.add(high, self.shr(low, down))

    def pow2(self, e: Value) -> Value:
        if e.op == "const":
            return self.const(np.left_shift(np.int64(1), e.range.lo))
        return self.of("pow2", e)

    def min(self, a: Value, b: Value) -> Value:
        return self._choose("min", a, b)

    def max(self, a: Value, b: Value) -> Value:
        return self._choose("max", a, b)

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        known = condition.range
        shape = np.broadcast_shapes(condition.shape, a.shape, b.shape)
        for chosen, always in ((a, known.lo), (b, 1 - known.hi)):
            if always.size and (always == 1).all() and chosen.shape == shape:
                return chosen
        up, down = exponent(self, a), exponent(self, b)
        if up and down:
            return self.pow2(self.where(condition, up, down))
        return self.of("where", condition, a, b)

    def wrap(self, x: Value, bits: int) -> Value:
        """Return x as an integer of `bits` bits: 16, 32 or 64, which wraps."""
        return x if bits == 64 or fits(x.range, bits) else self.of(f"wrap{bits}", x)

    def of(self, op: str, *args: Value) -> Value:
        """Return an operator of `ELEMENTWISE` that nothing simplifies but constants."""
        if all(arg.op == "const" for arg in args):
            return self.const(ELEMENTWISE[op](*(arg.range.lo for arg in args)))
        return self._make(op, args, np.broadcast_shapes(*(arg.shape for arg in args)))

    # making

    def _choose(self, op: str, a: Value, b: Value) -> Value:
        shape = np.broadcast_shapes(a.shape, b.shape)
        for one, other in ((a, b), (b, a)):
            below = (
                one.range.hi <= other.range.lo if op == "min" else one.range.lo >= other.range.hi
            )
            if np.all(below) and one.shape == shape:
                return one
        return self.of(op, a, b)

    def _make(
        self, op: str, args: tuple[Value, ...], shape: tuple[int, ...],
        index: Ints = _NO_INDEX, key: Any = None, known: Interval | None = None,
    ) -> Value:  # fmt: skip
        full = (op, tuple(arg.id for arg in args), shape, index.shape, index.tobytes(), key)
        if full not in self._made:
            value = Value(op, args, shape, len(self._made), index, key)
            if op in COMPARISONS and args[1].scalar is not None:
                cut = args[1].scalar + (op in ("le", "gt"))  # the first number above, or at it
                value.compared[args[0]] = value.compared.get(args[0], set()) | {cut}
            value.range = intervals.of(value) if known is None else known
            self._made[full] = value
        return self._made[full]


def every_value(roots: Iterable[Value]) -> list[Value]:
    """Return the values that some depend on, these included, arguments first."""
    found: dict[int, Value] = {}
    stack = list(roots)
    while stack:
        value = stack.pop()
        if value.id not in found:
            found[value.id] = value
            stack += value.args
    return [found[id] for id in sorted(found)]


def _neutral(a: Value, b: Value, number: int) -> bool:
    """Tell whether b is that number and leaves the shape of a as it is."""
    return b.scalar == number and np.broadcast_shapes(a.shape, b.shape) == a.shape


def exponent(graph: Graph, value: Value) -> Value | None:
    """Return e if `value` is ``2^e``, by construction."""
    if value.op == "pow2":
        return value.args[0]
    if value.op == "const" and value.size:
        numbers = value.range.lo
        if (numbers > 0).all() and (numbers & (numbers - 1) == 0).all():
            return graph.const(np.round(np.log2(numbers.astype(np.float64))).astype(np.int64))
    return None

"""Integer operations of a step, on elements that each have a number of their own.

A `Lane` is an array of such numbers: what numpy does with axes is done with the numbers, at the
trace, and costs nothing when the step runs. The first axis, of streams, has the size 1.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import INT16_MAX, INT16_MIN, INT32_MAX, table
from edgeflow.program.traced import Traced

Numbers = NDArray[np.int64]
Interval = tuple[int, int]

INT16: Interval = (INT16_MIN, INT16_MAX)
INT32: Interval = (-INT32_MAX - 1, INT32_MAX)
INT64: Interval = (-(1 << 63), (1 << 63) - 1)

#: Bits of constants that code tells apart: that of another program's weights is the same.
_CLASSES = (5, 8, 15, 16, 24, 31, 32, 48, 63)
_BINARY = {
    np.add: "add", np.subtract: "subtract", np.multiply: "multiply", np.minimum: "minimum",
    np.maximum: "maximum", np.less: "less", np.less_equal: "less_equal", np.greater: "greater",
    np.greater_equal: "greater_equal", np.equal: "equal", np.not_equal: "not_equal",
    np.left_shift: "left_shift", np.right_shift: "right_shift", np.bitwise_and: "bitwise_and",
    np.bitwise_or: "bitwise_or", np.negative: "negative", np.absolute: "absolute",
}  # fmt: skip
_TRUTHS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}


def within(inner: Interval, outer: Interval) -> bool:
    """Tell whether an interval is a part of another one."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def width_of(interval: Interval) -> int:
    """Return the bits of the C type that holds an interval: 16, 32 or 64."""
    return 16 if within(interval, INT16) else 32 if within(interval, INT32) else 64


@dataclass(frozen=True)
class Operand:
    """What an operation reads for each of its elements: a number, constants or other elements.

    Attributes
    ----------
    interval : (int, int)
    literal : int or None
    constant : int64 array [size] or None
    elements : int64 array [size] or None
    width : int
        Bits of the type that holds the elements.
    """

    interval: Interval
    literal: int | None = None
    constant: Numbers | None = None
    elements: Numbers | None = None
    width: int = 64


@dataclass(eq=False)
class Op:
    """An operation: `size` elements from the number `base` on.

    Attributes
    ----------
    kind : str
        "input" of nothing; "product", "sum", "largest", with a loop of their own; else elementwise.
    details : dict
        What is particular to the kind.
    due : int or None
        Element that tells whether a stream runs it at this step; None: all do, always.
    """

    kind: str
    base: int
    size: int
    width: int
    operands: Sequence[Operand] = ()
    details: dict[str, Any] = field(default_factory=dict)
    due: int | None = None

    @property
    def own(self) -> Numbers:
        """Numbers of its elements."""
        return np.arange(self.base, self.base + self.size)


class Graph:
    """Operations in the order in which they were traced.

    Parameters
    ----------
    lenient : bool
        Only intervals are of interest: products may read more than int16.

    Attributes
    ----------
    due : int or None
        That of the operations which are added next.
    """

    def __init__(self, lenient: bool = False) -> None:
        self.lenient = lenient
        self.due: int | None = None
        self.ops: list[Op] = []
        self.bases: list[int] = []
        self.elements = 0

    def add(
        self,
        kind: str,
        shape: Sequence[int],
        interval: Interval,
        operands: Sequence[Operand] = (),
        width: int | None = None,
        **details: Any,
    ) -> "Lane":
        """Append an operation; return its result of that shape."""
        size = int(np.prod(shape))
        if size == 0:
            return Lane(self, interval, np.zeros(shape, np.int64), None, 16)
        op = Op(kind, self.elements, size, width or width_of(interval), operands, details, self.due)
        self.ops.append(op)
        self.bases.append(op.base)
        self.elements += size
        return Lane(self, interval, op.own.reshape(shape), None, op.width)

    def owners(self, elements: Numbers) -> list[Op]:
        """Return the operations that give elements."""
        if len(elements) == 0:
            return []
        first = self.ops[bisect_right(self.bases, int(elements.min())) - 1]
        if elements.max() < first.base + first.size:
            return [first]
        found = np.searchsorted(self.bases, elements, side="right") - 1
        return [self.ops[k] for k in np.unique(found)]


def _interval_of(values: NDArray[Any]) -> Interval:
    """Return an interval around constants that is the same for most values of their kind."""
    if values.size == 0:
        return (0, 0)
    low, high = int(values.min()), int(values.max())
    bits = max(high.bit_length(), (-1 - low).bit_length() if low < 0 else 0)
    bits = next(b for b in _CLASSES if b >= bits)
    return (-(1 << bits) if low < 0 else int(low >= 1), (1 << bits) - 1)


class Lane(Traced):
    """An array of elements of a graph, or of constants; one of its shape for each stream.

    Parameters
    ----------
    graph : Graph
    interval : (int, int)
        Within which all are.
    elements : int64 array or None
        Their numbers.
    constant : int64 array or None
    width : int
        Bits of the type that holds them.
    """

    def __init__(
        self,
        graph: Graph,
        interval: Interval,
        elements: Numbers | None,
        constant: Numbers | None = None,
        width: int = 64,
    ) -> None:
        self.graph, self.interval, self.width = graph, interval, width
        self.elements, self.constant = elements, constant

    @classmethod
    def of(cls, graph: Graph, value: Any) -> "Lane":
        """Return constants as what they are computed with."""
        array = np.asarray(value)
        if array.dtype.kind not in "iub":
            raise ProgramError(f"a step cannot compute with {array.dtype}")
        array = array.astype(np.int64)
        return cls(graph, _interval_of(array), None, array)

    @classmethod
    def any(cls, graph: Graph, value: Any) -> "Lane":
        """Return a value, or constants, as a `Lane`."""
        return value if isinstance(value, Lane) else cls.of(graph, value)

    @property
    def array(self) -> Numbers:
        """The constants, or the numbers of the elements."""
        array = self.elements if self.constant is None else self.constant
        assert array is not None
        return array

    def _moved(self, array: Numbers) -> "Lane":
        """Return other elements of this."""
        elements, constant = (array, None) if self.constant is None else (None, array)
        return Lane(self.graph, self.interval, elements, constant, self.width)

    def operand(self, shape: Sequence[int]) -> Operand:
        """Return this as an operation of a shape reads it."""
        flat = np.broadcast_to(self.array, shape).ravel()
        if self.constant is not None:
            return Operand(self.interval, constant=flat)
        return Operand(self.interval, elements=flat, width=self.width)

    def _input(self, value: Any) -> "Lane | int":
        if isinstance(value, Lane):
            return value
        if isinstance(value, int | np.integer | np.bool_):
            return int(value)
        return Lane.of(self.graph, value)

    def _apply(self, kind: str, *values: Any, **details: Any) -> "Lane":
        inputs = [self._input(value) for value in values]
        shape = np.broadcast_shapes(*(v.shape for v in inputs if isinstance(v, Lane)))
        operands = [
            Operand((v, v), literal=v) if isinstance(v, int) else v.operand(shape) for v in inputs
        ]
        interval = _result(kind, [operand.interval for operand in operands])
        return self.graph.add(kind, shape, interval, operands, **details)

    # elements

    def elementwise(self, ufunc: np.ufunc, *inputs: Any) -> Any:
        known = [self._input(value) for value in inputs]
        if all(isinstance(v, int) or v.constant is not None for v in known):
            numbers = [np.int64(v) if isinstance(v, int) else v.constant for v in known]
            return Lane.of(self.graph, ufunc(*numbers))
        if ufunc is np.matmul:
            return self._matmul(*known)
        if ufunc not in _BINARY:
            raise ProgramError(f"numpy.{ufunc.__name__} has no form in lanes")
        return self._apply(_BINARY[ufunc], *known)

    def _matmul(self, a: Any, b: Any) -> "Lane":
        if not isinstance(b, Lane) or b.constant is None or b.constant.ndim != 2:
            raise ProgramError("a step can only multiply by a constant matrix")
        return product(a, b.constant.T)

    def where(self, condition: Any, a: Any, b: Any) -> "Lane":
        return self._apply("where", condition, a, b)

    def astype(self, dtype: Any) -> "Lane":
        return self

    # layout

    def concatenate(self, parts: Sequence[Any], axis: int = 0) -> "Lane":
        lanes = [Lane.any(self.graph, part) for part in parts]
        if all(lane.constant is not None for lane in lanes):
            return Lane.of(self.graph, np.concatenate([lane.array for lane in lanes], axis))
        width = max(lane.width for lane in lanes if lane.constant is None)
        interval = min(v.interval[0] for v in lanes), max(v.interval[1] for v in lanes)
        width = max(width, width_of(interval))
        alike = [
            lane.array
            if lane.constant is None and lane.width == width
            else self.graph.add(
                "copy", lane.shape, lane.interval, [lane.operand(lane.shape)], width
            ).array
            for lane in lanes
        ]
        return Lane(self.graph, interval, np.concatenate(alike, axis), None, width)

    def pad(self, value: Any, widths: tuple[tuple[Any, Any], tuple[Any, Any]]) -> "Lane":
        (_, _), (left, right) = widths
        rows = len(value.array)
        sides = [np.zeros((rows, size), np.int64) for size in (left, right)]
        return self.concatenate([sides[0], value, sides[1]], axis=1)

    def split(self, parts: int) -> list["Lane"]:
        return [self._moved(part) for part in np.split(self.array, parts, axis=-1)]

    def reshape(self, *sizes: Any) -> "Lane":
        return self._moved(self.array.reshape(*sizes))

    def __getitem__(self, at: Any) -> "Lane":
        if not isinstance(at, Lane):
            return self._moved(self.array[at])
        if at.constant is not None:
            return self._moved(self.array[at.constant])
        if self.constant is None or self.constant.ndim != 1:
            raise ProgramError("a step can only look up constants")
        if not within(at.interval, (0, self.constant.size - 1)):
            at = at.clamped(0, self.constant.size - 1)  # the interval is wider than what is reached
        nodes = Operand(self.interval, constant=self.constant)
        operands = [at.operand(at.shape)]
        return self.graph.add("gather", at.shape, self.interval, operands, table=nodes)

    def clamped(self, low: int, high: int) -> "Lane":
        """Return values within limits, which they leave by no input."""
        return self._apply("minimum", self._apply("maximum", self, low), high)

    @property
    def T(self) -> "Lane":  # noqa: N802 - numpy's name
        return self._moved(self.array.T)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.size

    def __len__(self) -> int:
        return len(self.array)

    # reductions and tables

    def sum(self, axis: int, keepdims: bool = False) -> "Lane":
        if self.constant is not None:
            return Lane.of(self.graph, self.constant.sum(axis=axis, keepdims=keepdims))
        if self.size == 0:
            return Lane.of(self.graph, np.zeros_like(self.array).sum(axis=axis, keepdims=keepdims))
        moved = np.moveaxis(self.array, axis, -1)
        count = moved.shape[-1]
        interval = _fit(self.interval[0] * count, self.interval[1] * count)
        result = self._reduced("sum", moved, 1, interval)
        return result.reshape(*moved.shape[:-1]) if not keepdims else self._kept(result, axis)

    def _kept(self, result: "Lane", axis: int) -> "Lane":
        shape = list(self.shape)
        shape[axis] = 1
        return result.reshape(*shape)

    def _reduced(self, kind: str, moved: Numbers, count: int, interval: Interval) -> "Lane":
        """Return [..., count] of the last axis of numbers."""
        operand = Operand(self.interval, elements=moved.ravel(), width=self.width)
        shape = (*moved.shape[:-1], count)
        return self.graph.add(kind, shape, interval, [operand], of=moved.shape[-1], count=count)

    def largest(self, count: int) -> "Lane":
        return self._reduced("largest", self.array, count, self.interval)

    def table(self, name: str) -> "Lane":
        return Lane.of(self.graph, table(name))

    def lookup(self, name: str) -> "Lane":
        if not within(self.interval, INT16):
            raise ProgramError(f"a table is read at {self.interval}, beyond int16")
        low = 0 if name in ("sigmoid", "reciprocal", "log2") else -INT16_MAX
        return self.graph.add(
            "lookup", self.shape, (low, INT16_MAX), [self.operand(self.shape)], table=name
        )


def product(x: Any, weight: NDArray[Any], requantized: Any = None) -> Lane:
    """Return ``x @ weight.T``, whose sums are proven to fit int32.

    Parameters
    ----------
    x : Lane [..., cols]
    weight : int array [rows, cols]
        Within int16.
    requantized : Matrix, optional
        Whose bias, multiplier and shift the sums go through.
    """
    fits = within(x.interval, INT16) or x.graph.lenient
    if not fits or not within(_interval_of(weight), INT16):
        raise ProgramError(f"a product reads {x.interval}, beyond int16")
    elements = x.array
    if x.constant is not None or x.width != 16:
        copied = x.graph.add("copy", x.shape, x.interval, [x.operand(x.shape)], 16)
        elements = copied.array
    operand = Operand(x.interval, elements=elements.ravel(), width=16)
    return x.graph.add(
        "product", (*x.shape[:-1], len(weight)), INT32 if requantized is None else INT16,
        [operand], weight=weight, matrix=requantized,
    )  # fmt: skip


def _fit(low: int, high: int) -> Interval:
    """Return an interval, or that of int64 if numbers wrap."""
    return (low, high) if within((low, high), INT64) else INT64


def _result(kind: str, given: Sequence[Interval]) -> Interval:
    """Return within what the results of an operation are."""
    if kind in _TRUTHS:
        return (0, 1)
    (low, high), *rest = given
    if kind == "negative":
        return _fit(-high, -low)
    if kind == "absolute":
        return _fit(0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high)))
    other_low, other_high = rest[0]
    if kind == "add":
        return _fit(low + other_low, high + other_high)
    if kind == "subtract":
        return _fit(low - other_high, high - other_low)
    if kind == "minimum":
        return min(low, other_low), min(high, other_high)
    if kind == "maximum":
        return max(low, other_low), max(high, other_high)
    if kind == "where":
        return min(other_low, rest[1][0]), max(other_high, rest[1][1])
    if kind in ("bitwise_and", "bitwise_or"):
        return _bits(kind, given)
    if kind == "multiply":
        ends = [a * b for a in (low, high) for b in rest[0]]
        return _fit(min(ends), max(ends))
    first, last = max(0, min(other_low, 63)), max(0, min(other_high, 63))
    if kind == "left_shift":
        ends = [a << b for a in (low, high) for b in (first, last)]
        return _fit(min(ends), max(ends))
    ends = [a >> b for a in (low, high) for b in (first, last)]
    return min(ends), max(ends)


def _bits(kind: str, given: Sequence[Interval]) -> Interval:
    masks = [high for low, high in given if low >= 0]
    if kind == "bitwise_and" and masks:
        return 0, min(masks)
    bits = max(max(high.bit_length(), (-1 - low).bit_length() if low < 0 else 0)
               for low, high in given)  # fmt: skip
    return (0 if len(masks) == len(given) else -(1 << bits)), (1 << bits) - 1

"""ONNX operators as values of a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgeflow.codegen.tvm.values import Graph, Value
from edgeflow.program.fixedpoint import Ints

_INT_BITS = {onnx.TensorProto.INT16: 16, onnx.TensorProto.INT32: 32, onnx.TensorProto.INT64: 64}


class Unsupported(Exception):
    """What an operator asks for that there is no translation of."""


def _numbers(value: Value | None, what: str) -> list[int]:
    """Return the elements of a constant."""
    if value is None or value.const is None:
        raise Unsupported(f"{what} must be constant")
    return [int(number) for number in value.const.reshape(-1)]


def _constant(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    (value,) = attributes.values()
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    return g.const(value)


def _cast(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    (x,), kind = args, attributes["to"]
    if kind == onnx.TensorProto.BOOL:
        return x if x.is_bool else g.of("not", g.of("eq", x, g.const(0)))
    if kind not in _INT_BITS:
        raise Unsupported(f"type {onnx.TensorProto.DataType.Name(kind)} is no integer of 16..64")
    if x.is_bool:
        return g.where(x, g.const(1), g.const(0))
    return g.wrap(x, _INT_BITS[kind])


def _split(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> list[Value]:
    x, axis = args[0], attributes.get("axis", 0)
    sizes = args[1] if len(args) > 1 else None
    length = x.shape[axis]
    part = -(-length // outputs)
    ends = np.arange(part, length, part)
    if sizes is not None:
        ends = np.cumsum(_numbers(sizes, "sizes"))[:-1]
    positions = np.split(np.arange(x.size).reshape(x.shape), ends, axis)
    return [g.view(x, position) for position in positions]


def _slice(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    x, starts, ends, axes, steps = (*args, None, None)[:5]
    starts, ends = _numbers(starts, "starts"), _numbers(ends, "ends")
    axes = range(len(starts)) if axes is None else _numbers(axes, "axes")
    steps = [1] * len(starts) if steps is None else _numbers(steps, "steps")
    cut = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if step < 1:
            raise Unsupported(f"step {step} is not positive")
        cut[axis] = slice(start, end, step)
    return g.rearrange(x, lambda at: at[tuple(cut)])


def _pad(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    x, pads = args[0], _numbers(args[1], "pads")
    if attributes.get("mode", b"constant") != b"constant" or min(pads) < 0 or len(args) > 3:
        raise Unsupported("only constants can be put around")
    filler = _numbers(args[2], "the constant")[0] if len(args) > 2 and args[2] else 0
    ends = zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True)
    for axis, (before, after) in enumerate(ends):
        parts = [x]
        for size, place in ((before, 0), (after, len(parts) + 1)):
            if size:
                shape = [*x.shape[:axis], size, *x.shape[axis + 1 :]]
                parts.insert(place, g.const(np.full(shape, filler)))
        x = g.concat(parts, axis) if len(parts) > 1 else x
    return x


def _shape(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    return g.const(np.array(args[0].shape[attributes.get("start", 0) : attributes.get("end")]))


def _reshape(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    x, shape = args[0], _numbers(args[1], "the shape")
    shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return g.rearrange(x, lambda at: at.reshape(shape))


def _flatten(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    rows = int(np.prod(args[0].shape[: attributes.get("axis", 1)], dtype=np.int64))
    return g.rearrange(args[0], lambda at: at.reshape(rows, -1))


def _unsqueeze(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    axes = tuple(_numbers(args[1], "axes"))
    return g.rearrange(args[0], lambda at: np.expand_dims(at, axes))


def _squeeze(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    axes = tuple(_numbers(args[1], "axes")) if len(args) > 1 else None
    return g.rearrange(args[0], lambda at: np.squeeze(at, axes))


def _expand(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    shape = np.broadcast_shapes(args[0].shape, tuple(_numbers(args[1], "the shape")))
    return g.rearrange(args[0], lambda at: np.broadcast_to(at, shape))


def _transpose(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    return g.rearrange(args[0], lambda at: at.transpose(attributes.get("perm")))


def _concat(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    return g.concat(args, attributes["axis"])


def _gather(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    data, index = args
    axis = attributes.get("axis", 0)
    if index.const is not None:
        return g.rearrange(data, lambda at: np.take(at, index.const, axis))
    if data.op not in ("table", "array") or len(data.shape) != 1:
        raise Unsupported("positions that are computed need a one-dimensional table or array")
    if index.range.lo.min() < 0 or index.range.hi.max() >= data.size:
        raise Unsupported(f"a position may lie outside of the {data.size} elements")
    return g.gather(data, index)


def _pow(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    base, power = args
    if base.scalar != 2 or power.range.lo.min() < 0 or power.range.hi.max() > 62:
        raise Unsupported("only powers of 2 from 0 to 62 fit")
    return g.pow2(power)


def _mod(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    if attributes.get("fmod", 0):
        raise Unsupported("the remainder must have the divisor's sign (fmod=0)")
    return g.mod(*args)


def _fold(kind: Callable[..., Value]) -> Callable[..., Value]:
    """Return Min or Max of any number of arguments."""

    def folded(g: Graph, *args: Value) -> Value:
        result = args[0]
        for arg in args[1:]:
            result = kind(g, result, arg)
        return result

    return folded


def _terms(shape: tuple[int, ...], axes: Sequence[int]) -> Ints:
    """Return positions [*kept, terms] of what is reduced along `axes`."""
    axes = [axis % len(shape) for axis in axes]
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    moved = np.arange(int(np.prod(shape))).reshape(shape).transpose(*kept, *axes)
    return moved.reshape(*(shape[axis] for axis in kept), -1)


def _reduction(op: str) -> Callable[..., Value]:
    def reduced(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
        x = args[0]
        axes = list(range(len(x.shape)))
        if len(args) > 1 and args[1] is not None:
            axes = _numbers(args[1], "axes")
        result = g.reduce(op, x, _terms(x.shape, axes))
        if not attributes.get("keepdims", 1):
            return result
        return g.rearrange(result, lambda at: np.expand_dims(at, tuple(axes)))

    return reduced


def _topk(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> list[Value]:
    x, (count,) = args[0], _numbers(args[1], "k")
    if attributes.get("axis", -1) % len(x.shape) != len(x.shape) - 1:
        raise Unsupported("only along the last axis")
    if not attributes.get("largest", 1) or count > 8:
        raise Unsupported("only up to 8 of the largest")
    # where they are cannot be asked for: nothing reads it
    return [g.reduce("top", x, _terms(x.shape, [-1]), count), g.const(0)]


def _matmul(g: Graph, args: Any, attributes: dict[str, Any], outputs: int) -> Value:
    a, b = args
    if len(b.shape) != 2 or len(a.shape) < 2:
        raise Unsupported("only of [.., n] with [n, m]")
    shape = (*a.shape[:-1], b.shape[1], b.shape[0])
    rows = g.rearrange(a, lambda at: np.broadcast_to(at[..., None, :], shape))
    columns = g.rearrange(b, lambda at: np.broadcast_to(at.T, shape))
    return g.reduce("sum", g.mul(rows, columns), _terms(shape, [-1]))


#: Operators that need nothing but their arguments.
SAME: dict[str, Callable[..., Value]] = {
    "Add": Graph.add,
    "Sub": Graph.sub,
    "Mul": Graph.mul,
    "Div": Graph.div,
    "Min": _fold(Graph.min),
    "Max": _fold(Graph.max),
    "Where": Graph.where,
    "Neg": lambda g, x: g.of("neg", x),
    "Abs": lambda g, x: g.of("abs", x),
    "Less": lambda g, a, b: g.of("lt", a, b),
    "LessOrEqual": lambda g, a, b: g.of("le", a, b),
    "Greater": lambda g, a, b: g.of("gt", a, b),
    "GreaterOrEqual": lambda g, a, b: g.of("ge", a, b),
    "Equal": lambda g, a, b: g.of("eq", a, b),
    "And": lambda g, a, b: g.of("both", a, b),
    "Or": lambda g, a, b: g.of("either", a, b),
    "Not": lambda g, x: g.of("not", x),
    "Identity": lambda g, x: x,
}
#: Functions of the graph, the arguments (None: left out), the attributes and the number of results.
OPERATORS: dict[str, Callable[..., Any]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "MatMul": _matmul,
    "Mod": _mod,
    "Pad": _pad,
    "Pow": _pow,
    "ReduceMax": _reduction("largest"),
    "ReduceSum": _reduction("sum"),
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "TopK": _topk,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

"""Steps as bodies of ONNX functions: standard integer operators, int64 inside, so nothing wraps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgeflow.errors import ProgramError
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node, factor_of
from edgeflow.program.traced import Traced, traced_copy

DOMAIN = "edgeflow"
INT16, INT32, INT64, BOOL = (
    TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL,
)  # fmt: skip

#: Operators on int64, by the function of numpy.
_OPERATORS: Mapping[np.ufunc, str] = {
    np.add: "Add", np.subtract: "Sub", np.multiply: "Mul", np.negative: "Neg",
    np.absolute: "Abs", np.minimum: "Min", np.maximum: "Max", np.remainder: "Mod",
}  # fmt: skip
_COMPARISONS: Mapping[np.ufunc, str] = {
    np.less: "Less", np.less_equal: "LessOrEqual", np.greater: "Greater",
    np.greater_equal: "GreaterOrEqual", np.equal: "Equal",
}  # fmt: skip
_LOGIC: Mapping[np.ufunc, str] = {np.bitwise_and: "And", np.bitwise_or: "Or"}


class Body:
    """The operators of a function; the same operator of the same tensors is there once."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._given: list[onnx.NodeProto] = []
        self._made: dict[Any, list[str]] = {}
        self._count = 0

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """The operators that results depend on, in order."""
        needed = {name for node in self._given for name in node.input}
        kept = []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        return kept[::-1] + self._given

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a standard operator; return the name of its result."""
        return self.ops(1, kind, *inputs, **attributes)[0]

    def ops(self, outputs: int, kind: str, *inputs: str, **attributes: Any) -> list[str]:
        """Append a standard operator with several results; return their names."""
        return self._append(outputs, helper.make_node(kind, inputs, [], **attributes))

    def call(self, function: str, inputs: Sequence[str], references: Mapping[str, str]) -> str:
        """Append a call of a function of ours; its attributes are some of the caller's."""
        node = helper.make_node(function, inputs, [], domain=DOMAIN)
        for name, outer in references.items():
            _refer(node, name, outer)
        return self._append(1, node)[0]

    def input(self, name: str, kind: int) -> Any:
        """Return a tensor that the function is given, as a `Value`."""
        return Value(self, name, kind)

    def attribute(self, name: str) -> Any:
        """Append a scalar that holds an attribute of the function; a `Value`."""
        node = helper.make_node("Constant", [], [])
        _refer(node, "value_int", name)
        return Value(self, self._append(1, node)[0], scalar=True)

    def give(self, name: str, value: Any, kind: int) -> None:
        """Append what brings a value to its type and name outside."""
        if value.kind == kind:
            node = helper.make_node("Identity", [value.name], [name])
        else:
            node = helper.make_node("Cast", [value.name], [name], to=kind)
        self._given.append(node)

    def _append(self, outputs: int, node: onnx.NodeProto) -> list[str]:
        key = (outputs, node.SerializeToString(deterministic=True))
        if key not in self._made:
            first = self._count + 1
            self._count += outputs
            self._made[key] = [f"t{number}" for number in range(first, self._count + 1)]
            node.output.extend(self._made[key])
            self._nodes.append(node)
        return self._made[key]


def _refer(node: onnx.NodeProto, attribute: str, outer: str) -> None:
    node.attribute.append(
        onnx.AttributeProto(name=attribute, ref_attr_name=outer, type=onnx.AttributeProto.INT)
    )


class Value(Traced):
    """A tensor of a function's body.

    Parameters
    ----------
    body : Body
    name : str
    kind : int
        Type of the tensor; what is computed from it is of int64 or, of comparisons, truth values.
    scalar : bool
        It has no axes.
    """

    def __init__(self, body: Body, name: str, kind: int = INT64, scalar: bool = False) -> None:
        self.body, self.name, self.kind, self.scalar = body, name, kind, scalar

    def _const(self, number: int) -> str:
        return self.body.op("Constant", value_int=int(number))

    def _as(self, kind: int, value: Any) -> str:
        """Return the name of a value of that type, or of a number as int64."""
        if not isinstance(value, Value):
            return self._const(value)
        return value.name if value.kind == kind else self.body.op("Cast", value.name, to=kind)

    def _vector(self, *sizes: Any) -> str:
        """Return the name of a vector of sizes, which are numbers or values of one element."""
        if all(isinstance(size, int) for size in sizes):
            return self.body.op("Constant", value_ints=list(sizes))
        if len(sizes) > 1:
            return self.body.op("Concat", *(self._vector(size) for size in sizes), axis=0)
        (size,) = sizes
        if not size.scalar:
            return str(size.name)
        return self.body.op("Reshape", size.name, self._vector(1))

    def _moved(self, kind: str, *inputs: str, **attributes: Any) -> "Value":
        """Return the result of an operator that keeps the type."""
        return Value(self.body, self.body.op(kind, self.name, *inputs, **attributes), self.kind)

    # elements

    def elementwise(self, ufunc: np.ufunc, *inputs: Any) -> "Value":
        names = [self._as(INT64, value) for value in inputs]
        scalar = all(not isinstance(value, Value) or value.scalar for value in inputs)
        op = self.body.op
        if ufunc in _OPERATORS:
            return Value(self.body, op(_OPERATORS[ufunc], *names), INT64, scalar)
        if ufunc in _COMPARISONS:
            return Value(self.body, op(_COMPARISONS[ufunc], *names), BOOL, scalar)
        if ufunc is np.left_shift:
            unit = self._unit(inputs[1])
            one = isinstance(inputs[0], int) and inputs[0] == 1
            name = unit if one else op("Mul", names[0], unit)
            return Value(self.body, name, INT64, scalar)
        if ufunc is np.right_shift:
            unit = self._unit(inputs[1])
            rest = op("Mod", names[0], unit)  # of the divisor's sign
            whole = op("Sub", names[0], rest)
            return Value(self.body, op("Div", whole, unit), INT64, scalar)
        if ufunc in _LOGIC and all(getattr(value, "kind", 0) == BOOL for value in inputs):
            name = op(_LOGIC[ufunc], *(value.name for value in inputs))
            return Value(self.body, name, BOOL, scalar)
        if ufunc is np.bitwise_and and isinstance(mask := inputs[1], int) and not mask & (mask + 1):
            return Value(self.body, op("Mod", names[0], self._const(mask + 1)), INT64, scalar)
        if ufunc is np.matmul:
            # proven to fit: more runtimes have it
            a, b = (self._as(INT32, value) for value in inputs)
            return Value(self.body, op("MatMul", a, b), INT32)
        raise ProgramError(f"numpy.{ufunc.__name__} has no form in ONNX that a step can use")

    def _unit(self, bits: Any) -> str:
        """Return the name of ``2**bits``."""
        if not isinstance(bits, Value):
            return self._const(1 << bits)
        return self.body.op("Pow", self._const(2), self._as(INT64, bits))

    def where(self, condition: Any, a: Any, b: Any) -> "Value":
        names = [self._as(BOOL, condition), self._as(INT64, a), self._as(INT64, b)]
        return Value(self.body, self.body.op("Where", *names))

    def astype(self, dtype: Any) -> "Value":
        # layout operators keep the type, and not all runtimes have them for truth values
        return Value(self.body, self._as(INT64, self)) if self.kind == BOOL else self

    # layout

    def concatenate(self, parts: Sequence[Any], axis: int = 0) -> "Value":
        kinds = {part.kind for part in parts}
        kind = kinds.pop() if len(kinds) == 1 else INT64
        names = [self._as(kind, part) for part in parts]
        return Value(self.body, self.body.op("Concat", *names, axis=axis), kind)

    def pad(self, value: Any, widths: tuple[tuple[Any, Any], tuple[Any, Any]]) -> "Value":
        (top, bottom), (left, right) = widths
        # not all runtimes pad int16
        name = self.body.op("Pad", value._as(INT64, value), self._vector(top, left, bottom, right))
        return Value(self.body, name)

    def split(self, parts: int) -> list["Value"]:
        names = self.body.ops(parts, "Split", self.name, axis=-1, num_outputs=parts)
        return [Value(self.body, name, self.kind) for name in names]

    def reshape(self, *sizes: Any) -> "Value":
        return self._moved("Reshape", self._vector(*sizes))

    def __getitem__(self, at: Any) -> "Value":
        if isinstance(at, Value):
            wide, index = self._as(INT64, self), self._as(INT64, at)
            return Value(self.body, self.body.op("Gather", wide, index))
        axis, item = _axis_of(at)
        if item is None:
            return self._moved("Unsqueeze", self._vector(axis))
        last = (1 << 31) - 1
        backwards = isinstance(item.step, int) and item.step == -1
        first, end = (last, -last) if backwards else (0, last)
        ends = [
            self._vector(first if item.start is None else item.start),
            self._vector(end if item.stop is None else item.stop),
        ]
        steps = [] if item.step is None else [self._vector(item.step)]
        return self._moved("Slice", *ends, self._vector(axis), *steps)

    @property
    def T(self) -> "Value":  # noqa: N802 - numpy's name
        return self._moved("Transpose", perm=[1, 0])

    @property
    def size(self) -> "Value":
        return self.extent(0)

    def extent(self, axis: int) -> "Value":
        """Return the size of an axis, as a vector of one element."""
        return Value(self.body, self.body.op("Shape", self.name, start=axis, end=axis + 1))

    # reductions and tables

    def sum(self, axis: int, keepdims: bool = False) -> "Value":
        wide, axes = self._as(INT64, self), self._vector(axis)
        return Value(self.body, self.body.op("ReduceSum", wide, axes, keepdims=int(keepdims)))

    def largest(self, count: int) -> "Value":
        wide, k = self._as(INT64, self), self._vector(count)
        return Value(self.body, self.body.ops(2, "TopK", wide, k, axis=-1)[0])

    def table(self, name: str) -> "Value":
        return Value(self.body, f"{name}_table", INT16)

    def lookup(self, name: str) -> "Value":
        inputs = [f"{name}_table", self._as(INT64, self)]
        return Value(self.body, self.body.call("Lookup", inputs, {}))


class _Product(Matrix):
    """A matrix of a traced layer: its products are calls of the function ``Matvec``."""

    field: str
    body: Body

    @classmethod
    def of(cls, matrix: Matrix, field: str, factor: str, body: Body) -> "_Product":
        """Return the matrix of the field; its factor has the name `factor`."""
        fields: dict[str, Any] = {"field": field, "body": body}
        if matrix.factor is not None:
            fields["factor"] = cls.of(matrix.factor, factor, "", body)
        return traced_copy(matrix, fields, cls)

    @property
    def rows(self) -> Any:
        return Value(self.body, f"{self.field}_bias", INT32).extent(0)

    @property
    def cols(self) -> Any:
        return Value(self.body, f"{self.field}_weight").extent(1)

    def hold(self, x: Any, held: Any) -> Any:
        references = {part: f"{self.field}_{part}" for part in ("threshold", "group")}
        inputs = [x._as(INT16, x), held.name]
        return Value(self.body, self.body.call("Hold", inputs, references), INT16)

    def apply(self, x: Any) -> Any:
        if self.factor is not None:
            x = self.factor.apply(x)
        inputs = [x._as(INT16, x), *matrix_inputs(self.field)]
        y = self.body.call("Matvec", inputs, {"shift": f"{self.field}_shift"})
        return Value(self.body, y, INT16)


def matrix_inputs(field: str) -> list[str]:
    """Return the input names of a matrix's tensors."""
    return [f"{field}_weight", f"{field}_bias", f"{field}_multiplier"]


def trace_step(node: Node) -> Body:
    """Return the body of a layer's function: a trace of its step.

    The layer's int fields are attributes, and sizes are read from tensors, so that all layers of
    one `operator` have the same body.
    """
    body = Body()
    vectors = {**node.states, **node.held}
    inputs = {**vectors, **node.derived}
    state = {name: body.input(name, _kind(vector.dtype)) for name, vector in inputs.items()}
    fields: dict[str, Any] = {
        field: body.attribute(field)
        for field in node.int_fields
        if field not in node.unrolled_fields
    }
    for field, array in node.arrays().items():
        fields[field] = body.input(field, _kind(array.dtype.type))
    for field, matrix in node.matrices().items():
        fields[field] = _Product.of(matrix, field, factor_of(field), body)
    y, following = traced_copy(node, fields).advance(body.input("x", INT16), state)
    for name, vector in vectors.items():
        body.give(f"{name}_next", following[name], _kind(vector.dtype))
    same = [name for name, value in following.items() if value is y]
    body.give("y", body.input(f"{same[0]}_next", INT16) if same else y, INT16)
    return body


def _kind(dtype: Any) -> int:
    return INT16 if dtype is np.int16 else INT32


def _axis_of(at: Any) -> tuple[int, Any]:
    """Return the axis that an index of all but one axis is about, and its slice or None.

    ``[:, a:b]`` gives (1, slice(a, b)), ``[..., a:b]`` (-1, slice(a, b)), ``[:, None]`` (1, None).
    """
    items = at if isinstance(at, tuple) else (at,)
    *before, item = items
    known = all(other is Ellipsis or other == slice(None) for other in before)
    if not known or not (item is None or isinstance(item, slice)) or before.count(Ellipsis) > 1:
        raise ProgramError("a step can only be traced through slices of one axis")
    return (-1 if Ellipsis in before else len(before)), item

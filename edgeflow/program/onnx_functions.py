"""Building blocks for layers written as ONNX functions in standard integer operators.

onnxruntime and TVM run these; netron shows the layer as one node. Arithmetic is int64 inside,
so nothing wraps; tensors between layers are int16.
"""

from typing import Any

import onnx
from onnx import TensorProto, helper

DOMAIN = "edgeflow"
DOMAIN_VERSION = 1
OPSET = 18
IR_VERSION = 10


def function(
    name: str,
    inputs: list[str],
    outputs: list[str],
    nodes: list[onnx.NodeProto],
    attributes: list[str] | None = None,
) -> onnx.FunctionProto:
    """Return a function of the ``edgeflow`` domain."""
    return helper.make_function(
        DOMAIN,
        name,
        inputs,
        outputs,
        nodes,
        [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)],
        attributes=attributes or [],
    )


def matrix_inputs(field: str) -> list[str]:
    """Return the input names of a matrix's tensors."""
    return [f"{field}_weight", f"{field}_bias", f"{field}_multiplier"]


def matvec(x: str, field: str, y: str) -> onnx.NodeProto:
    """Return a call of ``edgeflow.Matvec`` on the matrix `field`."""
    node = helper.make_node("Matvec", [x, *matrix_inputs(field)], [y], domain=DOMAIN)
    _reference(node, "shift", f"{field}_shift")
    return node


def hold(x: str, field: str) -> onnx.NodeProto:
    """Return a call of ``edgeflow.Hold`` for the delta matrix `field`."""
    node = helper.make_node("Hold", [x, f"{field}_hat"], [f"{field}_hat_next"], domain=DOMAIN)
    for part in ("threshold", "group"):
        _reference(node, part, f"{field}_{part}")
    return node


def _reference(node: onnx.NodeProto, attribute: str, outer: str) -> None:
    node.attribute.append(
        onnx.AttributeProto(name=attribute, ref_attr_name=outer, type=onnx.AttributeProto.INT)
    )


class Body:
    """Collects the operators of a function; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._count = 0

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append an operator with one output."""
        name = output or self._fresh()
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def const(self, value: int) -> str:
        """Append an int64 scalar."""
        return self.op("Constant", value_int=value)

    def attribute(self, name: str) -> str:
        """Append an int64 scalar that holds an attribute of the function."""
        result = self._fresh()
        node = helper.make_node("Constant", [], [result])
        _reference(node, "value_int", name)
        self.nodes.append(node)
        return result

    def cast(self, x: str, kind: int = TensorProto.INT64, output: str | None = None) -> str:
        return self.op("Cast", x, output=output, to=kind)

    def split(self, x: str, parts: int) -> list[str]:
        """Split the last axis into equal parts."""
        names = [self._fresh() for _ in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], names, axis=-1, num_outputs=parts))
        return names

    def largest(self, x: str, count: int) -> str:
        """Return the `count` largest values of the last axis, in descending order."""
        values, places = self._fresh(), self._fresh()
        k = self.op("Constant", value_ints=[count])
        self.nodes.append(helper.make_node("TopK", [x, k], [values, places], axis=-1))
        return values

    def saturate(self, x: str) -> str:
        """Clip to int16."""
        return self.op("Max", self.op("Min", x, self.const(32767)), self.const(-32768))

    def shift_right(self, x: str, unit: str) -> str:
        """Return ``floor(x / unit)``: an arithmetic shift for a power of two."""
        remainder = self.op("Mod", x, unit)  # has the sign of the divisor
        return self.op("Div", self.op("Sub", x, remainder), unit)

    def lookup(self, table: str, x: str) -> str:
        """Append a call of ``edgeflow.Lookup``."""
        return self.op("Lookup", table, x, domain=DOMAIN)

    def _fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"


def matvec_function() -> onnx.FunctionProto:
    """Return ``Matvec``: ``sat16(((x W^T + b) 2^shift m + 2^31) >> 32)``, as `requantize`."""
    b = Body()
    weight = b.op("Transpose", b.cast("weight", TensorProto.INT32), perm=[1, 0])
    product = b.op("MatMul", b.cast("x", TensorProto.INT32), weight)
    accumulator = b.cast(b.op("Add", product, "bias"))
    scale = b.op("Mul", b.cast("multiplier"), b.op("Pow", b.const(2), b.attribute("shift")))
    scaled = b.op("Add", b.op("Mul", accumulator, scale), b.const(1 << 31))
    b.cast(b.saturate(b.shift_right(scaled, b.const(1 << 32))), TensorProto.INT16, "y")
    return function("Matvec", ["x", "weight", "bias", "multiplier"], ["y"], b.nodes, ["shift"])


def hold_function() -> onnx.FunctionProto:
    """Return ``Hold``: ``x`` where its group of columns fires, else ``held``, as `Matrix.hold`."""
    b = Body()
    op = b.op
    x, old = b.cast("x"), b.cast("held")
    group = op("Reshape", b.attribute("group"), op("Constant", value_ints=[1]))
    fires = op("GreaterOrEqual", op("Abs", op("Sub", x, old)), b.attribute("threshold"))
    columns = op("Shape", "x", start=1)
    zero, one = op("Constant", value_ints=[0]), op("Constant", value_ints=[1])
    missing = op("Mod", op("Neg", columns), group)
    padded = op("Pad", b.cast(fires), op("Concat", zero, zero, zero, missing, axis=0))
    shape = op("Concat", zero, op("Constant", value_ints=[-1]), group, axis=0)
    groups = op("ReduceMax", op("Reshape", padded, shape), op("Constant", value_ints=[2]))
    wide = op("Expand", groups, op("Concat", one, one, group, axis=0))
    flat = op("Reshape", wide, op("Constant", value_ints=[0, -1]))
    chosen = op("Slice", flat, zero, columns, one)
    b.cast(op("Where", b.cast(chosen, TensorProto.BOOL), x, old), TensorProto.INT16, "y")
    return function("Hold", ["x", "held"], ["y"], b.nodes, ["threshold", "group"])


def lookup_function() -> onnx.FunctionProto:
    """Return ``Lookup``: linear interpolation in a 257-entry table, as `lookup`."""
    b = Body()
    position = b.op("Add", "x", b.const(1 << 15))
    fraction = b.op("Mod", position, b.const(256))
    index = b.op("Div", b.op("Sub", position, fraction), b.const(256))
    nodes = b.cast("table")
    left = b.op("Gather", nodes, index)
    right = b.op("Gather", nodes, b.op("Add", index, b.const(1)))
    rise = b.op("Add", b.op("Mul", b.op("Sub", right, left), fraction), b.const(128))
    b.op("Add", left, b.shift_right(rise, b.const(256)), output="y")
    return function("Lookup", ["table", "x"], ["y"], b.nodes)


def clamp_function() -> onnx.FunctionProto:
    """Return ``Clamp``: clip an int16 input to its declared width."""
    b = Body()
    one, two = b.const(1), b.const(2)
    limit = b.op("Sub", b.op("Pow", two, b.op("Sub", b.attribute("bits"), one)), one)
    clipped = b.op("Max", b.op("Min", b.cast("x"), limit), b.op("Neg", limit))
    b.cast(clipped, TensorProto.INT16, "y")
    return function("Clamp", ["x"], ["y"], b.nodes, ["bits"])

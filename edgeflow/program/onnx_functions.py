"""Functions of the ONNX domain ``edgeflow``: one per kind of layer, and those that layers call.

They consist of standard integer operators: onnxruntime and TVM run these; netron shows a layer as
one node. Arithmetic is int64 inside, so nothing wraps; tensors between layers are int16.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from edgeflow.program.fixedpoint import clip, interpolate, requantize
from edgeflow.program.nodes.base import Node
from edgeflow.program.tracing import (
    BOOL,
    DOMAIN,
    INT16,
    INT32,
    INT64,
    Body,
    matrix_inputs,
    trace_step,
)  # fmt: skip

DOMAIN_VERSION = 1
OPSET = 18
#: Functions that are called between layers.
BETWEEN = ("Clamp", "Passed", "Keep", "KeepLong")
IR_VERSION = 10


def function(
    name: str,
    inputs: list[str],
    outputs: list[str],
    nodes: list[onnx.NodeProto],
    attributes: Sequence[str] = (),
) -> onnx.FunctionProto:
    """Return a function of the ``edgeflow`` domain."""
    versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    return helper.make_function(DOMAIN, name, inputs, outputs, nodes, versions, list(attributes))


def layer_function(node: Node) -> onnx.FunctionProto:
    """Return the function of a layer: its step in standard operators.

    Inputs are x, the states, what is held, what is derived of learned values, three tensors per
    product (`matrix_inputs`), the arrays, the tables; outputs are y and the next states; attributes
    are ``<matrix>_shift``, ``_threshold`` and ``_group`` of delta matrices, and the int fields.
    """
    products = node.products()
    matrices = [tensor for field in products for tensor in matrix_inputs(field)]
    tables = [f"{table}_table" for table in node.tables]
    parts = [(field, part) for field in node.delta_matrices() for part in ("threshold", "group")]
    return function(
        node.operator,
        ["x", *node.states, *node.held, *node.derived, *matrices, *node.arrays(), *tables],
        ["y", *(f"{state}_next" for state in (*node.states, *node.held))],
        trace_step(node).nodes,
        attributes=[
            *(f"{field}_shift" for field in products),
            *(f"{field}_{part}" for field, part in parts),
            *node.int_fields,
        ],
    )


def matvec_function() -> onnx.FunctionProto:
    """Return ``Matvec``: a product of int32, then `requantize`."""
    b = Body()
    x, weight = b.input("x", INT16), b.input("weight", INT16)
    shift = b.attribute("shift")
    accumulator = x @ weight.T + b.input("bias", INT32)
    y = requantize(accumulator, b.input("multiplier", INT32), shift)
    b.give("y", y, INT16)
    return function("Matvec", ["x", "weight", "bias", "multiplier"], ["y"], b.nodes, ["shift"])


def hold_function() -> onnx.FunctionProto:
    """Return ``Hold``: ``x`` where its group is updated, else ``held``, as `Matrix.hold`."""
    b = Body()
    op = b.op
    x, held = b.input("x", INT16), b.input("held", INT16)
    moved = abs(x - held) >= b.attribute("threshold")
    group = op("Reshape", b.attribute("group").name, op("Constant", value_ints=[1]))
    columns = op("Shape", "x", start=1)
    zero, one = op("Constant", value_ints=[0]), op("Constant", value_ints=[1])
    missing = op("Mod", op("Neg", columns), group)
    updated = op("Cast", moved.name, to=INT64)
    padded = op("Pad", updated, op("Concat", zero, zero, zero, missing, axis=0))
    shape = op("Concat", zero, op("Constant", value_ints=[-1]), group, axis=0)
    groups = op("ReduceMax", op("Reshape", padded, shape), op("Constant", value_ints=[2]))
    wide = op("Expand", groups, op("Concat", one, one, group, axis=0))
    flat = op("Reshape", wide, op("Constant", value_ints=[0, -1]))
    chosen = op("Cast", op("Slice", flat, zero, columns, one), to=BOOL)
    b.give("y", np.where(b.input(chosen, BOOL), x, held), INT16)
    return function("Hold", ["x", "held"], ["y"], b.nodes, ["threshold", "group"])


def lookup_function() -> onnx.FunctionProto:
    """Return ``Lookup``: linear interpolation in a 257-entry table, as `lookup`."""
    b = Body()
    b.give("y", interpolate(b.input("table", INT16), b.input("x", INT64) + (1 << 15), 8), INT64)
    return function("Lookup", ["table", "x"], ["y"], b.nodes)


def clamp_function() -> onnx.FunctionProto:
    """Return ``Clamp``: clip an int16 input to its declared width."""
    b = Body()
    b.give("y", clip(b.input("x", INT16), b.attribute("bits")), INT16)
    return function("Clamp", ["x"], ["y"], b.nodes, ["bits"])


def passed_function() -> onnx.FunctionProto:
    """Return ``Passed``: whether a `Decimate` passed x on, by its next phase."""
    b = Body()
    b.give("y", b.input("phase", INT16) == -b.attribute("stride"), BOOL)
    return function("Passed", ["phase"], ["y"], b.nodes, ["stride"])


def keep_function(name: str, kind: int) -> onnx.FunctionProto:
    """Return ``Keep``, of int32 ``KeepLong``: `new` where the layer ran, else `old`."""
    b = Body()
    kept = np.where(b.input("ran", BOOL), b.input("new", kind), b.input("old", kind))
    b.give("y", kept, kind)
    return function(name, ["ran", "new", "old"], ["y"], b.nodes)

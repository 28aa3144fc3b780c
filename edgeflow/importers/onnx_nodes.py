"""Nodes of an ONNX graph: what they read, and the values that depend on no input."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from edgeflow.errors import CompressError
from edgeflow.importers.messages import one_line

#: Operators that are recurrent layers.
RECURRENT = ("GRU", "LSTM", "RNN")
#: Operators whose results differ from run to run.
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
          "RandomUniformLike")  # fmt: skip
#: Operators of graphs inside, which may read any value of the graph outside.
_BRANCHES = ("If", "Loop", "Scan")
#: Values of a ConstantOfShape that are filled to learn shapes.
_MOST_FILLED = 1 << 16
Arrays = dict[str, NDArray[Any]]


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return the attributes of a node, text as bytes."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def reads(node: NodeProto) -> Iterator[str]:
    """Yield the names of the values that a node reads, those of its subgraphs among them."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from reads(inner)


def session(model: ModelProto) -> Any:
    """Return an onnxruntime session that computes a model on one core.

    Raises
    ------
    CompressError
        If a recurrent layer reads no steps: onnxruntime would end the process.
    """
    import onnxruntime

    inferred = _inferred(model)
    empty = {v.name for v in inferred.graph.value_info for dim in v.type.tensor_type.shape.dim
             if dim.HasField("dim_value") and not dim.dim_value}  # fmt: skip
    for node in model.graph.node:
        if node.op_type in RECURRENT and empty.intersection(node.input[:1]):
            raise CompressError(
                f"{node.name or node.output[0]} ({node.op_type}) reads no samples: all are cut off "
                "before it, so export the model with a longer window"
            )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def _inferred(model: ModelProto) -> ModelProto:
    """Return a model with the shapes of its values, as far as they can be told.

    Inference fills the tensor of each ConstantOfShape, one value after another: only those that are
    no larger than a model's are shown to it. Nor does it look whether a tensor has the bytes of its
    shape.
    """
    shapes = {tensor.name: _whole(tensor, tensor.name) for tensor in model.graph.initializer}
    part = ModelProto()
    part.CopyFrom(model)
    del part.graph.node[:]
    for node in model.graph.node:
        if node.op_type == "Constant":
            for value in (a.t for a in node.attribute if a.name == "value"):
                shapes[node.output[0]] = _whole(value, node.name or node.output[0])
        if node.op_type != "ConstantOfShape" or _values(shapes.get(node.input[0])) <= _MOST_FILLED:
            part.graph.node.append(node)
    return onnx.shape_inference.infer_shapes(part, data_prop=True)


def _whole(tensor: onnx.TensorProto, name: str) -> NDArray[Any]:
    """Return the values of a tensor.

    Raises
    ------
    CompressError
        If there are others than its shape has.
    """
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise CompressError(
            f"{name}: the tensor is damaged ({one_line(error)}): export it again"
        ) from None


def _values(shape: NDArray[Any] | None) -> float:
    """Return the values of a tensor whose shape is a constant; infinity if that cannot be told."""
    if shape is None or shape.dtype != np.int64 or (shape < 0).any():
        return math.inf
    return math.prod(shape.ravel().tolist())


def constants(model: ModelProto) -> Arrays:
    """Return the values of a graph that depend on no input."""
    graph = model.graph
    known: Arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    fixed, nodes = set(known) - {i.name for i in graph.input if i.name not in known}, []
    for node in graph.node:
        if node.domain or node.op_type in (*RANDOM, *_BRANCHES):
            continue
        if fixed.issuperset(filter(None, node.input)):
            fixed.update(filter(None, node.output))
            nodes.append(node)
    names = [name for node in nodes for name in node.output if name]
    if names:
        part = ModelProto()
        part.CopyFrom(model)
        del part.graph.node[:], part.graph.input[:], part.graph.output[:]
        part.graph.node.extend(nodes)
        part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        try:
            values = session(part).run(names, {})
        except Exception as error:  # of many types, few of them public
            raise CompressError(
                f"onnxruntime cannot compute its constants: {one_line(error)}: export it again"
            ) from error
        known |= dict(zip(names, values, strict=True))
    return known


def operand(node: NodeProto, number: int, known: Arrays, name: str, default: Any) -> NDArray[Any]:
    """Return a constant that is an attribute or, in later operator sets, an input."""
    given = node.input[number] if len(node.input) > number else ""
    return np.asarray(known.get(given, attributes(node).get(name, default)))


def padded(node: NodeProto, known: Arrays) -> tuple[int, int] | None:
    """Return what a Pad adds before and after along one axis; None if that cannot be told."""
    if len(node.input) > 1 and node.input[1] not in known:
        return None
    before, after = np.split(operand(node, 1, known, "pads", ()).astype(int).reshape(-1), 2)
    axes = np.flatnonzero(before | after)
    if len(axes) > 1:
        return None
    return (int(before[axes[0]]), int(after[axes[0]])) if len(axes) else (0, 0)


def moved(axes: list[int], node: NodeProto, known: Arrays) -> list[int]:
    """Return which axes of the samples a value's are after a node; new ones are -1."""
    if node.op_type == "Transpose":
        order = attributes(node).get("perm", range(len(axes))[::-1])
        return [axes[k] for k in order] if len(order) == len(axes) else axes
    if node.op_type == "Gather" and operand(node, 1, known, "", ()).shape == ():
        axis = attributes(node).get("axis", 0)
        return [value for k, value in enumerate(axes) if k != axis % max(len(axes), 1)]
    if node.op_type not in ("Squeeze", "Unsqueeze"):
        return axes
    given = [int(k) for k in operand(node, 1, known, "axes", ()).reshape(-1)]
    axes = list(axes)
    if node.op_type == "Squeeze":
        rank = len(axes)
        return [axis for k, axis in enumerate(axes) if not {k, k - rank}.intersection(given)]
    for k in sorted(k % (len(axes) + len(given)) for k in given):
        axes.insert(k, -1)
    return axes

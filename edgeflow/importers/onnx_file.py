"""Reading of ONNX files: weights beside them, functions inside, and one type of floats."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, inliner, numpy_helper
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from edgeflow.errors import CompressError
from edgeflow.importers.check import listed

#: Types that become float32, as onnxruntime has recurrent layers of those only.
_FLOATS = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16",
           TensorProto.DOUBLE: "float64"}  # fmt: skip
#: Attributes that name a type.
_TYPES = ("to", "dtype")


def read_model(path: Path) -> tuple[ModelProto, tuple[str, ...]]:
    """Read a model of float32, its weights and functions in one graph; return it, and notes.

    Raises
    ------
    CompressError
        If it is no ONNX model, lacks its weights, or is an integer program of our own.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        if missing := next(_missing(model, path.parent), None):
            raise CompressError(
                f"{path}: its weights are in a file of their own, '{missing}', that is not beside "
                f"it: put it into {path.parent}, or save the model in one file"
            )
        _complete_shapes(model.graph)
        load_external_data_for_model(model, str(path.parent))  # refuses what is outside of it
        onnx.checker.check_model(model)
    except CompressError:
        raise
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf and onnx raise several unrelated types
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise CompressError(
            f"{path}: not a valid ONNX file ({first[0]}): export the model again"
        ) from error
    if any(p.key == "edgeflow" for p in model.metadata_props):
        raise CompressError(
            f"{path}: compressed already, it is an integer program: go on with 'edgeflow compile'"
        )
    if model.functions:
        model = inliner.inline_local_functions(model)
    notes = [
        f"its {kind} values become float32" for kind in dict.fromkeys(_to_float32(model.graph))
    ]
    if with_value := _fix_inputs(model):
        notes.append(f"its inputs {with_value} have a value in the file, which is taken")
    return model, tuple(notes)


def _fix_inputs(model: ModelProto) -> str:
    """Make inputs with a value in the file constants; name them, but if all weights are inputs.

    Before version 4 of the format, they had to be.
    """
    values = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in values]
    fixed = [value.name for value in model.graph.input if value.name in values]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = max(model.ir_version, 4)
    return "" if len(fixed) == len(values) else listed(map(repr, fixed))


def _complete_shapes(graph: GraphProto) -> None:
    """Give inputs and outputs without a shape one: free sizes, and none for outputs."""
    for values, rank in ((graph.input, 3), (graph.output, 0)):
        for value in values:
            kind = value.type.tensor_type
            if value.type.HasField("tensor_type") and not kind.HasField("shape"):
                kind.shape.SetInParent()
                for _ in range(rank):
                    kind.shape.dim.add()


def _missing(model: ModelProto, folder: Path) -> Iterator[str]:
    """Yield the names of files in the model's folder that hold weights, and are not there."""
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            location = {entry.key: entry.value for entry in tensor.external_data}.get(
                "location", ""
            )
            if Path(location).name == location and not (folder / location).exists():
                yield location


def _to_float32(graph: GraphProto) -> Iterator[str]:
    """Make all floats of a graph float32; yield the names of the types that they had."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.elem_type in _FLOATS:
            yield _FLOATS[kind.elem_type]
            kind.elem_type = TensorProto.FLOAT
    for tensor in (*graph.initializer, *_tensors(graph)):
        if tensor.data_type in _FLOATS:
            yield _FLOATS[tensor.data_type]
            with np.errstate(over="ignore"):  # infinite weights are refused with the layer
                array = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _TYPES and attribute.i in _FLOATS:
                attribute.i = TensorProto.FLOAT
            for inner in (attribute.g, *attribute.graphs):
                yield from _to_float32(inner)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors

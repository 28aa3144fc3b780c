"""A program as a valid ONNX file: one step, explicit states, one node per layer.

Where several values are read side by side, a `Concat` stands before the layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeflow import __version__
from edgeflow.digest import ChangedError, sealed_json, unsealed_json
from edgeflow.errors import ProgramError
from edgeflow.files import write_atomic
from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import TABLES
from edgeflow.program.input_format import InputFormat
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import NODES
from edgeflow.program.nodes.base import Node, factor_of, is_optional
from edgeflow.program.nodes.decimate import Decimate
from edgeflow.program.onnx_forms import Form, as_form, layers_of
from edgeflow.program.sources import from_json, to_json
from edgeflow.tasks import OutputFormat

if TYPE_CHECKING:
    from edgeflow.program.program import Program

ProgramT = TypeVar("ProgramT", bound="Program")

PRODUCER = "edgeflow"
#: Version of the files that are written. The graph of one of another version is not compared with
#: what this one would write; its contents are, by their hash.
FORMAT = 2
READ = (1, FORMAT)


def save(program: "Program", path: str | Path) -> None:
    """Write `program` to `path`."""
    model = to_onnx(program)
    onnx.checker.check_model(model, full_check=True)
    write_atomic(path, model.SerializeToString())


def to_onnx(program: "Program") -> onnx.ModelProto:
    """Return the step graph: inputs x and ``<layer>_<state>``, outputs y and ``..._next``.

    All are int16 with a free batch axis first, so that a batch of streams runs at once. What a
    read-out that learns has learned is an input without an output: a step leaves it.
    """
    tensors: dict[str, NDArray[Any]] = {}
    inputs = [_value("x", program.inputs)]
    outputs = [_value("y", program.outputs)]
    nodes = [helper.make_node("Clamp", ["x"], ["x0"], domain=fn.DOMAIN, bits=program.input.bits)]
    *reads, output = program.reads
    # what is the output as it is, and read by nothing else, has its name at once
    direct = len(output) == 1 and output[0] == len(program.nodes)
    ticks: dict[int, str] = {}
    for number, node in enumerate(program.nodes):
        last = direct and number == len(program.nodes) - 1
        result = "y" if last else f"x{number + 1}"
        value = f"x{reads[number][0]}"
        if len(reads[number]) > 1:
            value = f"in{number + 1}"
            nodes.append(_concat(reads[number], value))
        gate = program.clocks[number].gate
        node_inputs, node_outputs = [value], [result]
        kept = []  # what stays as it is at steps that the layer does not run at
        for state, vector in {**node.states, **node.held}.items():
            name = f"{node.name}_{state}"
            inputs.append(_value(name, vector.size, vector.dtype))
            outputs.append(_value(f"{name}_next", vector.size, vector.dtype))
            node_inputs.append(name)
            node_outputs.append(f"{name}_next" if gate is None else f"{name}_new")
            if gate is not None:
                kept.append(_keep(ticks[gate], name, f"{name}_next", vector.dtype))
                if state == node.output_state:
                    node_outputs[0] = f"{node.name}_new"
                    kept += _first(f"{name}_next", node.outputs, result)
        for vector_name, vector in node.derived.items():
            name = f"{node.name}_{vector_name}"
            inputs.append(_value(name, vector.size, vector.dtype))
            node_inputs.append(name)
        attributes: dict[str, Any] = node.ints()
        for field, matrix in node.products().items():
            prefix = f"{node.name}.{field}"
            tensors[f"{prefix}.weight"] = matrix.weight
            tensors[f"{prefix}.bias"] = matrix.bias
            tensors[f"{prefix}.multiplier"] = matrix.multiplier
            node_inputs += [f"{prefix}.weight", f"{prefix}.bias", f"{prefix}.multiplier"]
            attributes[f"{field}_shift"] = matrix.shift
            if matrix.threshold:
                attributes[f"{field}_threshold"] = matrix.threshold
                attributes[f"{field}_group"] = matrix.group
        for field, array in node.arrays().items():
            tensors[f"{node.name}.{field}"] = array
            node_inputs.append(f"{node.name}.{field}")
        for table in node.tables:
            tensors[f"{table}_table"] = TABLES[table]()
            node_inputs.append(f"{table}_table")
        nodes.append(
            helper.make_node(
                node.operator,
                node_inputs,
                node_outputs,
                name=node.name,
                domain=fn.DOMAIN,
                **attributes,
            )
        )
        nodes += kept
        if isinstance(node, Decimate):
            ticks[number] = f"{node.name}_passed"
            nodes += _passed(node, ticks[number], "" if gate is None else ticks[gate])
    if not direct:
        nodes.append(_concat(output, "y"))
    graph = helper.make_graph(
        nodes,
        "edgeflow_step",
        inputs,
        outputs,
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    kinds = {node.operator: node for node in program.nodes}
    functions = [fn.clamp_function(), fn.matvec_function(), fn.lookup_function()]
    if any(node.delta_matrices() for node in program.nodes):
        functions.append(fn.hold_function())
    if ticks:
        functions.append(fn.passed_function())
        functions.append(fn.keep_function("Keep", fn.INT16))
        functions.append(fn.keep_function("KeepLong", fn.INT32))
    model = helper.make_model(
        graph,
        producer_name=PRODUCER,
        producer_version=__version__,
        ir_version=fn.IR_VERSION,
        opset_imports=[
            helper.make_opsetid("", fn.OPSET),
            helper.make_opsetid(fn.DOMAIN, fn.DOMAIN_VERSION),
        ],
        functions=functions + [fn.layer_function(node) for node in kinds.values()],
    )
    helper.set_model_props(model, {"edgeflow": sealed_json(_header(program))})
    return model


def _concat(reads: Sequence[int], result: str) -> onnx.NodeProto:
    """Return what puts values side by side; of a single one it is a copy."""
    return helper.make_node("Concat", [f"x{k}" for k in reads], [result], name=result, axis=1)


def _keep(ran: str, state: str, result: str, dtype: type[np.generic]) -> onnx.NodeProto:
    """Return what gives the new state where the layer ran, else the old one."""
    kind = "Keep" if dtype is np.int16 else "KeepLong"
    inputs = [ran, f"{state}_new", state]
    return helper.make_node(kind, inputs, [result], name=result, domain=fn.DOMAIN)


def _first(value: str, count: int, result: str) -> Iterator[onnx.NodeProto]:
    """Yield what gives the first columns of a value."""
    places = {"starts": 0, "ends": count, "axes": 1}
    names = [f"{result}_{place}" for place in places]
    for name, place in zip(names, places.values(), strict=True):
        yield helper.make_node("Constant", [], [name], name=name, value_ints=[place])
    yield helper.make_node("Slice", [value, *names], [result], name=result)


def _passed(node: Decimate, result: str, before: str) -> Iterator[onnx.NodeProto]:
    """Yield what tells whether a layer passed x on; `before` tells whether it ran, "": always."""
    alone = f"{node.name}_due" if before else result
    yield helper.make_node(
        "Passed", [f"{node.name}_phase_next"], [alone], name=alone, domain=fn.DOMAIN,
        stride=node.stride,
    )  # fmt: skip
    if before:
        yield helper.make_node("And", [alone, before], [result], name=result)


def _value(name: str, size: int, dtype: type[np.generic] = np.int16) -> onnx.ValueInfoProto:
    kind = TensorProto.INT16 if dtype is np.int16 else TensorProto.INT32
    return helper.make_tensor_value_info(name, kind, ["n", size])


def _header(program: "Program") -> dict[str, Any]:
    return {
        "format": FORMAT,
        "hash": program.hash.hex(),
        "input": {
            "offset": program.input.offset.tolist(),
            "scale": program.input.scale.tolist(),
            "bits": program.input.bits,
            "channels": list(program.input.channels),
        },
        "matrix_bits": {
            f"{node.name}.{field}": matrix.input_bits
            for node in program.nodes
            for field, matrix in node.products().items()
        },
        "output_scale": program.output_scale,
        **({} if program.output is None else {"output": program.output.to_json()}),
        "classes": list(program.classes),
        "window": program.window,
        **({"hop": program.hop} if program.hop else {}),
        "rate_hz": program.rate_hz,
        "metadata": dict(program.metadata),
        **({"sources": to_json(program.sources)} if program.sources else {}),
        **({"start": {k: list(v) for k, v in program.start.items()}} if program.start else {}),
    }


def load(path: str | Path, kind: type[ProgramT]) -> ProgramT:
    """Read a program of the class `kind`; see `Program.load`."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProgramError(f"{path}: cannot be read: {error.strerror}") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and onnx raise several unrelated types
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ProgramError(f"{path}: not a valid ONNX file ({first[0]})") from error
    properties = {p.key: p.value for p in model.metadata_props}
    if "edgeflow" not in properties:
        raise ProgramError(
            f"{path}: an ONNX file, but not one that 'edgeflow compress' made (producer "
            f"'{model.producer_name or 'unknown'}'): compress the trained model first"
        )
    try:
        return _program(model, unsealed_json(properties["edgeflow"]), kind)
    except ChangedError as error:
        raise ProgramError(f"{path}: {error}: make it again with 'edgeflow compress'") from None
    except ProgramError as error:
        raise ProgramError(f"{path}: {_one_line(error)}") from error
    except (
        AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError,
    ) as error:  # fmt: skip
        raise ProgramError(
            f"{path}: the program inside is incomplete ({type(error).__name__}: "
            f"{_one_line(error)}): make it again with 'edgeflow compress'"
        ) from error


def _one_line(error: Exception) -> str:
    """Return an error's message as one line, even where it repeats lines of the file."""
    return " ".join(str(error).split())


def _program(model: onnx.ModelProto, header: dict[str, Any], kind: type[ProgramT]) -> ProgramT:
    if header["format"] not in READ:
        raise ProgramError(
            f"format {header['format']} is newer than this edgeflow ({__version__}): update it"
        )
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    outside = Form(**header["form"]) if "form" in header else Form()
    form = header["input"]
    nodes: list[Node] = []
    for layer in layers_of(model.graph) if outside == Form() else header["layers"]:
        name, operator, attributes = layer["name"], layer["operator"], layer["attributes"]
        node_kind = NODES.get(operator.partition("_")[0])
        if node_kind is None and operator not in fn.BETWEEN:
            raise ProgramError(f"unknown operator '{operator}'")
        if node_kind is None:
            continue  # no layer, but what stands between them
        ints = {field: int(attributes[field]) for field in node_kind.int_fields}
        matrices = {}
        for field in node_kind.matrix_fields:
            if is_optional(node_kind, field) and f"{name}.{field}.weight" not in tensors:
                continue
            factor = None
            if f"{name}.{factor_of(field)}.weight" in tensors:
                factor = _matrix(layer, factor_of(field), tensors, header["matrix_bits"])
            matrices[field] = _matrix(layer, field, tensors, header["matrix_bits"], factor)
        arrays = {
            field: tensors[f"{name}.{field}"]
            for field in node_kind.array_fields
            if f"{name}.{field}" in tensors or not is_optional(node_kind, field)
        }
        nodes.append(node_kind(name=name, **matrices, **arrays, **ints))
    program = kind(
        nodes=tuple(nodes),
        input=InputFormat(
            np.asarray(form["offset"], dtype=np.float32),
            np.asarray(form["scale"], dtype=np.float32),
            int(form["bits"]),
            tuple(form["channels"]),
        ),
        output_scale=float(header["output_scale"]),
        classes=tuple(header["classes"]),
        window=int(header["window"]),
        hop=int(header.get("hop", 0)),
        rate_hz=float(header["rate_hz"]),
        metadata=header["metadata"],
        sources=from_json(header.get("sources", ())),
        start={name: tuple(values) for name, values in header.get("start", {}).items()},
        output=OutputFormat.from_json(header["output"]) if "output" in header else None,
    )
    if program.hash.hex() != header["hash"]:
        raise ProgramError("contents and hash disagree: the file was changed after it was made")
    if header["format"] != FORMAT:
        return program
    made = to_onnx(program)
    if outside != Form():
        made = as_form(made, program, outside)
    if model.graph != made.graph or list(model.functions) != list(made.functions):
        raise ProgramError(
            "its graph is not the one that this edgeflow writes for the program: it was changed, "
            f"or made by another version ({model.producer_version or 'unknown'}): "
            + ("compress again" if outside == Form() else "load the file that was exported")
        )
    return program


def _matrix(
    layer: Mapping[str, Any],
    field: str,
    tensors: Mapping[str, NDArray[Any]],
    bits: Mapping[str, int],
    factor: Matrix | None = None,
) -> Matrix:
    prefix, attributes = f"{layer['name']}.{field}", layer["attributes"]
    return Matrix(
        tensors[f"{prefix}.weight"],
        tensors[f"{prefix}.bias"],
        tensors[f"{prefix}.multiplier"],
        int(attributes[f"{field}_shift"]),
        int(bits[prefix]),
        int(attributes.get(f"{field}_threshold", 0)),
        int(attributes.get(f"{field}_group", 1)),
        factor,
    )


class OnnxProgram:
    """Runs a program file with onnxruntime, as `Program.run` does with numpy.

    Parameters
    ----------
    model : Program, path or bytes
    """

    def __init__(self, model: "Program | str | Path") -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        if isinstance(model, str | Path):
            source: str | bytes = str(model)
        else:
            source = to_onnx(model).SerializeToString()
        self._session = onnxruntime.InferenceSession(source, options)
        self._inputs = {
            i.name: (i.shape[1], np.int16 if i.type == "tensor(int16)" else np.int32)
            for i in self._session.get_inputs()[1:]
        }
        self._states = [o.name.removesuffix("_next") for o in self._session.get_outputs()[1:]]
        about = self._session.get_modelmeta().custom_metadata_map
        start = unsealed_json(about["edgeflow"]).get("start", {})
        self._start = {name.replace(".", "_"): values for name, values in start.items()}

    def run(
        self, x: NDArray[np.int16], learned: Mapping[str, NDArray[Any]] | None = None
    ) -> NDArray[np.int16]:
        """Run sequences x int16 [n, time, inputs] from a reset; returns [n, time, outputs].

        `learned` are the inputs by which a read-out that learns differs from the trained one, each
        [n, size]; without them it is that one.
        """
        n = x.shape[0]
        state = {name: np.zeros((n, size), dtype) for name, (size, dtype) in self._inputs.items()}
        for name, first in self._start.items():
            state[name][:] = first
        for name, values in (learned or {}).items():
            state[name] = np.asarray(values, self._inputs[name][1])
        result = []
        for t in range(x.shape[1]):
            y, *new = self._session.run(None, {"x": np.ascontiguousarray(x[:, t]), **state})
            state |= dict(zip(self._states, new, strict=True))
            result.append(y)
        return np.stack(result, axis=1)

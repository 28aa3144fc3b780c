"""Other forms of a program's ONNX file, for consumers that know nothing of EdgeFlow.

The step graph of `edgeflow.program.onnx_file` may have its functions expanded, be wrapped in a
loop over whole windows, and read raw samples instead of integers. Names of values that are added
begin with ``ef_``, which no layer's name does.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, inliner, numpy_helper

from edgeflow.digest import sealed_json, unsealed_json
from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.start import arrays_of

if TYPE_CHECKING:
    from edgeflow.program.program import Program

ROUNDING = (
    "q = trunc(c + copysign(0.5, c)), c = clip((x - input_offset) * (1 / input_scale), -L, L), "
    "L = 2^(input_bits - 1) - 1, all in float32; NaN gives 0"
)


@dataclass(frozen=True)
class Form:
    """Graph layout of a program's ONNX file: inputs, outputs and operators as seen from outside.

    Parameters
    ----------
    scan : bool
        x [n, time, inputs] from a reset on, rather than one sample with explicit states.
    inline : bool
        Standard operators only, no local functions.
    raw : bool
        Reads float32 ``samples`` in the data set's units, and gives real scores and the class.
    """

    scan: bool = False
    inline: bool = False
    raw: bool = False


def as_form(step: onnx.ModelProto, program: "Program", form: Form) -> onnx.ModelProto:
    """Return the step graph of `program` in another form, with metadata that anybody can read.

    Parameters
    ----------
    step : ModelProto
        As `edgeflow.program.onnx_file.to_onnx` returns it; not changed.
    program : Program
    form : Form

    Returns
    -------
    ModelProto
        Inputs: ``x`` int16 [n, inputs], or float32 ``samples``, and each state; with `scan` only
        x [n, time, inputs], or samples. Outputs: ``y`` int16 [n, outputs] and each next state;
        with `scan` ``y`` [n, time, outputs] and ``last`` [n, outputs], y of the last sample. With
        `raw` also ``scores`` float32 [n, outputs], those of the last sample, and of a classifier
        ``class_index`` int64 [n] and ``label`` string [n].
    """
    model = onnx.ModelProto()
    model.CopyFrom(step)
    if form.inline:
        _inline(model)
    if form.scan:
        _scan(model.graph, arrays_of(program.nodes, program.start))
    if form.raw:
        _raw(model.graph, program, "last" if form.scan else "y")
    properties = {p.key: p.value for p in step.metadata_props}
    if form != Form():
        header = {
            **unsealed_json(properties["edgeflow"]),
            "form": asdict(form),
            "layers": layers_of(step.graph),
        }
        properties["edgeflow"] = sealed_json(header)
    del model.metadata_props[:]
    helper.set_model_props(model, {**properties, **describe(program, form)})
    return model


def describe(program: "Program", form: Form) -> dict[str, str]:
    """Return the metadata entries for consumers; lists and mappings are JSON."""
    states = [
        f"{node.name}_{state}" for node in program.nodes for state in (*node.states, *node.held)
    ]
    return {
        "labels": json.dumps(program.classes),
        "sample_rate_hz": json.dumps(program.rate_hz),
        "window": json.dumps(program.window),
        **({"hop": json.dumps(program.hop)} if program.hop else {}),
        "input_channels": json.dumps(program.input.channels),
        "input_offset": json.dumps(program.input.offset.tolist()),
        "input_scale": json.dumps(program.input.scale.tolist()),
        "input_bits": json.dumps(program.input.bits),
        "input_rounding": ROUNDING,
        "output_scale": json.dumps(program.output_scale),
        **_formatted(program),
        "states": json.dumps({} if form.scan else {name: f"{name}_next" for name in states}),
        "state_start": state_start(program),
        **_learned(program),
        "program_hash": program.hash.hex(),
    }


def state_start(program: "Program") -> str:
    """Return "zeros", or the first values of states that are others, by name, as JSON."""
    first = arrays_of(program.nodes, program.start)
    return json.dumps({k: values.tolist() for k, values in first.items()}) if first else "zeros"


def _learned(program: "Program") -> dict[str, str]:
    last = program.nodes[-1]
    names = [f"{last.name}_{name}" for name in last.derived]
    return {"learned": json.dumps(names)} if names else {}


def _formatted(program: "Program") -> dict[str, str]:
    if program.output is None:
        return {}
    return {"output_format": json.dumps(program.output.to_json())}


def layers_of(graph: onnx.GraphProto) -> list[dict[str, Any]]:
    """Return name, operator and integer attributes of each layer of a step graph, for JSON.

    The other forms keep it in their metadata, as their nodes do not tell.
    """
    return [
        {
            "name": node.name,
            "operator": node.op_type,
            "attributes": {a.name: helper.get_attribute_value(a) for a in node.attribute},
        }
        for node in graph.node
        if node.domain == fn.DOMAIN
    ]


def _inline(model: onnx.ModelProto) -> None:
    """Expand all functions, in place; constants become initializers, as TVM wants them."""
    model.CopyFrom(inliner.inline_local_functions(model))
    graph = model.graph
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type == "Constant" and node.attribute[0].name.startswith("value_int"):
            value = np.array(helper.get_attribute_value(node.attribute[0]), np.int64)
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        else:
            graph.node.append(node)
    standard = [opset for opset in model.opset_import if opset.domain != fn.DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(standard)


class _Additions:
    """Nodes and constants to add to a graph; every method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, out: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=out, **attributes))
        return out

    def const(self, name: str, value: ArrayLike) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def _scan(graph: onnx.GraphProto, first: Mapping[str, NDArray[Any]]) -> None:
    """Make the step the body of a `Scan` whose states start at `first`, or at zero, in place.

    Time is brought to the front, as some consumers scan no other axis. What was learned is an input
    of the graph around the body.
    """
    x, *others = graph.input
    y, *following = graph.output
    given = {value.name for value in following}
    states = [value for value in others if f"{value.name}_next" in given]
    learned = [value for value in others if f"{value.name}_next" not in given]
    names = {"x": "ef_x", "y": "ef_y"}  # a body's names must not be those of the graph around it
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    body = helper.make_graph(
        graph.node,
        graph.name,
        [*states, _renamed(x, "ef_x")],
        [*following, _renamed(y, "ef_y")],
        value_info=[v for v in graph.value_info if v.name not in names],
    )
    add = _Additions()
    count = add.op("Shape", "x", out="ef_n", start=0, end=1)
    starts = []
    for state in states:
        kind, size = state.type.tensor_type.elem_type, _size(state)
        width = add.const(f"ef_{state.name}_size", np.array([size], np.int64))
        shape = add.op("Concat", count, width, out=f"ef_{state.name}_shape", axis=0)
        start = f"ef_{state.name}_start"
        if state.name in first:
            values = add.const(f"{start}_value", first[state.name][None])
            starts.append(add.op("Expand", values, shape, out=start))
            continue
        zero = helper.make_tensor("zero", kind, [1], [0])
        starts.append(add.op("ConstantOfShape", shape, out=start, value=zero))
    by_time = add.op("Transpose", "x", out="ef_x_by_time", perm=[1, 0, 2])
    add.nodes.append(
        helper.make_node(
            "Scan",
            [*starts, by_time],
            [*(f"ef_{state.name}_end" for state in states), "ef_y_by_time"],
            name="steps",
            body=body,
            num_scan_inputs=1,
        )
    )
    add.op("Transpose", "ef_y_by_time", out="y", perm=[1, 0, 2])
    add.op("Gather", "ef_y_by_time", add.const("ef_last", np.int64(-1)), out="last", axis=0)
    tensors = [*graph.initializer, *add.tensors]
    int16 = TensorProto.INT16
    graph.CopyFrom(
        helper.make_graph(
            add.nodes,
            "edgeflow_windows",
            [helper.make_tensor_value_info("x", int16, ["n", "time", _size(x)]), *learned],
            [
                helper.make_tensor_value_info("y", int16, ["n", "time", _size(y)]),
                helper.make_tensor_value_info("last", int16, ["n", _size(y)]),
            ],
            tensors,
        )
    )


def _raw(graph: onnx.GraphProto, program: "Program", last: str) -> None:
    """Put `InputFormat.quantize` before x, and scores and class after `last`, in place."""
    front, back = _Additions(), _Additions()
    op, const = front.op, front.const
    form = program.input
    limit = np.float32(symmetric_max(form.bits))
    zero, half = const("ef_zero", np.float32(0)), const("ef_half", np.float32(0.5))
    moved = op("Sub", "samples", const("ef_offset", form.offset), out="ef_moved")
    factor = const("ef_factor", np.float32(1) / form.scale)
    scaled = op("Mul", moved, factor, out="ef_scaled")
    number = op("Where", op("IsNaN", scaled, out="ef_nan"), zero, scaled, out="ef_number")
    least, most = const("ef_least", -limit), const("ef_most", limit)
    clipped = op("Clip", number, least, most, out="ef_clipped")
    # half away from zero, with the sums of `InputFormat.quantize`, as they round, too
    away = op("Add", op("Abs", clipped, out="ef_magnitude"), half, out="ef_away")
    whole = op("Floor", away, out="ef_whole")
    signed = op("Mul", whole, op("Sign", clipped, out="ef_sign"), out="ef_signed")
    op("Cast", signed, out="x", to=TensorProto.INT16)
    real = back.op("Cast", last, out="ef_last_real", to=TensorProto.FLOAT)
    if program.output is None:
        unit = back.const("ef_output_scale", np.float32(program.output_scale))
        back.op("Mul", real, unit, out="scores")
    else:
        rows = program.output.times(program.output_scale)
        unit = back.const("ef_output_scale", np.array(rows.scale, np.float32))
        offset = back.const("ef_output_offset", np.array(rows.offset, np.float32))
        back.op("Add", back.op("Mul", real, unit, out="ef_scaled_y"), offset, out="scores")
    n, outputs = "n", program.outputs
    results = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [n, outputs])]
    if program.classes:
        back.op("ArgMax", real, out="class_index", axis=1, keepdims=0)
        labels = back.const("ef_labels", np.array(program.classes, dtype=object))
        back.op("Gather", labels, "class_index", out="label", axis=0)
        results += [
            helper.make_tensor_value_info("class_index", TensorProto.INT64, [n]),
            helper.make_tensor_value_info("label", TensorProto.STRING, [n]),
        ]
    x = graph.input[0]
    x.type.tensor_type.elem_type = TensorProto.FLOAT
    x.name = "samples"
    nodes = [*front.nodes, *graph.node, *back.nodes]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*front.tensors, *back.tensors])
    graph.output.extend(results)


def _renamed(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    result = onnx.ValueInfoProto()
    result.CopyFrom(value)
    result.name = name
    return result


def _size(value: onnx.ValueInfoProto) -> int:
    return int(value.type.tensor_type.shape.dim[-1].dim_value)

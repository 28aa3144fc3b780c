"""ONNX files of trained models: recurrent and linear operators in a chain."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from torch import nn

from edgeflow.cells.chain import FloatChain
from edgeflow.cells.gru_reset_before import GRUResetBefore
from edgeflow.errors import CompressError
from edgeflow.importers.assembly import Description
from edgeflow.importers.graph import ATTENTION, NOT_SUPPORTED, Graph, importing
from edgeflow.importers.operation import Operation

_ACTIVATIONS = {
    "GRU": [["sigmoid", "tanh"]],
    "LSTM": [["sigmoid", "tanh", "tanh"]],
    "RNN": [["tanh"], ["relu"]],
}  # the first is the default
# torch's r z n of z r h; i f g o of i o f c
_GATES = {"GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1), "RNN": (0,)}
_MOVES = ("Cast", "Concat", "Dropout", "Flatten", "Gather", "Identity", "Reshape", "Slice",
          "Squeeze", "Transpose", "Unsqueeze")  # fmt: skip
_ROLES = {
    **{kind: kind.lower() for kind in ("MatMul", "Add", "Sub", "Mul", "Div", "Softmax")},
    **{"Gemm": "linear", "Shape": "size", "Size": "size"},
    **dict.fromkeys(_ACTIVATIONS, "recurrent"),
    **dict.fromkeys(_MOVES, "move"),
}
_ONE_OPERATOR = "export the recurrent layer as one GRU, LSTM or RNN operator"
#: Domains of the standard operators.
_STANDARD = ("", "ai.onnx")


def from_onnx(
    path: str | Path, example: NDArray[np.float32], description: Description | None = None
) -> FloatChain:
    """Read an ONNX file that maps x [n, time, channels] or [time, n, channels] to outputs.

    The import is checked on `example`, real samples [n, time, channels], against onnxruntime. The
    chain's outputs are those of the graph's first output at every step, before a final softmax.

    Raises
    ------
    CompressError
        If the file is not a float ONNX model, or has unsupported nodes: all are listed.
    """
    model = _read(Path(path))
    with importing(path):
        return _Onnx(model).chain(example, description, Path(path).stem)


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf and onnx raise several unrelated types
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise CompressError(f"{path}: not a valid ONNX file ({first[0]})") from error
    if any(p.key == "edgeflow" for p in model.metadata_props):
        raise CompressError(
            f"{path}: compressed already, it is an integer program: go on with 'edgeflow compile'"
        )
    return model


class _Onnx(Graph):
    """The graph of an ONNX model; a value is its name."""

    advice: ClassVar = {
        **dict.fromkeys(("Loop", "Scan"), _ONE_OPERATOR),
        **dict.fromkeys(("Attention", "MultiHeadAttention"), ATTENTION),
        "ReduceMean": "use the last step's outputs instead of the mean over time",
        "Conv": "use a GRU or LSTM on the samples themselves",
        "BatchNormalization": "fold it into the linear layer next to it, or normalise the data",
    }
    supported = (
        "GRU, LSTM and RNN, all forward, Gemm, MatMul, Add/Sub/Mul/Div of one constant a channel, "
        "Dropout, and Softmax at the end"
    )
    engine = "onnxruntime"

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model, graph = model, model.graph
        given = ((t.name, numpy_helper.to_array(t)) for t in graph.initializer)
        self._constants = dict[str, Any](given)
        self._given = [i for i in graph.input if i.name not in self._constants]
        if not self._given or not graph.output:
            raise CompressError("the graph needs an input and an output")
        for node in graph.node:
            if node.op_type == "Constant" and not node.domain:
                value = helper.get_attribute_value(node.attribute[0])
                if isinstance(value, onnx.TensorProto):
                    value = numpy_helper.to_array(value)
                self._constants[node.output[0]] = np.asarray(value)
        inputs = [(i.name, _sizes(i)) for i in self._given]
        outputs = [output.name for output in graph.output]
        super().__init__([*map(self._operation, graph.node)], inputs, outputs)

    def _operation(self, node: NodeProto) -> Operation:
        kind, name = node.op_type, node.name or node.output[0]
        role = _ROLES.get(kind, "") if node.domain in _STANDARD else ""
        swaps, pick = role == "recurrent", None
        if kind == "Transpose":
            swaps = list(_attributes(node).get("perm", ())) == [1, 0, 2]
        elif kind == "Gather" and role:
            index = np.asarray(self._constants.get(node.input[1], ()))
            pick = int(index.item()) if index.size == 1 else None
        states = [*filter(None, node.input[5:7])] if role == "recurrent" else []
        results = [output or (name, k) for k, output in enumerate(node.output)]
        return Operation(
            node, name, kind, role, [*_reads(node)], results, node.input, states, swaps, pick
        )

    def limitation(self, op: Operation) -> str | None:
        if op.node.domain not in _STANDARD:
            return f"operators of '{op.node.domain}' are not supported: export standard ones"
        reads = [name in self.data for name in op.node.input]
        if op.kind == "Concat":  # of last states; anything else fails as the chain is built
            return None if all(reads) else NOT_SUPPORTED
        if op.role == "move" and any(reads[1:]):
            return "it depends on the samples' values"
        return self._recurrent_limitation(op) if op.role == "recurrent" else None

    def _recurrent_limitation(self, op: Operation) -> str | None:
        options = _attributes(op.node)
        problems = []
        if options.get("direction", b"forward") != b"forward":
            direction = options["direction"].decode()
            problems.append(f"{direction}: it needs the future, so use a forward layer")
        names, known = _activations(op.node), _ACTIVATIONS[op.kind]
        if names not in known:
            usable = " or ".join(", ".join(one) for one in known)
            problems.append(f"activations {', '.join(names)}: use {usable}")
        for option in ("clip", "input_forget", "layout"):
            if options.get(option):
                problems.append(f"{option}: train or export without it")
        if len(op.node.input) > 7 and op.node.input[7]:
            problems.append("peepholes (P): train without them")
        if any(name in self.data for name in op.node.input[1:]):
            problems.append("its weights or first state depend on the samples")
        read = {self.output, *(name for other in self.path for name in other.node.input)}
        if op.kind == "LSTM" and len(op.node.output) > 2 and op.node.output[2] in read:
            problems.append("its cell state Y_c is read: use its output Y")
        return ", ".join(problems) or None

    def run(
        self, x: NDArray[np.float32], n: int, wanted: Sequence[Hashable]
    ) -> list[NDArray[np.float32]]:
        import onnxruntime

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        feeds = dict[str, Any]()
        for given in self._given:
            kind = helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
            zeros = x if given.name == self.sample else [size or n for size in _sizes(given)]
            feeds[given.name] = x.astype(kind) if zeros is x else np.zeros(zeros, kind)
        known = {"", *self.data, *self._constants, *feeds}
        inputs = dict.fromkeys(name for op in self.path for name in op.node.input)
        computed = [name for name in inputs if name not in known]
        outputs = {output.name for output in model.graph.output}
        more = dict.fromkeys([*computed, *map(str, wanted)])
        model.graph.output.extend(onnx.ValueInfoProto(name=k) for k in more if k not in outputs)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        values = session.run([*wanted, *computed], feeds)
        found, values = values[: len(wanted)], values[len(wanted) :]
        self._constants |= dict(zip(computed, values, strict=True))
        self._constants |= {name: feeds[name] for name in feeds if name not in self.data}
        return [np.asarray(y, dtype=np.float32) for y in found]

    def constant(self, value: Any) -> NDArray[Any]:
        return np.asarray(self._constants[value], dtype=np.float64)

    def arguments(self, op: Operation) -> Iterator[tuple[Any, ...]]:
        if op.role == "recurrent":
            yield from self._recurrent(op)
        else:
            yield self._linear(op)

    def _linear(self, op: Operation) -> tuple[Any, ...]:
        constants: list[Any] = [*map(self._constants.get, op.node.input), None]
        _, weight, bias = constants[:3]
        options = _attributes(op.node)
        if op.kind == "Gemm":
            weight = options.get("alpha", 1.0) * weight
            bias = None if bias is None else options.get("beta", 1.0) * np.asarray(bias)
        return _layer(op), weight if options.get("transB", 0) else weight.T, bias

    def _recurrent(self, op: Operation) -> Iterator[tuple[Any, ...]]:
        constants: list[Any] = [*map(self._constants.get, op.node.input), None, None]
        _, weight, recurrent, bias, lengths = constants[:5]
        if lengths is not None and np.ptp(lengths) > 0:
            raise CompressError(f"{op} has sequence_lens that differ: leave them out")
        gates = _GATES[op.kind]

        def torch_rows(array: NDArray[Any]) -> NDArray[Any]:
            parts = np.split(array, len(gates))
            return np.concatenate([parts[g] for g in gates])

        halves = (None, None) if bias is None else map(torch_rows, np.split(bias[0], 2))
        yield _layer(op), _module(op.node), torch_rows(weight[0]), torch_rows(recurrent[0]), *halves


def _reads(node: NodeProto) -> Iterator[str]:
    """Yield the names of the values that a node reads, those of its subgraphs among them."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _reads(inner)


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _activations(node: NodeProto) -> list[str]:
    names = _attributes(node).get("activations", [])
    return [name.decode().lower() for name in names] or _ACTIVATIONS[node.op_type][0]


def _module(node: NodeProto) -> Callable[..., nn.Module]:
    """Return the constructor of the torch layer of a recurrent node."""
    if node.op_type == "LSTM":
        return nn.LSTM
    if node.op_type == "RNN":
        return partial(nn.RNN, nonlinearity=_activations(node)[0])
    return nn.GRU if _attributes(node).get("linear_before_reset", 0) else GRUResetBefore


def _layer(op: Operation) -> str:
    """Return '/rnn/GRU_1' as 'rnn_1', 'node_linear' as 'linear'."""
    *scopes, last = op.name.strip("/").split("/")
    if not scopes:
        return last.removeprefix("node_")
    return "_".join(scopes) + last.removeprefix(op.kind)


def _sizes(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the sizes of a graph input, None where they are free."""
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]

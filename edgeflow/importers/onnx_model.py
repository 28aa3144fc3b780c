"""ONNX files of trained models: recurrent and linear operators in a chain."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from torch import nn

from edgeflow.cells.chain import FloatChain
from edgeflow.cells.gru_reset_before import GRUResetBefore
from edgeflow.cells.rnn import relu_layer
from edgeflow.errors import CompressError
from edgeflow.importers.assembly import (
    ATTENTION,
    UNEXPECTED,
    Assembly,
    Description,
    check_samples,
    samples,
)

SUPPORTED = (
    "GRU, LSTM and RNN, all forward, Gemm, MatMul, Add/Sub/Mul/Div of one constant a channel, "
    "Dropout, and Softmax at the end"
)
#: Operators that only move values; the check of the outputs shows that they move none elsewhere.
_GLUE = ("Cast", "Dropout", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze",
         "Transpose", "Unsqueeze")  # fmt: skip
_ACTIVATIONS = {
    "GRU": [["sigmoid", "tanh"]],
    "LSTM": [["sigmoid", "tanh", "tanh"]],
    "RNN": [["tanh"], ["relu"]],
}  # the first is the default
# torch's r z n of z r h; i f g o of i o f c
_GATES = {"GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1), "RNN": (0,)}
_ADVICE = {
    "Loop": "export the recurrent layer as one GRU, LSTM or RNN operator",
    "Scan": "export the recurrent layer as one GRU, LSTM or RNN operator",
    "Attention": ATTENTION,
    "MultiHeadAttention": ATTENTION,
    "ReduceMean": "use the last step's outputs instead of the mean over time",
    "Conv": "use a GRU or LSTM on the samples themselves",
    "BatchNormalization": "fold it into the linear layer next to it, or normalise the data",
}


def from_onnx(
    path: str | Path, example: NDArray[np.float32], description: Description | None = None
) -> FloatChain:
    """Read an ONNX file that maps x [n, time, channels] or [time, n, channels] to outputs.

    Parameters
    ----------
    path : str or Path
    example : float32 array [n, time, channels]
        Real samples that the import is checked on, against onnxruntime.
    description : Description, optional

    Returns
    -------
    FloatChain
        Its outputs are those of the graph's first output at every step, before a final softmax.

    Raises
    ------
    CompressError
        If the file is not a float ONNX model, or has unsupported nodes: all are listed.
    """
    model = _read(Path(path))
    try:
        return _Graph(model, Path(path)).chain(example, description or Description())
    except CompressError as error:
        raise CompressError(f"{path}: {error}") from error
    except UNEXPECTED as error:
        raise CompressError(
            f"{path}: its graph has an unexpected form ({type(error).__name__}: {error})"
        ) from error


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


class _Graph:
    """The path from input to output, and what the file computes."""

    def __init__(self, model: onnx.ModelProto, path: Path) -> None:
        self._model, self._path = model, path
        graph = model.graph
        self._constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self._inputs = [i for i in graph.input if i.name not in self._constants]
        if not self._inputs or not graph.output:
            raise CompressError("the graph needs an input and an output")
        self._data = {self._inputs[0].name}
        self._path_nodes = list(self._nodes_on_path())

    def chain(self, example: NDArray[np.float32], description: Description) -> FloatChain:
        problems = [f"{_label(n)}: {why}" for n in self._path_nodes if (why := self._refusal(n))]
        if problems:
            raise CompressError(
                f"these nodes cannot be compressed: {'; '.join(problems)}. Supported are "
                f"{SUPPORTED}"
            )
        sizes = _sizes(self._inputs[0])
        channels = example.shape[-1]
        if len(sizes) != 3 or sizes[2] not in (None, channels):
            raise CompressError(
                f"its input '{self._inputs[0].name}' is {_shape(sizes)}, the samples are "
                f"[n, time, {channels}]: export a model of [n, time, channels]"
            )
        time_first = self._time_first()
        n, time = (sizes[1], sizes[0]) if time_first else (sizes[0], sizes[1])
        batches = samples(example, n, time)
        outputs = []
        for batch in batches:
            y = self._run(batch.swapaxes(0, 1) if time_first else batch, len(batch))
            outputs.append(y.swapaxes(0, 1) if time_first and y.ndim == 3 else y)
        assembly = Assembly(channels)
        self._assemble(assembly)
        chain = assembly.finish(description, self._path.stem)
        check_samples(chain, batches, outputs, softmax=assembly.softmax)
        return chain

    def _nodes_on_path(self) -> Iterator[NodeProto]:
        """Yield, in order, the nodes whose values depend on the input and reach the output."""
        nodes = list(self._model.graph.node)
        needed, wanted = {self._model.graph.output[0].name}, set()
        for position, node in reversed(list(enumerate(nodes))):
            if needed & set(node.output):
                wanted.add(position)
                needed |= set(_reads(node))
        for position, node in enumerate(nodes):
            if node.op_type == "Constant" and not node.domain:
                value = helper.get_attribute_value(node.attribute[0])
                if isinstance(value, onnx.TensorProto):
                    value = numpy_helper.to_array(value)
                self._constants[node.output[0]] = np.asarray(value)
            elif position in wanted and self._data & set(_reads(node)):
                if node.op_type in ("Shape", "Size") and not node.domain:
                    continue  # sizes are no data
                self._data |= set(filter(None, node.output))
                yield node

    def _refusal(self, node: NodeProto) -> str | None:
        """Return why a node on the path cannot be part of a chain, and what to do."""
        if node.domain not in ("", "ai.onnx"):
            return f"operators of '{node.domain}' are not supported: export standard ones"
        kind, reads = node.op_type, [name in self._data for name in node.input]
        if kind in _ACTIVATIONS:
            return self._recurrent_refusal(node)
        if kind == "Concat" and all(reads):
            return None  # of last states; anything else fails as the chain is built
        if kind in ("Gemm", "MatMul", "Add", "Sub", "Mul", "Div"):
            if sum(reads) > 1:
                return ATTENTION if kind == "MatMul" else "joins two paths: a chain is needed"
            if kind in ("Gemm", "MatMul", "Div") and not reads[0]:
                return "the constant must be the second operand"
            return None
        if kind == "Softmax" and node.output[0] == self._model.graph.output[0].name:
            return None
        if kind in _GLUE:
            return None if not any(reads[1:]) else "it depends on the samples' values"
        return _ADVICE.get(kind, "not supported: leave it out or put it outside of the model")

    def _recurrent_refusal(self, node: NodeProto) -> str | None:
        kind, options = node.op_type, _attributes(node)
        problems = []
        if options.get("direction", b"forward") != b"forward":
            direction = options["direction"].decode()
            problems.append(f"{direction}: it needs the future, so use a forward layer")
        names, known = _activations(node), _ACTIVATIONS[kind]
        if names not in known:
            usable = " or ".join(", ".join(one) for one in known)
            problems.append(f"activations {', '.join(names)}: use {usable}")
        for option in ("clip", "input_forget", "layout"):
            if options.get(option):
                problems.append(f"{option}: train or export without it")
        if len(node.input) > 7 and node.input[7]:
            problems.append("peepholes (P): train without them")
        if any(name in self._data for name in node.input[1:]):
            problems.append("its weights or first state depend on the samples")
        if kind == "LSTM" and len(node.output) > 2 and node.output[2] in self._read_on_path():
            problems.append("its cell state Y_c is read: use its output Y")
        return ", ".join(problems) or None

    def _read_on_path(self) -> set[str]:
        names = {name for node in self._path_nodes for name in node.input}
        return names | {self._model.graph.output[0].name}

    def _time_first(self) -> bool:
        """Tell whether x is [time, n, channels], by the transpositions before the first layer."""
        swapped = False
        for node in self._path_nodes:
            if node.op_type in _ACTIVATIONS:
                return not swapped
            if node.op_type == "Transpose":
                swapped ^= list(_attributes(node).get("perm", ())) == [1, 0, 2]
        return False

    def _run(self, x: NDArray[np.float32], n: int) -> NDArray[np.float32]:
        """Run the file; also find the constants that it computes. Other inputs are zero states."""
        import onnxruntime

        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        computed = [
            name
            for name in dict.fromkeys(name for node in self._path_nodes for name in node.input)
            if name and name not in self._data and name not in self._constants
        ]
        given = {i.name for i in self._inputs}
        computed = [name for name in computed if name not in given]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in computed)
        feeds: dict[str, Any] = {self._inputs[0].name: np.ascontiguousarray(x)}
        for extra in self._inputs[1:]:
            kind = helper.tensor_dtype_to_np_dtype(extra.type.tensor_type.elem_type)
            feeds[extra.name] = np.zeros([size or n for size in _sizes(extra)], kind)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options)
            output = self._model.graph.output[0].name
            y, *values = session.run([output, *computed], feeds)
        except Exception as error:  # onnxruntime raises many types, none public
            reason = " ".join(str(error).split())[:200]
            raise CompressError(
                f"onnxruntime cannot run it on samples {list(x.shape)}: {reason}"
            ) from error
        self._constants |= dict(zip(computed, values, strict=True))
        self._constants |= {name: feeds[name] for name in given if name != self._inputs[0].name}
        return np.asarray(y, dtype=np.float32)

    def _assemble(self, chain: Assembly) -> None:
        # the version of the chain that a value is, or those that are concatenated in it
        versions: dict[str, list[int]] = {self._inputs[0].name: [chain.version]}
        problems = []
        for node in self._path_nodes:
            read = [version for name in node.input for version in versions.get(name, ())]
            constants: list[Any] = [self._constants.get(name) for name in node.input]
            if node.op_type in _GLUE:
                if len(read) > 1 and node.op_type == "Gather" and np.size(constants[1]) == 1:
                    read = [read[int(np.asarray(constants[1]).item())]]
            elif node.op_type != "Concat":
                if read != [chain.version]:
                    problems.append(f"{_label(node)}: it reads what another layer has read, too")
                self._add(chain, node, constants)
                read = [chain.version]
            for name in node.output:
                versions[name] = read
        if versions.get(self._model.graph.output[0].name) != [chain.version]:
            problems.append("the output is not that of the last layer")
        if problems:
            raise CompressError(f"the layers are no chain: {'; '.join(problems)}")

    def _add(self, chain: Assembly, node: NodeProto, constants: list[Any]) -> None:
        kind, name, options = node.op_type, _layer_name(node), _attributes(node)
        if kind in _ACTIVATIONS:
            self._add_recurrent(chain, node, name, constants)
        elif kind == "Gemm":
            weight = constants[1] if options.get("transB", 0) else constants[1].T
            bias = constants[2] if len(constants) > 2 and constants[2] is not None else 0.0
            alpha, beta = options.get("alpha", 1.0), options.get("beta", 1.0)
            chain.linear(name, alpha * weight, beta * np.asarray(bias))
        elif kind == "MatMul":
            chain.linear(name, constants[1].T)
        elif kind == "Softmax":
            chain.softmax = True
        else:
            first = constants[0] is not None  # "constant op value"
            c = np.asarray(constants[0] if first else constants[1], dtype=np.float64)
            factor = {"Mul": c, "Div": 1 / np.where(c == 0, np.nan, c)}.get(kind, 1.0)
            term = {"Add": c, "Sub": c if first else -c}.get(kind, 0.0)
            chain.affine(-1.0 if kind == "Sub" and first else factor, term)

    def _add_recurrent(
        self, chain: Assembly, node: NodeProto, name: str, constants: list[Any]
    ) -> None:
        gates = _GATES[node.op_type]
        if any(v is not None and np.any(v) for v in constants[5:7]):
            raise CompressError(
                f"{_label(node)} does not start from a state of zeros: leave it out"
            )
        lengths = constants[4] if len(constants) > 4 else None
        if lengths is not None and np.ptp(lengths) > 0:
            raise CompressError(f"{_label(node)} has sequence_lens that differ: leave them out")

        def torch_rows(array: NDArray[Any]) -> NDArray[Any]:
            parts = np.split(array, len(gates))
            return np.concatenate([parts[g] for g in gates])

        weight, recurrent = (torch_rows(constants[k][0]) for k in (1, 2))
        biases: list[Any] = [None, None]
        if len(constants) > 3 and constants[3] is not None:
            biases = [torch_rows(half) for half in np.split(constants[3][0], 2)]
        chain.recurrent(name, _module(node), weight, recurrent, *biases)


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
    """Return what makes the torch layer of a recurrent node."""
    if node.op_type == "LSTM":
        return nn.LSTM
    if node.op_type == "RNN":
        return nn.RNN if _activations(node) == ["tanh"] else relu_layer
    return nn.GRU if _attributes(node).get("linear_before_reset", 0) else GRUResetBefore


def _label(node: NodeProto) -> str:
    return f"{node.name or node.output[0]} ({node.op_type})"


def _layer_name(node: NodeProto) -> str:
    """Return '/rnn/GRU_1' as 'rnn_1', 'node_linear' as 'linear'."""
    *scopes, last = (node.name or node.output[0]).strip("/").split("/")
    if not scopes:
        return last.removeprefix("node_")
    return "_".join(scopes) + last.removeprefix(node.op_type)


def _sizes(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the sizes of a graph input, None where they are free."""
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]


def _shape(sizes: list[int | None]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in sizes)}]"

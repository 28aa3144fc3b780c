"""Operators of ONNX that are layers: their limits and weights."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto
from torch import nn

from edgeflow.cells.gru_reset_before import GRUResetBefore
from edgeflow.errors import CompressError
from edgeflow.importers.onnx_functions import FUNCTIONS, function_limit
from edgeflow.importers.onnx_nodes import Arrays, attributes, operand, padded
from edgeflow.importers.operation import Operation

#: Activations that recurrent operators may have; the first are the default.
ACTIVATIONS = {
    "GRU": [["sigmoid", "tanh"]],
    "LSTM": [["sigmoid", "tanh", "tanh"]],
    "RNN": [["tanh"], ["relu"]],
}
# torch's r z n of z r h; i f g o of i o f c
_GATES = {"GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1), "RNN": (0,)}


CELL_LAYERS: dict[str, Any] = {"GRUCell": nn.GRU, "LSTMCell": nn.LSTM, "RNNCell": nn.RNN}


def limitation(node: NodeProto, role: str, known: Arrays) -> str | None:
    """Return why a layer cannot be part of a chain, and what to do."""
    limits = {"recurrent": _recurrent_limit, "conv": _conv_limit, "pad": _pad_limit,
              "max_pool": _pool_limit, "avg_pool": _pool_limit,
              "mean": _mean_limit, "max": _mean_limit, "layer_norm": _norm_limit,
              "linear": _linear_limit, "function": function_limit}  # fmt: skip
    return limits[role](node, known) if role in limits else None


def arguments(op: Operation, known: Arrays) -> tuple[Any, ...]:
    """Return the arguments of the method of `Assembly` that adds a layer."""
    node, name, options = op.node, layer_name(op), attributes(op.node)
    given: list[Any] = [known.get(value) for value in node.input]
    given += [None] * (5 - len(given))
    if op.role in ("linear", "matmul"):
        return name, *_linear(node, given)
    if op.role == "recurrent":
        return name, *_recurrent(op, given, known)
    if op.role == "conv":
        return name, *_conv(node, given)
    if op.role in ("max_pool", "avg_pool"):
        return name, *_pool(node)
    if op.role == "layer_norm":
        return name, *given[1:3], options.get("epsilon", 1e-5)
    if op.role == "prelu":
        return name, given[1]
    if op.role == "function":
        return name, FUNCTIONS[op.kind](options)
    if op.role == "batch_norm":
        gain, bias, mean, var = (np.asarray(value, dtype=np.float64) for value in given[1:5])
        gain = gain / np.sqrt(var + options.get("epsilon", 1e-5))
        return gain, bias - mean * gain
    return (padded(node, known) or ()) if op.role == "pad" else (name,)


def layer_name(op: Operation) -> str:
    """Return '/rnn/GRU_1' as 'rnn_1', 'node_linear' as 'linear'."""
    *scopes, last = op.name.strip("/").split("/")
    if not scopes:
        return last.removeprefix("node_")
    return "_".join(scopes) + last.removeprefix(op.kind)


def _linear_limit(node: NodeProto, known: Arrays) -> str | None:
    return "transA: export it without" if attributes(node).get("transA", 0) else None


def _linear(node: NodeProto, given: list[Any]) -> tuple[Any, Any]:
    weight, bias, options = np.asarray(given[1]), given[2], attributes(node)
    if node.op_type == "MatMul":
        while weight.ndim > 2 and len(weight) == 1:
            weight = weight[0]
        return weight.T, None
    weight = options.get("alpha", 1.0) * (weight if options.get("transB", 0) else weight.T)
    return weight, None if bias is None else options.get("beta", 1.0) * np.asarray(bias)


def _recurrent_limit(node: NodeProto, known: Arrays) -> str | None:
    options, problems = attributes(node), []
    if options.get("direction", b"forward") != b"forward":
        direction = options["direction"].decode()
        problems.append(f"{direction}: it needs the future, so use a forward layer")
    names, usable = _activations(node), ACTIVATIONS[node.op_type]
    if names not in usable:
        use = " or ".join(", ".join(one) for one in usable)
        problems.append(f"activations {', '.join(names)}: use {use}")
    for option in ("clip", "input_forget", "layout"):
        if options.get(option):
            problems.append(f"{option}: train or export without it")
    if len(node.input) > 7 and node.input[7]:
        problems.append("peepholes (P): train without them")
    return ", ".join(problems) or None


def _recurrent(op: Operation, given: list[Any], known: Arrays) -> Iterator[Any]:
    """Yield the kind of layer, and its weights and biases in torch's order of gates."""
    if op.cell:
        kind = CELL_LAYERS[op.kind]
        function = attributes(op.node).get("activation", b"tanh").decode()
        yield partial(kind, nonlinearity=function) if kind is nn.RNN else kind
        yield from (known.get(name) for name in op.node.input[-4:])
        return
    _, weight, recurrent, bias, lengths = given[:5]
    if lengths is not None and np.ptp(lengths) > 0:
        raise CompressError(f"{op} has sequence_lens that differ: leave them out")
    gates = _GATES[op.kind]

    def torch_rows(array: NDArray[Any]) -> NDArray[Any]:
        parts = np.split(array, len(gates))
        return np.concatenate([parts[g] for g in gates])

    yield _module(op.node)
    yield torch_rows(weight[0])
    yield torch_rows(recurrent[0])
    yield from (None, None) if bias is None else map(torch_rows, np.split(bias[0], 2))


def _activations(node: NodeProto) -> list[str]:
    names = attributes(node).get("activations", [])
    return [name.decode().lower() for name in names] or ACTIVATIONS[node.op_type][0]


def _module(node: NodeProto) -> Callable[..., nn.Module]:
    """Return the constructor of the torch layer of a recurrent node."""
    if node.op_type == "LSTM":
        return nn.LSTM
    if node.op_type == "RNN":
        return partial(nn.RNN, nonlinearity=_activations(node)[0])
    return nn.GRU if attributes(node).get("linear_before_reset", 0) else GRUResetBefore


def _conv_limit(node: NodeProto, known: Arrays) -> str | None:
    weight = known.get(node.input[1])
    if weight is None or weight.ndim < 3 or sum(size > 1 for size in weight.shape[2:]) > 1:
        return "use a convolution over time alone, with constant weights"
    return None


def _conv(node: NodeProto, given: list[Any]) -> tuple[Any, ...]:
    """Return the arguments of `Assembly.conv` after the name."""
    weight, options = np.asarray(given[1]), attributes(node)
    axis = int(np.argmax(weight.shape[2:]))
    weight = weight.reshape(*weight.shape[:2], -1)
    dilation = options.get("dilations", [1] * (axis + 1))[axis]
    pads = options.get("pads", [0, 0] * (axis + 1))
    left, right = pads[axis], pads[len(pads) // 2 + axis]
    if (auto := options.get("auto_pad", b"NOTSET")) in (b"SAME_UPPER", b"SAME_LOWER"):
        past = (weight.shape[2] - 1) * dilation
        left = past // 2 if auto == b"SAME_UPPER" else -(-past // 2)
        right = past - left
    stride, groups = options.get("strides", [1] * (axis + 1))[axis], options.get("group", 1)
    return weight, given[2], dilation, left, right, stride, groups


def _pool_limit(node: NodeProto, known: Arrays) -> str | None:
    options = attributes(node)
    if any(options.get("pads", ())) or b"SAME" in options.get("auto_pad", b""):
        return "padding: use whole windows, without it"
    if options.get("ceil_mode", 0) or max(options.get("dilations", [1])) > 1:
        return "dilations or ceil_mode: use whole windows of successive steps"
    sizes = zip(options["kernel_shape"], options.get("strides", []), strict=False)
    return "it pools several axes: use time alone" if sum(max(s) > 1 for s in sizes) > 1 else None


def _pool(node: NodeProto) -> tuple[int, int]:
    """Return kernel and stride."""
    options = attributes(node)
    return max(options["kernel_shape"]), max(options.get("strides", [1]))


def _pad_limit(node: NodeProto, known: Arrays) -> str | None:
    value = operand(node, 2, known, "value", 0.0)
    if attributes(node).get("mode", b"constant") != b"constant" or np.any(value):
        return "it pads with other values than zeros: pad with zeros"
    return None if padded(node, known) else "it pads more than one axis: pad the time alone"


def _mean_limit(node: NodeProto, known: Arrays) -> str | None:
    whole = node.op_type.startswith("Global")
    one = whole or operand(node, 1, known, "axes", ()).size == 1
    return None if one else "it is over several axes: use the one over time alone"


def _norm_limit(node: NodeProto, known: Arrays) -> str | None:
    if attributes(node).get("axis", -1) == 0 or len([*filter(None, node.output)]) > 1:
        return "normalise each step over its channels alone"
    return None

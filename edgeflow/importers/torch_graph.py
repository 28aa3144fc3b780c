"""Functions of torch as layers of a chain: those a module calls, and those of torch.export."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.taps import unsupported_conv
from edgeflow.importers.check import FINAL
from edgeflow.importers.graph import Graph
from edgeflow.importers.operation import SUMS, Operation
from edgeflow.importers.refusals import ATTENTION, JOINS

RECURRENT: dict[str, Callable[..., nn.Module]] = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn_tanh": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
}
#: One step of them.
CELLS: dict[str, Callable[..., nn.Module]] = {
    "gru_cell": nn.GRU,
    "lstm_cell": nn.LSTM,
    "rnn_tanh_cell": nn.RNN,
    "rnn_relu_cell": RECURRENT["rnn_relu"],
}
#: Functions of single values.
FUNCTIONS: dict[str, type[nn.Module]] = {
    "celu": nn.CELU, "elu": nn.ELU, "gelu": nn.GELU, "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "leaky_relu": nn.LeakyReLU, "mish": nn.Mish, "relu6": nn.ReLU6, "selu": nn.SELU,
    "silu": nn.SiLU, "softplus": nn.Softplus,
}  # fmt: skip
#: What cuts an axis into parts.
SPLITS = ("chunk", "split", "split_with_sizes")
_MOVES = ("T", "_to_copy", "iter", "alias", "alpha_dropout", "clone", "contiguous", "cpu", "data",
          "detach", "double", "dropout", "dropout1d", "expand", "expand_as", "feature_dropout",
          "flatten", "float", "gather", "getitem", "half", "index_select", "mT", "moveaxis",
          "movedim", "narrow", "permute", "requires_grad", "reshape", "reshape_as", "select",
          "slice", *SPLITS, "squeeze", "swapaxes", "swapdims", "t", "take_along_dim",
          "tensor_split", "to", "transpose", "type", "type_as", "unbind", "unflatten", "unsqueeze",
          "view", "view_as")  # fmt: skip
_CONCATENATIONS = ("cat", "concat", "concatenate", "hstack")
_NORMS = ("norm", "linalg_norm", "linalg_vector_norm", "vector_norm")
#: Names of a split's argument.
_SIZES_OF_PARTS = ("size", "chunks", "split_size", "split_sizes", "split_size_or_sections")
_SIZES = ("empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like",
          "sym_size", "zeros_like", "size", "shape")  # fmt: skip
_ROLES = {
    **{kind: kind for kind in ("linear", "matmul", "relu", "tanh", "layer_norm", "batch_norm",
                               "mean", "pad", *SUMS, *FINAL)},
    **{"addmm": "linear", "mm": "matmul", "rsub": "sub", "true_divide": "div", "divide": "div",
       "rdiv": "div", "multiply": "mul", "rmul": "mul", "subtract": "sub", "radd": "add",
       "neg": "mul", "negative": "mul", "conv1d": "conv", "constant_pad_nd": "pad",
       "max_pool1d": "max_pool", "avg_pool1d": "avg_pool",
       "adaptive_avg_pool1d": "mean", "max": "max", "amax": "max", "adaptive_max_pool1d": "max",
       "argmax": "argmax", "_softmax": "softmax",
       "_log_softmax": "log_softmax"},
    **dict.fromkeys(RECURRENT, "recurrent"),
    **dict.fromkeys(CELLS, "cell"),
    "stack": "stack",
    "sum": "sum",
    "bmm": "matmul",
    **dict.fromkeys(FUNCTIONS, "function"),
    "glu": "glu",
    "prelu": "prelu",
    **dict.fromkeys(_NORMS, "magnitude"),
    **dict.fromkeys(_CONCATENATIONS, "concat"),
    **dict.fromkeys(_MOVES, "move"),
    **dict.fromkeys(_SIZES, "size"),
}  # fmt: skip
#: Names of the arguments by kind.
_ARGUMENTS = {
    **dict.fromkeys(
        RECURRENT, "input hx weights biases layers dropout training bidirectional batch_first"
    ),
    **dict.fromkeys(CELLS, "input hx weight_ih weight_hh bias_ih bias_hh"),
    **dict.fromkeys(SPLITS, "input size dim"),
    "unbind": "input dim",
    "slice": "input dim start end step",
    "narrow": "input dim start length",
    "stack": "tensors dim",
    **dict.fromkeys(("celu", "elu"), "input alpha"),
    "prelu": "input weight",
    **dict.fromkeys(_NORMS, "input ord dim keepdim"),
    "gelu": "input approximate",
    "hardtanh": "input min_val max_val",
    "leaky_relu": "input negative_slope",
    "softplus": "input beta threshold",
    "linear": "input weight bias",
    "addmm": "bias input weight",
    "layer_norm": "input normalized_shape weight bias eps",
    "batch_norm": "input running_mean running_var weight bias training momentum eps",
    "conv1d": "input weight bias stride padding dilation groups",
    "max_pool1d": "input kernel_size stride padding dilation ceil_mode return_indices",
    "avg_pool1d": "input kernel_size stride padding ceil_mode count_include_pad",
    "pad": "input pad mode value",
    "constant_pad_nd": "input pad value",
    **dict.fromkeys(("mean", "max", "amax", "sum"), "input dim keepdim"),
    **dict.fromkeys(_CONCATENATIONS, "tensors dim"),
    "adaptive_avg_pool1d": "input output_size",
    "adaptive_max_pool1d": "input output_size return_indices",
    "dropout": "input p training inplace",
    "select": "input dim index",
    "rsub": "other input",
    "rdiv": "other input",
}
_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_TURNS = ("transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "permute", "mT")
_ALSO_A_CHANNEL = (
    "compute it in the data, as a channel of its own (a magnitude by torch.linalg.vector_norm)"
)
_ACTIVATION = "use ReLU, GELU, SiLU, tanh or sigmoid between layers"
_OVER_TIME = "use the last step's outputs, or their mean or largest over time"
_RANDOM = "it is random: leave it out, or call it in training only"


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in what a function takes or returns."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a function: its name, its arguments by name, and the name of a layer for it."""

    function: str
    given: Mapping[str, Any]
    layer: str
    module: nn.Module | None = None

    def get(self, name: str, default: Any = None) -> Any:
        return self.given.get(name, default)


def torch_operation(
    function: str,
    args: Sequence[Any],
    options: Mapping[str, Any],
    *,
    name: str,
    layer: str,
    reads: Sequence[Hashable],
    results: Sequence[Hashable],
    key: Callable[[Any], Any] = lambda value: value,
    kind: str = "",
    place: str = "",
    module: nn.Module | None = None,
    opaque: bool = False,
    arguments: str = "",
) -> Operation:
    """Return the operation of a call of a function of torch, or of aten.

    Parameters
    ----------
    function : str
        Without overload, namespace and the underscores of in-place and reflected forms.
    layer : str
        Name of the layer that it may become.
    key : callable
        Returns the value of an argument.
    module : nn.Module, optional
        The one that stands for the call; with `opaque`, a layer as a whole.
    arguments : str
        Names of the arguments, where they are others than torch's.
    """
    names = (arguments or _ARGUMENTS.get(function, "input other")).split()
    given = {**dict(zip(names, args, strict=False)), **options}
    if function == "hardtanh" and (given.get("min_val"), given.get("max_val")) == (0, 6):
        function, given = "relu6", {"input": given.get("input")}
    if "normalized_shape" in names and isinstance(given.get("normalized_shape"), int):
        given["normalized_shape"] = [given["normalized_shape"]]
    order: Sequence[int] = ()
    cuts: Sequence[tuple[int, slice]] = ()
    pick, states, operands = None, list[Any](), [given.get("input")]
    role = _ROLES.get(function, "")
    if opaque:
        role = "" if function in TorchGraph.advice else "layer"
        operands = [*args, *options.values()][:1]
        held = {name: value for name, value in options.items() if name != "timespans"}
        given = {"args": args, "options": options}
        order = () if getattr(module, "batch_first", True) else (1, 0, 2)
        states = [t for t in tensors_in((args[:2], held)) if t is not operands[0]]
    elif function in RECURRENT or function in CELLS:
        order = (1, 0, 2) if given.get("batch_first") is False else ()
        hx = given.get("hx")
        states = [*hx] if isinstance(hx, (list, tuple)) else [hx]
        states = [state for state in states if state is not None]
    elif function in _TURNS:
        order = _order(function, [*args[1:], *options.values()])
    elif function in SPLITS:
        role = "split" if given.get("dim", 0) != 0 else role
    elif function == "select":
        pick, order = given.get("index"), _left([given.get("dim", 0)])
    elif function in ("unbind", "iter"):
        order = _left([given.get("dim", 0)])
    elif function == "slice":
        cuts = [
            (given.get("dim", 0), slice(given.get("start"), given.get("end"), given.get("step")))
        ]
    elif function == "narrow":
        start = given.get("start", 0)
        cuts = [(given.get("dim", 0), slice(start, start + given.get("length", 0)))]
    elif function == "getitem":
        cuts = _cuts(args[1])
        pick, order = _pick(args[1]), _left(_indexed(args[1]))
    elif function in ("neg", "negative"):
        operands = [args[0], -1.0]
    elif role in (*SUMS, "matmul"):
        operands = [given.get("input"), given.get("other")]
    elif role in ("concat", "stack"):
        operands = list(given.get("tensors", ()))
        # of last states [layers, n, units], which another operation takes apart again
        role = "move" if function not in ("hstack", "stack") and given.get("dim", 0) == 0 else role
    weights = [given.get(name) for name in _WEIGHTS] if function in CELLS else []
    cell = (function, *(None if v is None else key(v) for v in weights)) if weights else ()
    return Operation(
        Call(function, given, layer, module), name, kind or function, role,
        reads, results, [key(v) for v in operands], [key(v) for v in states], order, pick, place,
        cell, cuts,
    )  # fmt: skip


def _order(function: str, dims: Sequence[Any]) -> Sequence[int]:
    """Return where the axes of a turned tensor of three were before, () for another."""
    if function == "permute":
        order = list(dims[0] if len(dims) == 1 else dims)
        return [int(k) % 3 for k in order] if len(order) == 3 else ()
    pairs = [[int(k) % 3 for k in ([d] if isinstance(d, int) else d)] for d in dims or (1, 2)]
    if pairs[0] == pairs[1]:
        return (0, 1, 2)
    if function not in ("movedim", "moveaxis"):
        pairs = [[*pairs[0], *pairs[1]], [*pairs[1], *pairs[0]]]
    order = [k for k in range(3) if k not in pairs[0]]
    for target, source in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(target, source)
    return order


def _left(dims: Sequence[int]) -> Sequence[int]:
    """Return the axes of three that are left where some are taken out."""
    gone = {dim % 3 for dim in dims}
    return [k for k in range(3) if k not in gone] if gone else ()


def _indexed(index: Any) -> list[int]:
    """Return the axes of which an index takes one place."""
    parts = index if isinstance(index, tuple) else (index,)
    return [k for k, part in enumerate(parts) if isinstance(part, int)]


def _cuts(index: Any) -> list[tuple[int, slice]]:
    """Return the ranges of axes that an index takes; axes after an ellipsis from the end."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(part is None or isinstance(part, Tensor | list) for part in parts):
        return []
    ellipsis = next((k for k, part in enumerate(parts) if part is ...), len(parts))
    places = [k if k < ellipsis else k - len(parts) for k in range(len(parts))]
    return [(k, part) for k, part in zip(places, parts, strict=True) if isinstance(part, slice)]


def _pick(index: Any) -> int | None:
    first = index[0] if isinstance(index, tuple) and index else index
    return first if isinstance(first, int) and not isinstance(first, bool) else None


class TorchGraph(Graph):
    """A graph whose operations are calls of functions of torch."""

    advice: ClassVar = {
        **dict.fromkeys(("scaled_dot_product_attention", "baddbmm", "einsum",
                         "MultiheadAttention", "multi_head_attention_forward"), ATTENTION),
        "stack": f"{JOINS}; compute further channels in the data",
        **dict.fromkeys(("pow",
                         "square", "sqrt", "abs", "log", "log1p", "exp", "diff", "cumsum", "round",
                         "fft_rfft", "rfft", "stft"), _ALSO_A_CHANNEL),
        **dict.fromkeys(("conv2d", "conv3d"), "use a causal nn.Conv1d over time"),
        **dict.fromkeys(("clamp", "clip", "hardtanh", "clamp_min", "clamp_max", "nan_to_num"),
                        "leave it out, and clip the data before the model"),
        **dict.fromkeys(("rrelu", "sin", "softsign"), _ACTIVATION),
        "sum": _OVER_TIME,
        **dict.fromkeys(("rand_like", "randn_like", "normal", "bernoulli", "randint_like"),
                        _RANDOM),
        **dict.fromkeys(("group_norm", "instance_norm", "rms_norm"),
                        "use LayerNorm, or BatchNorm1d behind a linear layer"),
        **dict.fromkeys(("flip", "roll", "fliplr"), "it needs the future: leave it out"),
        **dict.fromkeys(("_pack_padded_sequence", "pack_padded_sequence"),
                        "packed sequences: call the layers on plain tensors"),
    }  # fmt: skip
    supported = (
        "layers of docs/import.md: forward GRU, LSTM, RNN, linear, causal conv1d, pooling, norms, "
        "relu, tanh and their like, one constant a channel, the last step, mean or largest over "
        "time, softmax at the end"
    )

    def refusal(self, op: Operation) -> str | None:
        return self.advice.get(op.node.function)

    def limitation(self, op: Operation) -> str | None:
        call: Call = op.node
        if op.role == "recurrent":
            return self._recurrent_limitation(op)
        if "dropout" in call.function and call.get("training", False):
            return "it is on in training mode: pass training=self.training, and call model.eval()"
        if call.get("rounding_mode") or (op.role in SUMS and call.get("alpha", 1) != 1):
            return f"has options: write it as plain {op.role}"
        if call.function == "layer_norm" and len(call.get("normalized_shape")) != 1:
            return f"normalized_shape {list(call.get('normalized_shape'))}: use the channels only"
        if call.function == "batch_norm" and call.get("training"):
            return "no running statistics: train it with track_running_stats=True"
        if op.role == "conv":
            return _conv_limitation(call, self.shape(call.get("weight"))[2])
        if op.role in ("max_pool", "avg_pool"):
            return _pool_limitation(call)
        if op.role == "magnitude":
            return _norm_limitation(call)
        if op.role == "pad":
            mode = call.get("mode", "constant")
            more = f"padding_mode '{mode}': " if mode != "constant" else ""
            return None if _padding(call) else f"{more}pad with zeros, along time only"
        if op.role in ("mean", "max"):
            dims = call.get("dim", call.get("output_size"))
            one = isinstance(dims, int) or (isinstance(dims, list | tuple) and len(dims) == 1)
            wide = call.function.startswith("adaptive") and dims not in (1, (1,), [1])
            if set(op.results[1:]).intersection(self.read()):
                return "the place of the largest is read: use its value"
            what = {"mean": "mean", "max": "largest"}[op.role]
            return f"take the {what} over time only" if wide or not one else None
        return None

    def parts(self, op: Operation, width: int) -> Sequence[tuple[int, int]]:
        size = next(op.node.get(k) for k in _SIZES_OF_PARTS if op.node.get(k) is not None)
        if not isinstance(size, int):
            ends = list(accumulate(int(one) for one in size))
            return list(pairwise([0, *ends]))
        each = max(1, -(-width // size) if op.node.function == "chunk" else size)
        return [(start, min(start + each, width)) for start in range(0, width, each)]

    def shape(self, value: Any) -> Sequence[int]:
        """Return the shape of an argument."""
        return tuple(value.shape)

    def _recurrent_limitation(self, op: Operation) -> str | None:
        call: Call = op.node
        if op.cell:
            read = {*op.results[1:]}.intersection(self.read())
            return "the cell state is read: use the output" if read else None
        if not isinstance(call.get("biases"), bool):
            return "packed sequences: call it on plain tensors"
        if call.get("bidirectional"):
            return "bidirectional: it needs the future, so use a forward layer"
        if call.get("dropout") and call.get("training"):
            return "exported in training mode: call model.eval() first"
        if call.function == "lstm" and len(op.results) > 2 and op.results[2] in self.read():
            return "the cell state is read: use the output"
        weights = [value for value in op.reads[1:] if value not in op.states]
        return "its weights depend on the samples" if self.data.intersection(weights) else None

    def arguments(self, op: Operation) -> Iterator[tuple[Any, ...]]:
        call: Call = op.node
        weight, bias = (self._optional(call.get(name)) for name in ("weight", "bias"))
        if op.role == "recurrent":
            yield from self._recurrent(call)
        elif op.role == "matmul":
            yield call.layer, self.constant(op.operands[1]).T
        elif op.role == "linear":
            yield call.layer, weight if call.function == "linear" else weight.T, bias
        elif op.role == "layer_norm":
            yield call.layer, weight, bias, call.get("eps", 1e-5)
        elif op.role == "batch_norm":
            mean, var = (self.constant(call.get(f"running_{name}")) for name in ("mean", "var"))
            gain = torch.rsqrt(torch.as_tensor(var) + call.get("eps", 1e-5)).numpy()
            gain = gain if weight is None else gain * weight
            yield gain, -mean * gain + (0 if bias is None else bias)
        elif op.role == "conv":
            taps, dilation = weight.shape[2], _single(call.get("dilation", 1))
            padding = call.get("padding", 0)
            total = (taps - 1) * dilation if padding == "same" else 0
            both = 0 if isinstance(padding, str) else _single(padding)
            sides = both + total // 2, both + total - total // 2
            stride, groups = _single(call.get("stride", 1)), call.get("groups", 1)
            yield call.layer, weight, bias, dilation, *sides, stride, groups
        elif op.role in ("max_pool", "avg_pool"):
            yield call.layer, *_pooled(call)
        elif op.role == "pad":
            yield _padding(call) or ()
        elif op.role == "prelu":
            yield call.layer, weight
        elif op.role == "function":
            yield call.layer, _function(call)
        else:
            yield (call.layer,)

    def _recurrent(self, call: Call) -> Iterator[tuple[Any, ...]]:
        if call.function in CELLS:
            weights = [self._optional(call.get(name)) for name in _WEIGHTS]
            yield call.layer, CELLS[call.function], *weights
            return
        layers = call.get("layers")
        weights = [self.constant(parameter) for parameter in call.get("weights")]
        each, plain = len(weights) // layers, 4 if call.get("biases") else 2
        for layer in range(layers):
            own = weights[each * layer : each * (layer + 1)]
            given = [*own[:plain], *[None] * (4 - plain), *own[plain:]]
            name = f"{call.layer}{layer if layers > 1 else ''}"
            yield name, RECURRENT[call.function], *given

    def _optional(self, value: Any) -> Any:
        return None if value is None else self.constant(value)


def _function(call: Call) -> nn.Module:
    """Return a function as a layer, with the options of its call."""
    options = {name: call.get(name) for name in _ARGUMENTS.get(call.function, "").split()[1:]}
    return FUNCTIONS[call.function](**{k: v for k, v in options.items() if v is not None})


def _single(value: Any) -> int:
    return int(value if isinstance(value, int) else value[0])


def _conv_limitation(call: Call, taps: int) -> str | None:
    """Refuse what is no step of one sample in, one out, or reads the future."""

    def single(name: str, default: int) -> Any:
        value = call.get(name, default)
        return value if isinstance(value, (str, tuple)) else tuple(np.atleast_1d(value).tolist())

    return unsupported_conv(
        SimpleNamespace(
            padding=single("padding", 0),
            dilation=single("dilation", 1),
            kernel_size=(taps,),
            padding_mode="zeros",
        )
    )


def _norm_limitation(call: Call) -> str | None:
    """Refuse other norms than the length of a step's values."""
    order, dims = call.get("ord", call.get("p")), np.atleast_1d(call.get("dim", ()) or ()).tolist()
    if order not in (None, 2, "fro") or len(dims) != 1:
        return "use torch.linalg.vector_norm(x[..., :3], dim=-1), the length of channels"
    return None


def _pooled(call: Call) -> tuple[int, int]:
    """Return kernel and stride of a pooling."""
    kernel = _single(call.get("kernel_size"))
    return kernel, _single(call.get("stride") or kernel)


def _pool_limitation(call: Call) -> str | None:
    """Refuse what reads more than whole windows of successive steps."""
    if _single(call.get("padding", 0)):
        return f"padding={_single(call.get('padding'))}: use padding=0"
    if _single(call.get("dilation", 1)) != 1 or call.get("ceil_mode", False):
        return "dilation or ceil_mode: use whole windows of successive steps"
    return None


def _padding(call: Call) -> tuple[int, int] | None:
    """Return the zeros that a call puts before and after, or None if it pads otherwise."""
    pads = [int(size) for size in call.get("pad")]
    pairs = [pair for pair in zip(pads[::2], pads[1::2], strict=True) if any(pair)]
    zeros = call.get("mode", "constant") == "constant" and not call.get("value", 0)
    if not zeros or len(pairs) > 1 or min(pads) < 0:
        return None
    return pairs[0] if pairs else (0, 0)

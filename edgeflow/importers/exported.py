"""Files of ``torch.export.save``: recurrent and linear layers in a chain."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers.assembly import Description
from edgeflow.importers.check import one_line
from edgeflow.importers.graph import ATTENTION, MEAN, NORM, Graph, Operation, importing

_RECURRENT: dict[str, Callable[..., nn.Module]] = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn_tanh": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
}
_MOVES = ("alias", "clone", "contiguous", "detach", "dropout", "flatten", "getitem", "movedim",
          "permute", "reshape", "select", "slice", "squeeze", "swapaxes", "to", "_to_copy",
          "transpose", "unsqueeze", "view")  # fmt: skip
#: Names listed of operations that are refused for the same reason.
_LISTED = 4
_ROLES = {
    **{kind: kind for kind in ("linear", "matmul", "add", "sub", "mul", "div", "softmax")},
    **{"addmm": "linear", "mm": "linear", "rsub": "sub", "_softmax": "softmax", "sym_size": "size"},
    **dict.fromkeys(_RECURRENT, "recurrent"),
    **dict.fromkeys(_MOVES, "move"),
}


def from_exported(
    path: str | Path, example: NDArray[np.float32], description: Description | None = None
) -> FloatChain:
    """Read a ``.pt2`` file whose program maps x [n, time, channels] or [time, n, channels].

    ``torch.export.load`` unpickles: read only files that you trust.

    The import is checked on `example`, real samples [n, time, channels], against the program. The
    chain's outputs are the program's first output at every step, before a final softmax.

    Raises
    ------
    CompressError
        If the file cannot be read, or has unsupported operations: all are listed.
    """
    try:
        graph = _Exported(torch.export.load(Path(path)))
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises many unrelated types
        raise CompressError(
            f"{path}: not a file of torch.export.save of this torch version ({one_line(error)})"
        ) from error
    with importing(path):
        return graph.chain(example, description, Path(path).stem)


class _Exported(Graph):
    """The graph of an exported program; a value is the node that makes it."""

    advice: ClassVar = {
        **dict.fromkeys(("scaled_dot_product_attention", "bmm", "baddbmm"), ATTENTION),
        "mean": MEAN,
        "batch_norm": NORM,
    }
    supported = (
        "forward GRU, LSTM and RNN, linear, dropout, +, -, *, / with one constant a channel, "
        "selecting the last step, and softmax at the end"
    )
    engine = "torch"

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self._module: Any = program.module()
        self._values: dict[Any, Any] = {}
        by_name = {node.name: node for node in program.graph.nodes}
        sizes = [
            [s if isinstance(s, int) else None for s in by_name[str(name)].meta["val"].shape]
            for name in program.graph_signature.user_inputs
        ]
        nodes = list(self._module.graph.nodes)
        inputs = [node for node in nodes if node.op == "placeholder"]
        result = nodes[-1].args[0]
        output = result[0] if isinstance(result, (tuple, list)) else result
        super().__init__(
            [_operation(n) for n in nodes], list(zip(inputs, sizes, strict=True)), output
        )

    def listed(self, problems: Sequence[tuple[Operation, str]]) -> str:
        groups: dict[tuple[str, str], list[str]] = {}
        for op, why in problems:
            groups.setdefault((op.kind, why), []).append(op.name)
        parts = []
        for (kind, why), names in groups.items():
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            parts.append(f"{', '.join(names[:_LISTED])}{more} ({kind}: {why})")
        return f"these operations cannot be compressed: {'; '.join(parts)}"

    def limitation(self, op: Operation) -> str | None:
        args, options = op.node.args, op.node.kwargs
        if op.role == "recurrent":
            return self._recurrent_limitation(op)
        if op.kind == "getitem":
            if _kind(args[0]) == "lstm" and args[1] == 2:
                return "the cell state is read: use the output"
            return None if _kind(args[0]) in _RECURRENT else "joins or splits paths"
        if op.kind == "dropout" and args[2]:
            return "exported in training mode: call model.eval() first"
        if options.get("rounding_mode") or options.get("alpha", 1) != 1:
            return f"has options: write it as plain {op.role}"
        return None

    def _recurrent_limitation(self, op: Operation) -> str | None:
        if str(op.node.target).rpartition(".")[2] != "input":
            return "packed sequences: export the model on plain tensors"
        _, _, parameters, biases, layers, dropout, training, bidirectional, _ = op.node.args
        if bidirectional:
            return "bidirectional: it needs the future, so use a forward layer"
        if dropout and training:
            return "exported in training mode: call model.eval() first"
        if len(parameters) != layers * (4 if biases else 2):
            return "proj_size: projected states are not supported; use a smaller hidden_size"
        if any(value in self.data for value in op.reads[1:]):
            return "its weights or first state depend on the samples"
        return None

    @torch.no_grad()
    def run(self, x: NDArray[np.float32], n: int) -> NDArray[np.float32]:
        zeros = [torch.zeros([size or n for size in sizes]) for _, sizes in self.inputs[1:]]
        runner = fx.Interpreter(self._module, garbage_collect_values=False)
        runner.run(torch.from_numpy(x), *zeros, enable_io_processing=False)
        self._values = dict(runner.env)
        result: NDArray[np.float32] = self._values[self.output].detach().float().numpy()
        return result

    def constant(self, value: Any) -> NDArray[Any]:
        value = self._values[value] if isinstance(value, fx.Node) else value
        return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)

    def linear(self, op: Operation) -> tuple[Any, ...]:
        _, weight, *bias = (self.constant(value) for value in op.operands if value is not None)
        return _layer(op.node), weight if op.kind == "linear" else weight.T, *bias

    def recurrent(self, op: Operation) -> Iterator[tuple[Any, ...]]:
        _, states, parameters, _, layers, *_ = op.node.args
        self.check_states(op, states if isinstance(states, (list, tuple)) else [states])
        weights = [self.constant(parameter) for parameter in parameters]
        each = len(weights) // layers
        for layer in range(layers):
            given = weights[each * layer : each * (layer + 1)] + [None] * (4 - each)
            name = f"{_layer(op.node)}{layer if layers > 1 else ''}"
            yield name, _RECURRENT[op.kind], *given


def _operation(node: fx.Node) -> Operation:
    args: Any = node.args
    kind = _kind(node)
    operands, swaps, pick = args[:3] if kind == "linear" else args[:2], False, None
    if kind == "addmm":
        operands = (*args[1:3], args[0])
    elif kind == "rsub":
        operands = args[1::-1]
    elif kind in _RECURRENT:
        swaps = not args[-1]
    elif kind == "permute":
        swaps = [int(d) % 3 for d in args[1]] == [1, 0, 2]
    elif kind in ("transpose", "swapaxes", "movedim"):
        swaps = {int(d) % 3 for d in args[1:]} == {0, 1}
    elif kind == "getitem":
        pick = None if args[1] else -1
    elif kind == "select":
        pick = args[2]
    role, reads = _ROLES.get(kind, ""), node.all_input_nodes
    return Operation(node, node.name, kind, role, reads, [node], operands, swaps, pick)


def _kind(node: fx.Node) -> str:
    """Return 'gru' of ``aten.gru.input``, 'getitem' of the operator."""
    if node.op != "call_function":
        return str(node.op)
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target.__name__.split(".")[0]
    return str(getattr(node.target, "__name__", node.target))


def _layer(node: fx.Node) -> str:
    """Return the name of the module that holds the node's weights."""
    for argument in node.all_input_nodes:
        if argument.op == "get_attr" and "weight" in str(argument.target):
            return str(argument.target).rpartition(".")[0] or node.name
    return node.name

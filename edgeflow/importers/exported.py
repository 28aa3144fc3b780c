"""Files of ``torch.export.save``: recurrent and linear layers in a chain."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from edgeflow.cells.chain import FloatChain
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
    "forward GRU, LSTM and RNN, linear, dropout, +, -, *, / with one constant a channel, selecting "
    "the last step, and softmax at the end"
)
#: Operations that only move values; the check of the outputs shows that they move none elsewhere.
_GLUE = ("alias", "clone", "contiguous", "detach", "dropout", "flatten", "movedim", "permute",
         "reshape", "select", "slice", "squeeze", "swapaxes", "to", "_to_copy", "transpose",
         "unsqueeze", "view")  # fmt: skip
_RECURRENT: dict[str, Callable[..., nn.Module]] = {
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "rnn_tanh": nn.RNN,
    "rnn_relu": relu_layer,
}
_ADVICE = {
    "scaled_dot_product_attention": ATTENTION,
    "bmm": ATTENTION,
    "baddbmm": ATTENTION,
    "mean": "use the last step's outputs instead of the mean over time",
    "batch_norm": "fold it into the linear layer next to it, or normalise the data",
}
#: Names listed of the same unsupported operation.
_LISTED = 4


def from_exported(
    path: str | Path, example: NDArray[np.float32], description: Description | None = None
) -> FloatChain:
    """Read a ``.pt2`` file whose program maps x [n, time, channels] or [time, n, channels].

    ``torch.export.load`` unpickles: read only files that you trust.

    Parameters
    ----------
    path : str or Path
    example : float32 array [n, time, channels]
        Real samples that the import is checked on, against the program itself.
    description : Description, optional

    Returns
    -------
    FloatChain
        Its outputs are the program's first output at every step, before a final softmax.

    Raises
    ------
    CompressError
        If the file cannot be read, or has unsupported operations: all are listed.
    """
    try:
        program = torch.export.load(Path(path))
        graph = _Graph(program)
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises many unrelated types
        reason = " ".join(str(error).split())[:200]
        raise CompressError(
            f"{path}: not a file of torch.export.save of this torch version ({reason})"
        ) from error
    try:
        chain = graph.chain(example, description or Description())
    except CompressError as error:
        raise CompressError(f"{path}: {error}") from error
    except UNEXPECTED as error:
        raise CompressError(
            f"{path}: its graph has an unexpected form ({type(error).__name__}: {error})"
        ) from error
    chain.source = Path(path).stem
    return chain


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the value of each node."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n] = super().run_node(n)
        return self.values[n]


class _Graph:
    """The path from input to output, and what the program computes."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self._module: Any = program.module()
        names = program.graph_signature.user_inputs
        by_name = {node.name: node for node in program.graph.nodes}
        self._sizes = [
            [s if isinstance(s, int) else None for s in by_name[str(name)].meta["val"].shape]
            for name in names
        ]
        nodes = list(self._module.graph.nodes)
        self._inputs = [node for node in nodes if node.op == "placeholder"]
        result = nodes[-1].args[0]
        self._output: fx.Node = result[0] if isinstance(result, (tuple, list)) else result
        self._values: dict[fx.Node, Any] = {}
        self._data = {self._inputs[0]}
        self._path = list(self._nodes_on_path())

    def chain(self, example: NDArray[np.float32], description: Description) -> FloatChain:
        self._refuse()
        sizes, channels = self._sizes[0], example.shape[-1]
        if len(sizes) != 3 or sizes[2] not in (None, channels):
            raise CompressError(
                f"its input '{self._inputs[0].name}' is {sizes}, the samples are "
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
        chain = assembly.finish(description, "")
        check_samples(chain, batches, outputs, softmax=assembly.softmax)
        return chain

    def _nodes_on_path(self) -> Iterator[fx.Node]:
        """Yield, in order, the nodes whose values depend on the input and reach the output."""
        nodes, needed = list(self._module.graph.nodes), {self._output}
        for node in reversed(nodes):
            if node in needed:
                needed |= set(node.all_input_nodes)
        for node in nodes:
            if node in needed and self._data & set(node.all_input_nodes):
                if _operation(node) == "sym_size":
                    continue  # sizes are no data
                self._data.add(node)
                yield node

    def _refuse(self) -> None:
        problems: dict[str, list[str]] = {}
        for node in self._path:
            why = self._refusal(node)
            if why:
                problems.setdefault(f"{_operation(node)}: {why}", []).append(node.name)
        if problems:
            parts = []
            for why, names in problems.items():
                more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
                parts.append(f"{', '.join(names[:_LISTED])}{more} ({why})")
            raise CompressError(
                f"these operations cannot be compressed: {'; '.join(parts)}. Supported are "
                f"{SUPPORTED}"
            )

    def _refusal(self, node: fx.Node) -> str | None:
        """Return why a node on the path cannot be part of a chain, and what to do."""
        kind = _operation(node)
        if kind in _RECURRENT:
            return self._recurrent_refusal(node)
        if kind == "getitem":
            parent, index = node.args
            if _operation(parent) == "lstm" and index == 2:
                return "the cell state is read: use the output"
            return None if _operation(parent) in _RECURRENT else "joins or splits paths"
        if kind == "dropout":
            return "exported in training mode: call model.eval() first" if node.args[2] else None
        if kind in ("add", "sub", "rsub", "mul", "div", "linear", "matmul", "mm", "addmm"):
            if sum(argument in self._data for argument in node.all_input_nodes) > 1:
                return ATTENTION if kind == "matmul" else "joins two paths: a chain is needed"
            position = 1 if kind == "addmm" else 0
            if kind not in ("add", "mul", "sub") and node.args[position] not in self._data:
                return "the constant must be the second operand"
            return None
        if kind in ("softmax", "_softmax") and node is self._output:
            return None
        if kind in _GLUE:
            return None
        return _ADVICE.get(kind, "not supported: leave it out or put it outside of the model")

    def _recurrent_refusal(self, node: fx.Node) -> str | None:
        if str(node.target).rpartition(".")[2] != "input":
            return "packed sequences: export the model on plain tensors"
        _, hx, parameters, biases, layers, dropout, training, bidirectional, _ = node.args
        if bidirectional:
            return "bidirectional: it needs the future, so use a forward layer"
        if dropout and training:
            return "exported in training mode: call model.eval() first"
        if len(parameters) != layers * (4 if biases else 2):  # type: ignore[arg-type, operator]
            return "proj_size: projected states are not supported; use a smaller hidden_size"
        states = hx if isinstance(hx, (list, tuple)) else [hx]
        if any(value in self._data for value in (*states, *parameters)):  # type: ignore[misc]
            return "its weights or first state depend on the samples"
        return None

    def _time_first(self) -> bool:
        """Tell whether x is [time, n, channels], by the transpositions before the first layer."""
        swapped = False
        for node in self._path:
            kind = _operation(node)
            if kind in _RECURRENT:
                return swapped if node.args[-1] else not swapped
            if kind in ("transpose", "swapaxes", "movedim"):
                swapped ^= {int(d) % 3 for d in node.args[1:]} == {0, 1}  # type: ignore[arg-type]
            elif kind == "permute":
                swapped ^= [int(d) % 3 for d in node.args[1]] == [1, 0, 2]  # type: ignore
        return False

    @torch.no_grad()
    def _run(self, x: NDArray[np.float32], n: int) -> NDArray[np.float32]:
        """Run the program and keep the values; inputs other than the first are zero states."""
        zeros = [torch.zeros([size or n for size in sizes]) for sizes in self._sizes[1:]]
        recorder = _Recorder(self._module)
        try:
            tensor = torch.from_numpy(np.ascontiguousarray(x))
            recorder.run(tensor, *zeros, enable_io_processing=False)
        except Exception as error:  # torch raises many unrelated types
            reason = " ".join(str(error).split())[:200]
            raise CompressError(f"it cannot be run on samples {list(x.shape)}: {reason}") from error
        self._values = recorder.values
        result: NDArray[np.float32] = self._values[self._output].detach().float().numpy()
        return result

    def _assemble(self, chain: Assembly) -> None:
        # the version of the chain that a value is; those of all layers for a stack's states
        versions: dict[fx.Node, list[int]] = {self._inputs[0]: [chain.version]}
        problems = []
        for node in self._path:
            kind = _operation(node)
            read = [v for value in node.all_input_nodes for v in versions.get(value, ())]
            if kind == "getitem":
                read = read if node.args[1] else read[-1:]
            elif kind == "select" and len(read) > 1:
                read = [read[node.args[2]]]  # type: ignore[index]
            elif kind not in _GLUE:
                if read != [chain.version]:
                    problems.append(f"{node.name} ({kind}): it reads what another layer has read")
                read = self._add(chain, node)
            versions[node] = read
        if versions.get(self._output) != [chain.version]:
            problems.append("the output is not that of the last layer")
        if problems:
            raise CompressError(f"the layers are no chain: {'; '.join(problems)}")

    def _add(self, chain: Assembly, node: fx.Node) -> list[int]:
        """Add an operation; return the versions after each of its layers."""
        kind, args = _operation(node), node.args
        if kind in _RECURRENT:
            return self._add_recurrent(chain, node)
        if kind in ("linear", "matmul", "mm", "addmm"):
            position = 2 if kind == "addmm" else 1
            weight = self._constant(args[position])
            bias = None
            if kind == "addmm":
                bias = self._constant(args[0])
            elif kind == "linear" and len(args) > 2 and args[2] is not None:
                bias = self._constant(args[2])
            chain.linear(_layer_name(node), weight if kind == "linear" else weight.T, bias)
        elif kind in ("softmax", "_softmax"):
            chain.softmax = True
        else:
            first = args[0] not in self._data  # "constant op value"
            if kind == "rsub":
                kind, first, args = "sub", True, (args[1], args[0])
            c = self._constant(args[0] if first else args[1])
            alpha = node.kwargs.get("alpha", 1)
            if node.kwargs.get("rounding_mode") or alpha != 1:
                raise CompressError(f"{node.name} has options: write it as plain {kind}")
            factor: Any = {"mul": c, "div": 1 / np.where(c == 0, np.nan, c)}.get(kind, 1.0)
            term: Any = {"add": c, "sub": c if first else -c}.get(kind, 0.0)
            chain.affine(-1.0 if kind == "sub" and first else factor, term)
        return [chain.version]

    def _add_recurrent(self, chain: Assembly, node: fx.Node) -> list[int]:
        args: Any = node.args
        states = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
        if any(np.any(self._constant(state)) for state in states):
            raise CompressError(f"{node.name} does not start from a state of zeros: leave it out")
        each, name = (4 if args[3] else 2), _layer_name(node)
        versions = []
        for layer in range(args[4]):
            given = [self._constant(p) for p in args[2][each * layer : each * (layer + 1)]]
            weights = given if args[3] else [*given, None, None]
            single = name if args[4] == 1 else f"{name}{layer}"
            chain.recurrent(single, _RECURRENT[_operation(node)], *weights)
            versions.append(chain.version)
        return versions

    def _constant(self, argument: Any) -> NDArray[Any]:
        value = self._values[argument] if isinstance(argument, fx.Node) else argument
        return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _operation(node: Any) -> str:
    """Return 'gru' of ``aten.gru.input``, 'getitem' of the operator."""
    if node.op != "call_function":
        return str(node.op)
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target.__name__.split(".")[0]
    return str(getattr(node.target, "__name__", node.target))


def _layer_name(node: fx.Node) -> str:
    """Return the name of the module that holds the node's weights."""
    for argument in node.all_input_nodes:
        if argument.op == "get_attr" and "weight" in str(argument.target):
            return str(argument.target).rpartition(".")[0] or node.name
    return node.name

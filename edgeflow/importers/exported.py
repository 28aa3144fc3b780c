"""Files of ``torch.export.save``: recurrent and linear layers in a chain."""

import contextlib
import io
import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers.exported_file import check_exported
from edgeflow.importers.finish import Description
from edgeflow.importers.graph import States
from edgeflow.importers.messages import importing, one_line
from edgeflow.importers.operation import Operation
from edgeflow.importers.torch_graph import CELLS, RECURRENT, SPLITS, TorchGraph, torch_operation

#: Names of arguments that are others than torch's.
_ARGUMENTS = {
    "batch_norm": "input weight bias running_mean running_var training momentum eps",
    "rsub": "other input alpha",
}
#: Besides recurrent layers, what gives several results.
_SEVERAL = (*SPLITS, *CELLS, "max", "unbind")
_FLOATS = (torch.float64, torch.float16, torch.bfloat16)


def from_exported(
    path: str | Path, example: NDArray[np.float32], description: Description | None = None
) -> FloatChain:
    """Read a ``.pt2`` file whose program maps x [n, time, channels] or [time, n, channels].

    Files that would run code as torch reads them are refused.

    The import is checked on `example`, real samples [n, time, channels], against the program. The
    chain's outputs are the program's first output at every step, before a final softmax.

    Raises
    ------
    CompressError
        If the file cannot be read, or has unsupported operations: all are listed.
    """
    try:
        content = Path(path).read_bytes()
        check_exported(content)
        with _without_log():
            graph = _Exported(torch.export.load(io.BytesIO(content)))
    except CompressError as error:
        raise CompressError(f"{path}: {error}") from error
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises many unrelated types
        raise CompressError(
            f"{path}: not a file of torch.export.save of this torch version ({one_line(error)})"
        ) from error
    with importing(path):
        return graph.chain(example, description, Path(path).stem)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Keep torch from writing tracebacks to the log; what it raises says the same."""
    logger = logging.getLogger("torch.export")
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


class _Exported(TorchGraph):
    """The graph of an exported program; a value is the node that makes it."""

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
        outputs = result if isinstance(result, (tuple, list)) else [result]
        parts = dict[Any, dict[int, fx.Node]]()  # of operations with several results
        for node in nodes:
            if _kind(node) == "getitem":
                parts.setdefault(node.args[0], {})[node.args[1]] = node
        other = _to_float32(self._module)
        super().__init__(
            [_operation(node, parts.get(node, {})) for node in nodes if _is_call(node)],
            list(zip(inputs, sizes, strict=True)),
            [value for value in outputs if isinstance(value, fx.Node)],
        )
        if other:
            self.notes.append(f"it has values of {other}: they are taken as float32")

    def limitation(self, op: Operation) -> str | None:
        if op.kind == "getitem":
            return "splits channels: use a layer for each part, which is the same"
        return super().limitation(op)

    @torch.no_grad()
    def run(
        self,
        x: NDArray[np.float32],
        n: int,
        wanted: Sequence[Hashable],
        states: States | None = None,
    ) -> list[NDArray[np.float32]]:
        known = {**(states or {}), self.sample: x}
        given = [
            torch.tensor(known[value]) if value in known else torch.zeros([s or n for s in sizes])
            for value, sizes in self.inputs
        ]
        runner = fx.Interpreter(self._module, garbage_collect_values=False)
        runner.run(*given, enable_io_processing=False)
        self._values = dict(runner.env)
        return [np.asarray(self._value(value), dtype=np.float32) for value in wanted]

    def constant(self, value: Any) -> NDArray[Any]:
        value = self._value(value)
        return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)

    def shape(self, value: fx.Node) -> Sequence[int]:
        return tuple(value.meta["val"].shape)

    def _value(self, value: Any) -> Any:
        if isinstance(value, tuple):  # a result that nothing reads
            return self._values[value[0]][value[1]]
        return self._values[value] if isinstance(value, fx.Node) else value


def _is_call(node: fx.Node) -> bool:
    """Tell whether a node is an operation, not one of the results of another one."""
    if node.op != "call_function":
        return False
    return _kind(node) != "getitem" or _kind(node.args[0]) not in (*RECURRENT, *_SEVERAL)


def _to_float32(module: Any) -> str:
    """Make a graph compute in float32; return the other type that it has, or ''."""
    others = set[torch.dtype]()

    def single(value: Any) -> Any:
        if isinstance(value, torch.dtype) and value in _FLOATS:
            others.add(value)
            return torch.float32
        return value

    for node in module.graph.nodes:
        node.args, node.kwargs = (
            fx.node.map_aggregate(given, single) for given in (node.args, node.kwargs)
        )
        if node.op == "get_attr":
            owner, _, name = node.target.rpartition(".")
            value = getattr(module.get_submodule(owner), name)
            if isinstance(value, Tensor) and value.dtype in _FLOATS:
                others.add(value.dtype)
                value.data = value.data.float()
    return ", ".join(sorted(str(kind).removeprefix("torch.") for kind in others))


def _operation(node: fx.Node, parts: Mapping[int, fx.Node]) -> Operation:
    function = _kind(node)
    results: list[Hashable] = [node]
    count = 0
    if function in RECURRENT:
        count = 3 if function == "lstm" else 2
    elif function in _SEVERAL and isinstance(node.meta["val"], tuple | list):
        count = len(node.meta["val"])
    if count:
        results = [dict[int, Hashable](parts).get(k, (node, k)) for k in range(count)]
    return torch_operation(
        function, node.args, node.kwargs, name=node.name, layer=_layer(node),
        reads=node.all_input_nodes, results=results, arguments=_ARGUMENTS.get(function, ""),
    )  # fmt: skip


def _kind(node: Any) -> str:
    """Return 'gru' of ``aten.gru.input``, 'getitem' of the operator."""
    if not isinstance(node, fx.Node) or node.op != "call_function":
        return str(getattr(node, "op", ""))
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target.__name__.split(".")[0].rstrip("_") or node.target.__name__
    return str(getattr(node.target, "__name__", node.target))


def _layer(node: fx.Node) -> str:
    """Return the name of the module that holds the node's weights."""
    for argument in node.all_input_nodes:
        if argument.op == "get_attr" and "weight" in str(argument.target):
            return str(argument.target).rpartition(".")[0] or node.name
    return node.name

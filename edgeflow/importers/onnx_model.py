"""ONNX files of trained models: their operators as a chain of layers."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers import onnx_layers
from edgeflow.importers.finish import Description
from edgeflow.importers.graph import Graph, States
from edgeflow.importers.messages import importing
from edgeflow.importers.onnx_cells import CELLS, Cells
from edgeflow.importers.onnx_file import read_model
from edgeflow.importers.onnx_functions import FUNCTIONS, Functions, is_relu6
from edgeflow.importers.onnx_nodes import (
    RANDOM,
    RECURRENT,
    constants,
    moved,
    operand,
    padded,
    reads,
    session,
)
from edgeflow.importers.onnx_norms import Norms
from edgeflow.importers.operation import Operation
from edgeflow.importers.refusals import ATTENTION, NOT_SUPPORTED

_MOVES = ("Cast", "Concat", "Dropout", "Flatten", "Gather", "Identity", "Reshape", "Slice",
          "Squeeze", "Transpose", "Unsqueeze")  # fmt: skip
_SAME = ("MatMul", "Add", "Sub", "Mul", "Div", "Softmax", "Sigmoid", "Relu", "Tanh", "Conv", "Pad")
_ROLES = {
    **{kind: kind.lower() for kind in _SAME},
    **{
        "Gemm": "linear",
        "Shape": "size",
        "Split": "split",
        "Size": "size",
        "LogSoftmax": "log_softmax",
        "ArgMax": "argmax",
        "PRelu": "prelu",
        "ReduceL2": "magnitude",
        "ReduceSum": "sum",
        "MaxPool": "max_pool",
        "AveragePool": "avg_pool",
    },
    **{"LayerNormalization": "layer_norm", "BatchNormalization": "batch_norm"},
    **dict.fromkeys(("ReduceMean", "GlobalAveragePool"), "mean"),
    **dict.fromkeys(("ReduceMax", "GlobalMaxPool"), "max"),
    **dict.fromkeys(RECURRENT, "recurrent"),
    **dict.fromkeys(CELLS, "cell"),
    **{kind: "function" for kind in FUNCTIONS if kind != "Clip"},
    **dict.fromkeys(_MOVES, "move"),
}
_ONE_OPERATOR = (
    "export the recurrent layer as one GRU, LSTM or RNN operator: use nn.GRU, nn.LSTM or nn.RNN, "
    "not a loop over the steps"
)
_FUNCTION = "not supported: use Relu, Gelu, Tanh or Sigmoid between layers, and none after the last"
_REFUSED = ("Clip", "Erf", "Sin", "Softsign")
#: Domains of the standard operators, and those that onnxruntime has.
_STANDARD = ("", "ai.onnx")
_DOMAINS = (*_STANDARD, "ai.onnx.ml", "com.microsoft")


def from_onnx(
    path: str | Path, example: NDArray[np.float32], description: Description | None = None
) -> FloatChain:
    """Read an ONNX file that maps x [n, time, channels] or [time, n, channels] to outputs.

    The import is checked on `example`, real samples [n, time, channels], against onnxruntime. The
    chain's outputs are those of the graph at every step, before a final softmax or sigmoid.

    Raises
    ------
    CompressError
        If the file is not a float ONNX model, or has unsupported nodes: all are listed.
    """
    model, notes = read_model(Path(path))
    with importing(path):
        graph = _Onnx(model)
        graph.notes += notes
        return graph.chain(example, description, Path(path).stem)


class _Onnx(Graph):
    """The graph of an ONNX model; a value is its name."""

    advice: ClassVar = {
        **dict.fromkeys(("Loop", "Scan"), _ONE_OPERATOR),
        **dict.fromkeys(("Attention", "MultiHeadAttention"), ATTENTION),
        **dict.fromkeys(_REFUSED, _FUNCTION),
        "If": "control flow: export the branch that is used, alone",
    }
    supported = (
        "forward GRU, LSTM and RNN, Gemm, MatMul, causal Conv, pooling, Relu, Tanh and their like, "
        "norms, constants for each channel, mean and largest over time, and Softmax or Sigmoid at "
        "the end"
    )
    engine = "onnxruntime"

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model, graph = model, model.graph
        for number, node in enumerate(graph.node):
            if node.op_type in RECURRENT and node.output and not node.output[0]:
                node.output[0] = f"edgeflow_outputs_{number}"  # so that states come second
        self._constants = constants(model)
        self._given = [i for i in graph.input if i.name not in self._constants]
        self._sessions: dict[Any, Any] = {}
        if not self._given or not graph.output:
            raise CompressError(
                "the graph needs an input and an output: export a model of [n, time, channels]"
            )
        given = [i.name for i in self._given]
        nodes = Cells(graph.node, self._constants, given).joined()
        nodes = Norms(nodes, self._constants).joined()
        nodes = Functions(nodes, self._constants).joined()
        super().__init__(
            [*map(self._operation, nodes)],
            [(i.name, _sizes(i)) for i in self._given],
            [o.name for o in graph.output],
        )

    def chain(
        self, example: NDArray[np.float32], description: Description | None, source: str
    ) -> FloatChain:
        for op in self.operations:
            if op.node.domain not in _DOMAINS:
                raise CompressError(f"{op}: {_other_domain(op)}")
            if op.kind in RANDOM:
                raise CompressError(
                    f"{op}: its numbers are random, so outputs differ from run to run: leave it "
                    "out, or make its values constants"
                )
        return super().chain(example, description, source)

    def _operation(self, node: NodeProto) -> Operation:
        kind, name = node.op_type, node.name or next(filter(None, node.output), "")
        role = _ROLES.get(kind, "") if node.domain in _STANDARD else ""
        operands, states, pick = list[str](node.input), list[str](), None
        if node.domain in _STANDARD and self._is_relu(node):
            role, operands = "relu", operands[:1]
        elif node.domain in _STANDARD and is_relu6(node, self._constants):
            role, operands = "function", operands[:1]
        elif role == "recurrent":
            operands, states = operands[:4], [*filter(None, operands[5:7])]
        elif role == "cell":
            states = operands[1:-4]
            operands = operands[:1]
        elif kind == "Concat" and role and _axis(node) != 0:
            role = "concat"
        elif kind == "Slice":
            operands = operands[:1]
        elif role == "split":
            operands, role = operands[:1], "split" if _axis(node) != 0 else "move"
        elif role in ("pad", "mean", "max", "magnitude", "sum"):
            operands = operands[:1]
            cut = padded(node, self._constants) if role == "pad" else None
            role = "move" if cut and max(cut) <= 0 else role
        elif kind == "Gather" and role:
            index = operand(node, 1, self._constants, "", ())
            pick = int(index.item()) if index.size == 1 else None
        results = [*filter(None, node.output)]
        cell = (kind, *node.input[-4:], _activation(node)) if role == "cell" else ()
        return Operation(
            node,
            name,
            kind,
            role,
            [*reads(node)],
            results,
            operands,
            states,
            pick=pick,
            cell=cell,
        )

    def cuts(self, op: Operation) -> Sequence[tuple[int, slice]]:
        if op.kind != "Slice":
            return ()
        node = op.node
        starts, ends, axes, steps = (
            operand(node, k, self._constants, name, ()).reshape(-1).tolist()
            for k, name in enumerate(("starts", "ends", "axes", "steps"), start=1)
        )
        axes, steps = axes or list(range(len(starts))), steps or [1] * len(starts)
        if not len(starts) == len(ends) == len(axes) == len(steps):
            return ()
        rows = zip(axes, starts, ends, steps, strict=True)
        return [(int(axis), slice(*map(int, part))) for axis, *part in rows]

    def _is_relu(self, node: NodeProto) -> bool:
        """Tell whether a node is ``max(x, 0)`` by another name."""
        if node.op_type == "Max":
            constant = [self._constants.get(name, 1.0) for name in node.input]
            return len(constant) == 2 and any(not np.any(value) for value in constant)
        least = operand(node, 1, self._constants, "min", 1.0)
        most = operand(node, 2, self._constants, "max", np.inf)
        return node.op_type == "Clip" and not np.any(least) and bool(np.all(most > 3e38))

    def limitation(self, op: Operation) -> str | None:
        node = op.node
        if node.domain not in _STANDARD:
            return _other_domain(op)
        if op.kind == "Concat":
            return None if all(name in self.data for name in op.operands) else NOT_SUPPORTED
        if op.role in ("move", "recurrent", "conv") and not op.cell:
            first = 5 if op.role == "recurrent" else len(node.input)
            if any(name in self.data for name in node.input[1:first]):
                return "what it takes beside the samples depends on them: make it a constant"
        if op.kind == "Dropout" and operand(node, 2, self._constants, "", False).any():
            return "exported in training mode: call model.eval() first"
        if op.kind == "Slice" and (operand(node, 4, self._constants, "steps", 1) < 0).any():
            return "it reverses the samples, which needs the future: leave it out"
        if op.cell:
            read = self.read().intersection(op.results[1:])
            return "its cell state is read: use its output" if read else None
        if op.kind == "LSTM" and self.read().intersection(node.output[2:]):
            return "its cell state Y_c is read: use its output Y"
        return onnx_layers.limitation(node, op.role, self._constants)

    def moved(self, op: Operation, axes: list[int]) -> list[int]:
        return moved(axes, op.node, self._constants)

    def outputs_of(self, axes: list[int]) -> list[int]:
        return [*axes[:1], -1, *axes[1:]]  # of each direction

    def reads_first(self, op: Operation, axes: list[int]) -> bool:
        return super().reads_first(op, axes) if op.cell else axes[:1] == [0]

    def run(
        self,
        x: NDArray[np.float32],
        n: int,
        wanted: Sequence[Any],
        states: States | None = None,
    ) -> list[NDArray[np.float32]]:
        feeds: dict[Any, Any] = {**(states or {}), self.sample: x}
        for given in self._given:
            if given.name not in feeds:
                kind = helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
                feeds[given.name] = np.zeros([size or n for size in _sizes(given)], kind)
        known = {"", *self.data, *self._constants, *feeds}
        read = dict.fromkeys(str(name) for op in self.path for name in op.reads)
        computed = [name for name in read if name not in known]
        names = (*wanted, *computed)
        key = (*names, *map(np.shape, feeds.values()))
        if key not in self._sessions:
            model = onnx.ModelProto()
            model.CopyFrom(self._model)
            for given in model.graph.input:
                sizes = np.shape(feeds.get(given.name, ()))
                for dim, size in zip(given.type.tensor_type.shape.dim, sizes, strict=False):
                    dim.dim_value = size
            del model.graph.output[:]
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
            self._sessions[key] = session(model)
        values = self._sessions[key].run(None, feeds)
        self._constants |= dict(zip(computed, values[len(wanted) :], strict=True))
        self._constants |= {name: feeds[name] for name in feeds if name not in self.data}
        return [np.asarray(value, dtype=np.float32) for value in values[: len(wanted)]]

    def constant(self, value: Any) -> NDArray[Any]:
        return np.asarray(self._constants[value], dtype=np.float64)

    def parts(self, op: Operation, width: int) -> Sequence[tuple[int, int]]:
        sizes = operand(op.node, 1, self._constants, "split", ()).reshape(-1)
        if not sizes.size:
            each = -(-width // len(op.node.output))
            return [(start, min(start + each, width)) for start in range(0, width, max(each, 1))]
        return list(pairwise([0, *np.cumsum(sizes).tolist()]))

    def arguments(self, op: Operation) -> Iterator[tuple[Any, ...]]:
        yield onnx_layers.arguments(op, self._constants)


def _activation(node: NodeProto) -> str:
    return next((a.s.decode() for a in node.attribute if a.name == "activation"), "")


def _axis(node: NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "axis"), 0)


def _other_domain(op: Operation) -> str:
    return f"operators of '{op.node.domain}' are not supported: export standard ones"


def _sizes(value: onnx.ValueInfoProto) -> list[int | None]:
    """Return the sizes of a graph input, None where they are free."""
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]

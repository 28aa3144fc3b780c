"""Which operations of an imported graph cannot be part of a chain, and what to do about them."""

from typing import TYPE_CHECKING

from edgeflow.errors import CompressError
from edgeflow.importers.check import FINAL, listed
from edgeflow.importers.operation import SUMS, Operation, named

if TYPE_CHECKING:
    from edgeflow.importers.graph import Graph

#: Why operations are refused, and what to do.
ATTENTION = "attention: it weighs all samples of a window at once, so use a recurrent layer"
NOT_SUPPORTED = "not supported: leave it out or put it outside of the model"
JOINS = "joins two paths in a way that is not supported: add, multiply or concatenate channels"
#: Roles that may join values which all depend on the samples.
_JOINING = ("add", "sub", "mul", "concat")
_LOOP = (
    "its steps are written out one by one: use nn.GRU, nn.LSTM or nn.RNN on whole sequences, or "
    "their cells in a loop"
)
_FED_BACK = (
    "a step of its loop is read by another one, beside the state: use nn.GRU, nn.LSTM or nn.RNN on "
    "whole sequences, whose steps read the samples and their state"
)
#: Operations of one kind that are refused, from which on they are steps of a loop.
_UNROLLED = 8
#: Roles of layers, methods of `Assembly`, whose first operand is the data.
_LAYERS = (
    "recurrent",
    "linear",
    "relu",
    "tanh",
    "function",
    "glu",
    "prelu",
    "magnitude",
    "layer_norm",
    "batch_norm",
    "conv",
    "max_pool",
    "avg_pool",
    "mean",
    "max",
    "layer",
    "pad",
)
#: Characters of a message up to which it lists what is supported.
_LONG = 500


def refuse_unsupported(graph: "Graph") -> None:
    """Refuse all operations on the path that cannot be part of a chain, by reason."""
    groups: dict[str, dict[str, list[Operation]]] = {}
    for op in graph.path:
        if why := graph.limitation(op) or _unsupported_reason(graph, op):
            groups.setdefault(why, {}).setdefault(op.kind, []).append(op)
    if groups:
        reasons = listed(
            f"{', '.join(map(named, kinds.values()))}: {why}" for why, kinds in groups.items()
        )
        most = max((ops for kinds in groups.values() for ops in kinds.values()), key=len)
        if len(most) > _UNROLLED and most[0].role != "cell":
            reasons = f"{named(most)}: {_LOOP}"
        supported = f". Supported are {graph.supported}"
        raise CompressError(
            f"these operations cannot be compressed: {reasons}"
            f"{supported if len(reasons) + len(supported) < _LONG else ''}"
        )


def _unsupported_reason(graph: "Graph", op: Operation) -> str | None:
    """Return why an operation on the path cannot be part of a chain, and what to do."""
    if op.role in ("concat", "attention"):
        return None if all(value in graph.data for value in op.operands) else JOINS
    if op.role in ("matmul", *SUMS, *_LAYERS):
        if sum(value in graph.data for value in op.operands) > 1:
            if op.role in _JOINING:
                return None
            return ATTENTION if op.role == "matmul" else JOINS
        if op.role not in ("add", "sub", "mul") and op.operands[0] not in graph.data:
            return "the constant must be the second operand"
        if any(value in graph.data for value in op.states):
            return "its first state depends on the samples: start from zeros"
        return None
    if op.role in ("move", "split", "sigmoid") or is_left_out(graph, op):
        return None
    if op.role == "cell":
        return _FED_BACK
    if op.role in FINAL and len(graph.heads) > 1:
        return f"{op.role} at the end of one of several outputs: return what it reads"
    if op.role == "softmax":
        return ATTENTION
    return graph.refusal(op) or NOT_SUPPORTED


def is_left_out(graph: "Graph", op: Operation) -> bool:
    """Tell whether an operation is a function at the end of a model of one output."""
    after = graph.path[graph.path.index(op) + 1 :]
    last = len(graph.heads) == 1 and all(other.role == "move" for other in after)
    return op.role in FINAL and last

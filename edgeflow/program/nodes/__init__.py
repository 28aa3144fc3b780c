"""Integer layers, one dataclass per kind, found by their modules: `NODES` has them by `op_type`.

A new cell is a new file here, and nothing else in `edgeflow.program`: its tensors, and the step
that numpy runs and its ONNX function is a trace of.
"""

from typing import Any

from edgeflow.discovery import modules_of
from edgeflow.program.nodes.base import Node

NODES: dict[str, type[Node]] = {}
for _module in modules_of(__path__, __name__):
    for _kind in vars(_module).values():
        if isinstance(_kind, type) and issubclass(_kind, Node) and "op_type" in vars(_kind):
            NODES[_kind.op_type] = _kind


def __getattr__(name: str) -> Any:
    """Return the kind of layer of that `op_type`."""
    if name not in NODES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return NODES[name]

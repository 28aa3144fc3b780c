"""The integer layers. One dataclass a file; a new cell is added here and nowhere else in
`program`: its oracle, its ONNX function and its tensors stand together."""

from edgeflow.program.nodes.base import Node
from edgeflow.program.nodes.gru import GRU
from edgeflow.program.nodes.linear import Linear

NODES: dict[str, type[Node]] = {cls.op_type: cls for cls in (GRU, Linear)}

__all__ = ["GRU", "NODES", "Linear", "Node"]

"""The integer step graph, its numpy oracle and its ONNX file."""

from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import GRU, Linear, Node
from edgeflow.program.program import InputFormat, Program

__all__ = ["GRU", "InputFormat", "Linear", "Matrix", "Node", "Program"]

"""The integer step graph: its bit-exact reference in numpy and its ONNX file."""

from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node
from edgeflow.program.nodes.gru import GRU
from edgeflow.program.nodes.linear import Linear
from edgeflow.program.program import InputFormat, Program

__all__ = ["GRU", "InputFormat", "Linear", "Matrix", "Node", "Program"]

"""Layer normalisations that a graph writes out in single operators."""

from collections.abc import Sequence

import numpy as np
from onnx import NodeProto, helper

from edgeflow.importers.onnx_nodes import Arrays, attributes


class Norms:
    """Layer normalisations that are written out in a graph.

    ``(x - mean) / sqrt(var + eps) * gain + bias``, as PyTorch writes it for operator sets below 17,
    or ``x * g + (bias - mean * g)`` with ``g = gain / sqrt(var + eps)``, as Keras has it. That the
    mean is one over channels is left to the check of the chain's outputs.
    """

    def __init__(self, nodes: Sequence[NodeProto], known: Arrays) -> None:
        self._nodes, self._known = nodes, known
        self._made = {name: node for node in nodes for name in node.output if name}

    def joined(self) -> list[NodeProto]:
        """Return the nodes, the last one of each normalisation replaced by all of it."""
        return [self._divided(node) or self._multiplied(node) or node for node in self._nodes]

    def _divided(self, node: NodeProto) -> NodeProto | None:
        if node.op_type == "Div":
            x, epsilon = self._root(node.input[1])
            if x and self._centred(node.input[0]) == x:
                return self._norm(node, x, epsilon)
        elif node.op_type == "Mul":
            data, gain = self._split(node)
            inner = self._divided(self._made[data]) if data in self._made else None
            if inner is not None and gain and not inner.input[1]:
                return self._norm(node, inner.input[0], attributes(inner)["epsilon"], gain)
        elif node.op_type == "Add":
            data, bias = self._split(node)
            inner = self._divided(self._made[data]) if data in self._made else None
            if inner is not None and bias and not inner.input[2]:
                x, gain, _ = inner.input
                return self._norm(node, x, attributes(inner)["epsilon"], gain, bias)
        return None

    def _multiplied(self, node: NodeProto) -> NodeProto | None:
        if node.op_type != "Add":
            return None
        for scaled, shifted in (node.input, node.input[::-1]):
            shift, (bias, product) = self._made.get(shifted), self._inputs(shifted, "Sub")
            for x, factor in self._orders(scaled, "Mul"):
                for mean, again in self._orders(product, "Mul"):
                    made = self._made.get(factor)
                    data, gain = (
                        self._split(made) if made and made.op_type == "Mul" else (factor, "")
                    )
                    root, _ = self._inputs(data, "Reciprocal")
                    found, epsilon = self._root(root)
                    if (
                        shift
                        and bias in self._known
                        and factor == again
                        and found == x
                        and self._averaged(mean) == x
                    ):
                        return self._norm(node, x, epsilon, gain, bias)
        return None

    def _norm(
        self, end: NodeProto, x: str, epsilon: float, gain: str = "", bias: str = ""
    ) -> NodeProto:
        name = f"{(end.name or end.output[0]).rpartition('/')[0] or 'norm'}/LayerNormalization"
        return helper.make_node(
            "LayerNormalization", [x, gain, bias], end.output, name, axis=-1, epsilon=epsilon
        )

    def _root(self, name: str) -> tuple[str, float]:
        """Return (x, eps) if the value is ``sqrt(var(x) + eps)``, else ("", 0.0)."""
        inside = self._made.get(self._inputs(name, "Sqrt")[0])
        if inside is None or inside.op_type != "Add":
            return "", 0.0
        variance, epsilon = self._split(inside)
        square = self._made.get(self._averaged(variance))
        if square is None or not epsilon or self._known[epsilon].size != 1:
            return "", 0.0
        first, second = (*square.input, "")[:2]
        squares = square.op_type == "Mul" and first == second
        if square.op_type == "Pow" and second in self._known:
            squares = bool(np.all(self._known[second] == 2))
        return (self._centred(first), self._known[epsilon].item()) if squares else ("", 0.0)

    def _centred(self, name: str) -> str:
        """Return x if the value is ``x - mean(x)``, else ""."""
        x, mean = self._inputs(name, "Sub")
        return x if x and self._averaged(mean) == x else ""

    def _averaged(self, name: str) -> str:
        """Return x if the value is a mean of it over one axis, which is kept, else ""."""
        node = self._made.get(name)
        if node is None or node.op_type != "ReduceMean" or not attributes(node).get("keepdims", 1):
            return ""
        return str(node.input[0])

    def _inputs(self, name: str, kind: str) -> tuple[str, str]:
        """Return what the maker of a value reads if it is of a kind, else empty names."""
        node = self._made.get(name)
        return (*node.input, "")[:2] if node is not None and node.op_type == kind else ("", "")

    def _orders(self, name: str, kind: str) -> tuple[tuple[str, str], tuple[str, str]]:
        first, second = self._inputs(name, kind)
        return (first, second), (second, first)

    def _split(self, node: NodeProto) -> tuple[str, str]:
        """Return the value and the constant of a sum or product of the two, else empty names."""
        first, second = node.input
        if (first in self._known) == (second in self._known):
            return "", ""
        return (second, first) if first in self._known else (first, second)

"""Functions of single values in ONNX graphs, also where they are written out in other operators."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from torch import nn

from edgeflow.importers.onnx_nodes import Arrays, attributes, operand

#: What an operator is in a chain, of its attributes.
FUNCTIONS: Mapping[str, Callable[[dict[str, Any]], nn.Module]] = {
    "Celu": lambda options: nn.CELU(options.get("alpha", 1.0)),
    "Elu": lambda options: nn.ELU(options.get("alpha", 1.0)),
    "Gelu": lambda options: nn.GELU(options.get("approximate", b"none").decode()),
    "HardSigmoid": lambda options: nn.Hardsigmoid(),
    "HardSwish": lambda options: nn.Hardswish(),
    "LeakyRelu": lambda options: nn.LeakyReLU(options.get("alpha", 0.01)),
    "Mish": lambda options: nn.Mish(),
    "Selu": lambda options: nn.SELU(),
    "Softplus": lambda options: nn.Softplus(),
    "Swish": lambda options: nn.SiLU(),
    "Clip": lambda options: nn.ReLU6(),
}
_CLOSE = 1e-5


def function_limit(node: NodeProto, known: Arrays) -> str | None:
    """Return why a function cannot be part of a chain, and what to do."""
    options = attributes(node)
    if node.op_type == "HardSigmoid" and not _is_sixth(options):
        return "its slope is not 1/6: use nn.Hardsigmoid, or sigmoid"
    if node.op_type == "Swish" and options.get("alpha", 1.0) != 1:
        return "its alpha is not 1: use nn.SiLU"
    return None


def is_relu6(node: NodeProto, known: Arrays) -> bool:
    """Tell whether a node is ``min(max(x, 0), 6)``."""
    least, most = (operand(node, k, known, name, np.nan) for k, name in ((1, "min"), (2, "max")))
    return node.op_type == "Clip" and least.size == most.size == 1 and (least, most) == (0, 6)


def _is_sixth(options: Mapping[str, Any]) -> bool:
    slope, shift = options.get("alpha", 0.2), options.get("beta", 0.5)
    return bool(abs(slope - 1 / 6) < _CLOSE and shift == 0.5)


class Functions:
    """Functions that a graph writes out as products: x times a gate of x.

    SiLU, Mish, hard-swish and GELU, as PyTorch writes them for operator sets without them.
    """

    def __init__(self, nodes: Sequence[NodeProto], known: Arrays) -> None:
        self._nodes, self._known = nodes, known
        self._made = {name: node for node in nodes for name in node.output if name}

    def joined(self) -> list[NodeProto]:
        """Return the nodes, the last one of each function replaced by all of it."""
        return [self._function(node) or node for node in self._nodes]

    def _function(self, node: NodeProto) -> NodeProto | None:
        if node.op_type == "Where":
            return self._softplus(node)
        return self._product(node) if node.op_type == "Mul" else None

    def _softplus(self, node: NodeProto) -> NodeProto | None:
        """Return a softplus that is x itself where x is large."""
        large, x, inner = (
            self._made.get(node.input[0]),
            node.input[1],
            self._made.get(node.input[2]),
        )
        if large is None or large.op_type != "Greater" or large.input[0] != x or inner is None:
            return None
        if inner.op_type != "Softplus" or inner.input[0] != x:
            return None
        return helper.make_node("Softplus", [x], node.output, inner.name)

    def _product(self, node: NodeProto) -> NodeProto | None:
        for factors in self._factors(node):
            numbers = [self._known[name] for name in factors if name in self._known]
            values = [name for name in factors if name not in self._known]
            if len(values) != 2 or any(number.size != 1 for number in numbers):
                continue
            number = float(np.prod([number.item() for number in numbers]))
            for x, gate in (values, values[::-1]):
                kind, factor = self._gate_of(x, gate)
                if kind and abs(number - factor) < _CLOSE:
                    name = f"{(node.name or node.output[0]).rpartition('/')[0] or kind}/{kind}"
                    return helper.make_node(kind, [x], node.output, name)
        return None

    def _factors(self, node: NodeProto) -> Iterator[list[str]]:
        """Yield the two factors of a product, then those where one of them is a product, too."""
        first, second = node.input
        yield [first, second]
        for name, other in ((first, second), (second, first)):
            inner = self._made.get(name)
            if inner is not None and inner.op_type == "Mul":
                yield [*inner.input, other]

    def _gate_of(self, x: str, gate: str) -> tuple[str, float]:
        """Return the function that is x times a gate of x, and times which number."""
        node = self._made.get(gate)
        if node is None:
            return "", 0.0
        if list(node.input) == [x]:
            if node.op_type == "Sigmoid":
                return "Swish", 1.0
            if node.op_type == "HardSigmoid" and _is_sixth(attributes(node)):
                return "HardSwish", 1.0
        inner = self._made.get(node.input[0])
        if node.op_type == "Tanh" and inner is not None and inner.op_type == "Softplus":
            return ("Mish", 1.0) if inner.input[0] == x else ("", 0.0)
        if node.op_type == "Add":
            for k in (0, 1):
                other, erf = node.input[1 - k], self._made.get(node.input[k])
                if erf is not None and erf.op_type == "Erf" and self._is(other, 1.0):
                    return ("Gelu", 0.5) if self._is_scaled(erf.input[0], x) else ("", 0.0)
        return "", 0.0

    def _is_scaled(self, name: str, x: str) -> bool:
        """Tell whether a value is ``x / sqrt(2)``."""
        node = self._made.get(name)
        if node is None or node.op_type not in ("Mul", "Div") or x not in node.input:
            return False
        other = next((value for value in node.input if value != x), "")
        return self._is(other, 2**0.5 if node.op_type == "Div" else 2**-0.5)

    def _is(self, name: str, number: float) -> bool:
        value = self._known.get(name)
        return value is not None and value.size == 1 and abs(value.item() - number) < _CLOSE

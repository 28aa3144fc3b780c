"""The ONNX function of a layer as values: what its step computes, for one sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from edgeflow.codegen.tvm.intervals import Evaluation, Interval, full
from edgeflow.codegen.tvm.operators import OPERATORS, SAME, Unsupported
from edgeflow.codegen.tvm.values import Graph, Value
from edgeflow.errors import TargetError
from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import TABLES, largest_magnitude
from edgeflow.program.nodes import Node

#: Tries to find the numbers that a state can reach from zero; then it is all of its width.
_ROUNDS = 4
#: Functions that a layer calls and that are expanded; Matvec and Hold are calls in C, too.
_EXPANDED = {"Lookup": fn.lookup_function}


@dataclass(frozen=True)
class Body:
    """A layer's step.

    Attributes
    ----------
    graph : Graph
    outputs : mapping of str to Value
        The next value of each state by its name, and the output as "" if it is no state. [1, size]
    """

    graph: Graph
    outputs: Mapping[str, Value]


def read_body(node: Node) -> Body:
    """Return what the layer computes, with states within what they can reach from zero.

    Raises
    ------
    TargetError
        If an operator cannot be translated.
    """
    declared = {name: _declared(vector.size, vector.bits) for name, vector in node.states.items()}
    body = _Reader(node, declared).read()
    reached = _reachable(body, declared)
    return _Reader(node, reached).read()


def _declared(size: int, bits: int) -> Interval:
    if bits > 16:
        return full((1, size), -(1 << 31), (1 << 31) - 1)
    limit = largest_magnitude(bits)
    return full((1, size), -limit, min(limit, 32767))


def _reachable(body: Body, declared: Mapping[str, Interval]) -> dict[str, Interval]:
    """Return intervals that hold after a reset and, if before a step, also after it."""
    ids = {v.key: v.id for v in _leaves(body) if v.op == "input" and v.key in declared}
    zero = {name: full(known.lo.shape, 0, 0) for name, known in declared.items()}

    def after(states: Mapping[str, Interval]) -> dict[str, Interval]:
        evaluation = Evaluation({ids[name]: known for name, known in states.items() if name in ids})
        return {name: zero[name].join(evaluation.of(body.outputs[name])) for name in states}

    widest = after(declared)
    reached = zero
    for number in range(3 * _ROUNDS):
        following = after(reached)
        growing = [name for name in reached if not following[name].within(reached[name])]
        if not growing:
            return reached
        # step by step, then all that a step can give, then all
        for name in growing:
            if number < _ROUNDS:
                reached = {**reached, name: reached[name].join(following[name])}
            elif number < 2 * _ROUNDS and widest[name].within(declared[name]):
                reached = {**reached, name: widest[name]}
            else:
                reached = {**reached, name: declared[name]}
    return dict(declared)


def _leaves(body: Body) -> list[Value]:
    found: dict[int, Value] = {}
    stack = list(body.outputs.values())
    while stack:
        value = stack.pop()
        if value.id not in found:
            found[value.id] = value
            stack += value.args
    return list(found.values())


class _Reader:
    """Reads one function, operator by operator."""

    def __init__(self, node: Node, states: Mapping[str, Interval]) -> None:
        self.node, self.graph = node, Graph()
        self.attributes: dict[str, Any] = node.ints()
        for field, matrix in node.products().items():
            parts = {"shift": matrix.shift, "threshold": matrix.threshold, "group": matrix.group}
            self.attributes |= {f"{field}_{part}": number for part, number in parts.items()}
        leaf = self.graph.leaf
        limit = largest_magnitude(node.input_bits)
        x = full((1, node.inputs), -limit, min(limit, 32767))
        self.inputs = {"x": leaf("input", "x", x)}
        self.inputs |= {name: leaf("input", name, known) for name, known in states.items()}
        for name, vector in node.held.items():
            self.inputs[name] = leaf("input", name, _declared(vector.size, vector.bits))
        for field, array in node.arrays().items():
            self.inputs[field] = leaf("array", field, _exactly(array))
        for table in node.tables:
            self.inputs[f"{table}_table"] = leaf("table", table, _exactly(TABLES[table]()))
        for field, matrix in node.products().items():
            for tensor in ("weight", "bias", "multiplier"):
                name, shape = f"{field}_{tensor}", getattr(matrix, tensor).shape
                # only their shapes are read here
                self.inputs[name] = leaf("array", name, full(shape, -(1 << 31), (1 << 31) - 1))

    def read(self) -> Body:
        function = fn.layer_function(self.node)
        values = self._run(function, [self.inputs[name] for name in function.input], {})
        named = dict(zip(function.output, values, strict=True))
        outputs = {name: named[f"{name}_next"] for name in self.node.states}
        if self.node.output_state is None:
            outputs[""] = named["y"]
        return Body(self.graph, outputs)

    def _run(
        self, function: onnx.FunctionProto, inputs: Sequence[Value], given: Mapping[str, Any]
    ) -> list[Value]:
        values: dict[str, Value | None] = {"": None}
        values.update(zip(function.input, inputs, strict=True))
        for node in function.node:
            arguments = [values[name] for name in node.input]
            attributes = {a.name: self._attribute(a, given) for a in node.attribute}
            results = self._operator(node, arguments, attributes)
            values.update(zip(node.output, results, strict=True))
        return [self._present(values[name], function.name) for name in function.output]

    def _attribute(self, attribute: onnx.AttributeProto, given: Mapping[str, Any]) -> Any:
        if attribute.ref_attr_name:
            return {**self.attributes, **given}[attribute.ref_attr_name]
        return helper.get_attribute_value(attribute)

    def _present(self, value: Value | None, where: str) -> Value:
        if value is None:
            raise self._error(where, "a result is missing")
        return value

    def _operator(
        self, node: onnx.NodeProto, arguments: list[Any], attributes: dict[str, Any]
    ) -> Sequence[Value]:
        name = node.op_type
        try:
            if node.domain == fn.DOMAIN:
                return self._call(node, arguments, attributes)
            if name in SAME:
                result: Value | Sequence[Value] = SAME[name](self.graph, *arguments)
            elif name in OPERATORS:
                result = OPERATORS[name](self.graph, arguments, attributes, len(node.output))
            else:
                raise self._error(name, "TVM has no translation of it yet")
        except Unsupported as problem:
            raise self._error(name, str(problem)) from None
        return [result] if isinstance(result, Value) else result

    def _call(
        self, node: onnx.NodeProto, arguments: list[Value], attributes: dict[str, Any]
    ) -> Sequence[Value]:
        if node.op_type in _EXPANDED:
            return self._run(_EXPANDED[node.op_type](), arguments, attributes)
        if node.op_type == "Hold":
            # the matrix's kernel in C holds x itself
            return [arguments[0]]
        if node.op_type != "Matvec":
            raise self._error(f"{fn.DOMAIN}.{node.op_type}", "TVM has no translation of it yet")
        field = node.input[1].removesuffix("_weight")
        x, matrices = arguments[0], self.node.matrices()
        if field not in matrices:
            # so does that of a matrix of low rank with its factor
            return [x]
        matrix = matrices[field]
        kept = matrix.threshold or matrix.factor
        if kept and x.key != self.node.source_of(field):
            raise self._error("Matvec", f"{field} must read x or a state as it is")
        known = full((*x.shape[:-1], matrix.rows), -32768, 32767)
        return [self.graph.leaf("matvec", field, known, (x,))]

    def _error(self, operator: str, what: str) -> TargetError:
        return TargetError(
            f"layer {self.node.name} ({self.node.op_type}): operator {operator}: {what}; use the "
            "kernels in C (--backend c) for this model"
        )


def _exactly(array: Any) -> Interval:
    values = np.asarray(array, dtype=np.int64)
    return Interval(values, values)

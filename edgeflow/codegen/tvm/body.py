"""A trace of a layer's step as values: what it computes for one sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeflow.codegen.tvm.intervals import Evaluation, Interval, full
from edgeflow.codegen.tvm.tensors import Product, Tensor, exactly
from edgeflow.codegen.tvm.values import Graph, Value, every_value
from edgeflow.errors import ProgramError, TargetError
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes.base import Node
from edgeflow.program.traced import traced_copy

#: Tries to find the numbers that a state can reach from zero; then it is all of its width.
_ROUNDS = 4


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
    """Return the layer's step as values, its states within what they can reach from zero.

    Raises
    ------
    TargetError
        If it does something that cannot be translated.
    """
    declared = {name: _declared(vector.size, vector.bits) for name, vector in node.states.items()}
    body = _trace(node, declared)
    reached = _reachable(body, declared)
    return _trace(node, reached)


def _declared(size: int, bits: int) -> Interval:
    if bits > 16:
        return full((1, size), -(1 << 31), (1 << 31) - 1)
    limit = largest_magnitude(bits)
    return full((1, size), -limit, min(limit, 32767))


def _reachable(body: Body, declared: Mapping[str, Interval]) -> dict[str, Interval]:
    """Return intervals that hold after a reset and, if before a step, also after it."""
    values = every_value(body.outputs.values())
    ids = {v.key: v.id for v in values if v.op == "input" and v.key in declared}
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


def _trace(node: Node, states: Mapping[str, Interval]) -> Body:
    """Return the step, given intervals of the states."""
    graph = Graph()

    def leaf(op: str, name: str, known: Interval) -> Any:
        return Tensor(graph, graph.leaf(op, name, known))

    fields: dict[str, Any] = {}
    for field, matrix in node.matrices().items():
        factor = None if matrix.factor is None else traced_copy(matrix.factor, {}, Product)
        fields[field] = traced_copy(matrix, {"field": field, "factor": factor}, Product)
    for field, array in node.arrays().items():
        fields[field] = leaf("array", field, exactly(array))
    state = {name: leaf("input", name, known) for name, known in states.items()}
    # the matrices' kernels in C hold x themselves
    state |= dict.fromkeys(node.held)
    limit = largest_magnitude(node.input_bits)
    x = leaf("input", "x", full((1, node.inputs), -limit, min(limit, 32767)))
    try:
        y, following = traced_copy(node, fields).advance(x, state)
    except ProgramError as error:
        raise TargetError(
            f"layer {node.name} ({node.op_type}): {error}; use the kernels in C (--backend c) for "
            "this model"
        ) from None
    outputs = {
        name: following[name].wrapped(16 if vector.bits <= 16 else 32)
        for name, vector in node.states.items()
    }
    if node.output_state is None:
        outputs[""] = y.wrapped(16)
    return Body(graph, outputs)

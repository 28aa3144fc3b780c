"""A program's step as operations on elements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeflow.errors import ProgramError
from edgeflow.program.clocks import ticking
from edgeflow.program.fixedpoint import clip, largest_magnitude
from edgeflow.program.lanes.values import (
    INT16,
    INT32,
    Graph,
    Interval,
    Lane,
    Numbers,
    product,
    within,
)
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node, StateVector
from edgeflow.program.sources import joined
from edgeflow.program.traced import traced_copy

if TYPE_CHECKING:
    from edgeflow.program.program import Program

#: Where nodes are that mean what their class says.
_NODES = "edgeflow.program.nodes."


@dataclass(frozen=True)
class Step:
    """A step of a program.

    Attributes
    ----------
    graph : Graph
    x : int64 array [inputs]
        Elements that hold a sample, as it was given.
    y : int64 array [outputs]
    states, following : int64 array [all states]
        Elements of the states of all nodes, in order, before and after the step.
    widths : tuple of (int, int)
        Elements and bits of each state, in order.
    intervals : tuple of (int, int)
        What each state is taken to be within.
    reached : list of dict
        What the states of each node are within after the step.
    """

    graph: Graph
    x: Numbers
    y: Numbers
    states: Numbers
    following: Numbers
    widths: Sequence[tuple[int, int]]
    intervals: Sequence[Interval]
    reached: Sequence[Mapping[str, Interval]]


class _Product(Matrix):
    """A matrix of a traced layer."""

    @classmethod
    def of(cls, matrix: Matrix) -> "_Product":
        factor = None if matrix.factor is None else cls.of(matrix.factor)
        made: _Product = traced_copy(matrix, {"factor": factor}, cls)
        return made

    def apply(self, x: Any) -> Any:
        if self.factor is not None:
            x = self.factor.apply(x)
        return product(x, self.weight, self)

    def hold(self, x: Any, held: Any) -> Any:
        updated = abs(x - held) >= self.threshold
        if self.group > 1:
            groups = -(-self.cols // self.group)
            members = np.minimum(np.arange(groups * self.group), self.cols - 1)
            updated = updated[:, members].reshape(groups, self.group).largest(1).reshape(1, groups)
            updated = updated[:, np.arange(self.cols) // self.group]
        return np.where(updated, x, held)


def trace(program: "Program") -> Step:
    """Return a step of a program.

    Raises
    ------
    ProgramError
        If a layer does something that has no form here.
    """
    declared = [
        {name: declared_interval(vector.bits) for name, vector in node.vectors.items()}
        for node in program.nodes
    ]
    try:
        return _trace(program, declared)
    except ProgramError:
        # what a state can be beside zero is what a step gives of any states
        reached = _trace(program, declared, lenient=True).reached
        narrowed = [
            {name: _narrowed(found[name], known) for name, known in own.items()}
            for found, own in zip(reached, declared, strict=True)
        ]
        if narrowed == declared:
            raise
        return _trace(program, narrowed)


def _narrowed(reached: Interval, declared: Interval) -> Interval:
    return max(declared[0], min(reached[0], 0)), min(declared[1], max(reached[1], 0))


def _trace(
    program: "Program", intervals: Sequence[Mapping[str, Interval]], lenient: bool = False
) -> Step:
    graph = Graph(lenient)
    x: Any = graph.add("input", (1, program.inputs), INT16)
    before = [
        _states(graph, node, known) for node, known in zip(program.nodes, intervals, strict=True)
    ]
    values, following, kept = [clip(x, program.input.bits)], list[Any](), list[list[Numbers]]()
    ticks: dict[int | None, Any] = {}
    for number, (node, reads) in enumerate(zip(program.nodes, program.reads[:-1], strict=True)):
        gate = program.clocks[number].gate
        if gate not in ticks:
            ticks[gate] = ticking(program.clocks, program.nodes, number, following)
        due, state = ticks[gate], before[number]
        graph.due = None if due is None else int(due.array.item())
        given, new = _traced(graph, node).advance(joined(values, reads), state)
        if due is not None:
            new = {
                name: _as_state(graph, np.where(due, new[name], state[name]), vector)
                for name, vector in node.vectors.items()
            }
            if node.output_state is not None:
                given = new[node.output_state][:, : node.outputs]
        values.append(_given(graph, node, given))
        following.append(new)
        vectors = node.vectors.items()
        kept.append([_kept(graph, new[name], _width(vector)) for name, vector in vectors])
        graph.due = None
    y: Any = joined(values, program.reads[-1])
    if any(op.kind == "input" for op in graph.owners(y.array.ravel())):
        # states change before the outputs are read
        y = graph.add("copy", y.shape, y.interval, [y.operand(y.shape)], y.width)
    return Step(
        graph,
        x.array.ravel(),
        _kept(graph, y, 16),
        _joined([v.array.ravel() for states in before for v in states.values()]),
        _joined([elements for row in kept for elements in row]),
        [(v.size, v.bits) for node in program.nodes for v in node.vectors.values()],
        [interval for known in intervals for interval in known.values()],
        [
            {name: Lane.any(graph, value).interval for name, value in new.items()}
            for new in following
        ],
    )


def _given(graph: Graph, node: Node, y: Any) -> Any:
    """Return what a node gives, within its declared width, which not every trace can show."""
    lane = Lane.any(graph, y)
    if within(lane.interval, INT16):
        return lane
    limit = largest_magnitude(node.output_bits)
    interval = -limit, min(limit, INT16[1])
    return graph.add("copy", lane.shape, interval, [lane.operand(lane.shape)], 16)


def _as_state(graph: Graph, value: Any, vector: StateVector) -> Lane:
    """Return the next value of a state, in its type."""
    width = _width(vector)
    interval = declared_interval(vector.bits)
    return Lane(graph, interval, _kept(graph, value, width).reshape(1, -1), None, width)


def _joined(parts: Sequence[Numbers]) -> Numbers:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _width(vector: StateVector) -> int:
    return 16 if vector.bits <= 16 else 32


def declared_interval(bits: int) -> Interval:
    """Return what a state of that width can be."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _states(graph: Graph, node: Node, known: Mapping[str, Interval]) -> dict[str, Any]:
    return {
        name: graph.add("input", (1, v.size), known[name], width=_width(v))
        for name, v in node.vectors.items()
    }


def _kept(graph: Graph, value: Any, width: int) -> Numbers:
    """Return the elements of a value in a type of `width` bits."""
    lane = Lane.any(graph, value)
    if lane.constant is None and lane.width == width:
        return lane.array.ravel()
    interval = INT16 if width == 16 else INT32
    return graph.add("copy", lane.shape, interval, [lane.operand(lane.shape)], width).array.ravel()


def is_plain(node: Node) -> bool:
    """Tell whether a node and its matrices are of the classes here, which mean what they say."""
    known = type(node).__module__.startswith(_NODES)
    return known and all(type(matrix) is Matrix for matrix in node.products().values())


def _traced(graph: Graph, node: Node) -> Any:
    if not is_plain(node):
        raise ProgramError(f"layer {node.name} is of a class that only numpy runs")
    fields: dict[str, Any] = {}
    for field, matrix in node.matrices().items():
        fields[field] = _Product.of(matrix)
    for field, array in node.arrays().items():
        fields[field] = Lane.of(graph, array)
    return traced_copy(node, fields)

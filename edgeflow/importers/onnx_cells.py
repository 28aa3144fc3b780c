"""Steps of recurrent cells that an ONNX graph writes out in other operators.

PyTorch exports `GRUCell`, `LSTMCell` and `RNNCell` so, and with ``dynamo=True`` also `nn.RNN`. Each
step becomes one node, ``GRUCell(x, h, W, R, B_x, B_h)`` and its like, that no file has. A product
with a first state may be a constant: then the state is what gives it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from edgeflow.importers.onnx_nodes import Arrays, attributes

#: Kinds of nodes that stand for a step.
CELLS = ("GRUCell", "LSTMCell", "RNNCell")
#: Of a product: its operand, and the names of its weights [rows, cols] and its bias.
_NONE = ("", "", "")


@dataclass(frozen=True, eq=False)
class _Step:
    """A step that was found: its cell, what it reads, and its parts of the graph."""

    kind: str
    end: NodeProto
    results: Sequence[str]
    x: tuple[str, str, str]
    h: tuple[str, str, str]
    #: What the recurrent product gives, of a first state that only it shows.
    given: str
    states: Sequence[str]
    function: str = ""


class Cells:
    """Steps of cells in a graph; `known` gains their weights."""

    def __init__(self, nodes: Sequence[NodeProto], known: Arrays, inputs: Sequence[str]) -> None:
        self._nodes, self._known, self._inputs = nodes, known, inputs
        self._made = {name: node for node in nodes for name in node.output if name}
        self._behind, self._same = dict[_Step, list[_Step]](), dict[bytes, str]()
        self._readers = dict[str, list[NodeProto]]()
        for node in nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def joined(self) -> list[NodeProto]:
        """Return the nodes, one in the place of the last node of each step."""
        found = [step for node in self._nodes for step in self._steps(node)]
        steps = self._of_loops(found)
        ends = {id(step.end): self._node(step) for step in steps}
        gone = {name for step in steps for name in step.results}
        return [
            ends.get(id(node)) or node
            for node in self._nodes
            if id(node) in ends or not gone.intersection(node.output)
        ]

    def _of_loops(self, found: Sequence[_Step]) -> list[_Step]:
        """Leave out sums of two products that are no recurrent step, as none reads another."""
        read = dict[str, list[_Step]]()
        by_result = dict[str, list[_Step]]()
        for step in found:
            by_result.setdefault(step.results[0], []).append(step)
            if step.h[0]:
                read.setdefault(self._source(step.h[0]), []).append(step)
        kept = dict[str, _Step]()
        for step in found:
            before = by_result.get(self._source(step.h[0]), [])
            self._behind[step] = [s for s in read.get(step.results[0], []) if _alike(step, s)]
            linked = self._behind[step] or any(_alike(step, other) for other in before)
            alone = step.h[0] in self._inputs or (step.kind == "GRUCell" and not step.given)
            if linked or alone:
                kept.setdefault(step.results[0], step)
        return [*kept.values()]

    def _node(self, step: _Step) -> NodeProto:
        (x, w, b_x), (h, r, b_h) = step.x, step.h
        if step.given:  # the rows and bias are those of the step after it
            r, b_h = self._behind[step][0].h[1:]
            h = self._state(step.given, r, b_h)
        states = [h, *(name or h for name in step.states)]
        options = {"activation": step.function} if step.function else {}
        owner = step.x[1].rpartition(".")[0] or step.end.name.rpartition("/")[0] or step.kind
        name = f"{owner}/{step.kind}"
        return helper.make_node(
            step.kind, [x, *states, w, r, b_x, b_h], step.results, name, **options
        )

    def _state(self, given: str, rows: str, bias: str) -> str:
        """Return the name of the state h for which ``R h + b`` is a constant."""
        name = f"{given} state"
        r = self._known[rows].astype(np.float64)
        rest = self._known[given].astype(np.float64) - self._known.get(bias, np.zeros(len(r)))
        state = np.linalg.lstsq(r, rest.reshape(-1, len(r)).T, rcond=None)[0].T
        state[np.abs(state) < 1e-6 * max(1.0, np.abs(state).max())] = 0.0
        self._known[name] = state.astype(np.float32)
        return name

    def _steps(self, node: NodeProto) -> Iterator[_Step]:
        """Yield what a node may be the end of."""
        if node.op_type == "Add":
            yield from self._gru(node)
            yield from self._lstm(node)
        elif node.op_type in ("Tanh", "Relu"):
            yield from self._rnn(node)

    def _gru(self, end: NodeProto) -> Iterator[_Step]:
        """``(h - n) z + n`` with ``n = tanh(a_n + u_n r)``."""
        for mixed, n in _orders(end):
            for left, z in self._pairs(mixed, "Mul"):
                h, again = self._inputs_of(left, "Sub")
                if again != n or not h:
                    continue
                inner = self._inputs_of(n, "Tanh")[0]
                for a_n, product in self._pairs(inner, "Add"):
                    for u_n, r in self._pairs(product, "Mul"):
                        parts = [self._added(gate) for gate in (r, z)]
                        sums = self._of_split([parts[0], parts[1], (a_n, u_n)], 3)
                        if sums is None:
                            continue
                        a, u = sums
                        yield from self._step("GRUCell", end, [end.output[0]], a, u, h)

    def _lstm(self, end: NodeProto) -> Iterator[_Step]:
        """``c = f c + i g``, and ``h = o tanh(c)`` behind it."""
        c = end.output[0]
        squashed = [n.output[0] for n in self._readers.get(c, ()) if n.op_type == "Tanh"]
        behind = [n for name in squashed for n in self._readers.get(name, ())]
        for out in behind:
            for o, t in _orders(out) if out.op_type == "Mul" else ():
                if t not in squashed:
                    continue
                for kept, new in _orders(end):
                    for f, before in self._pairs(kept, "Mul"):
                        for i, g in self._pairs(new, "Mul"):
                            gates = [
                                self._inputs_of(name, kind)[0]
                                for name, kind in zip(
                                    (i, f, g, o),
                                    ("Sigmoid", "Sigmoid", "Tanh", "Sigmoid"),
                                    strict=True,
                                )
                            ]
                            whole = self._split_of(gates, 4)
                            for u, a in self._pairs(whole, "Add") if whole else ():
                                yield from self._step(
                                    "LSTMCell", end, [out.output[0], c], a, u, "", before
                                )

    def _rnn(self, end: NodeProto) -> Iterator[_Step]:
        """``tanh(a + u)`` or relu."""
        for a, u in self._pairs(end.input[0], "Add"):
            product = self._product(u)
            rows = self._known.get(product[1])
            square = rows is not None and rows.shape[0] == rows.shape[1]
            if square or u in self._known:
                yield from self._step(
                    "RNNCell", end, [end.output[0]], a, u, "", function=end.op_type.lower()
                )

    def _step(
        self, kind: str, end: NodeProto, results: Sequence[str], a: str, u: str, h: str,
        *states: str, function: str = "",
    ) -> Iterator[_Step]:  # fmt: skip
        """Yield a step of the sums `a` of the samples and `u` of the state, if `u` is one of it."""
        x = self._product(a) if self._product(a) != _NONE else (a, "", "")
        recurrent = self._product(u)
        if kind != "RNNCell" and x[1] == "":
            return
        if x[0] in self._known:
            return
        if recurrent != _NONE and (not h or recurrent[0] == h):
            yield _Step(kind, end, results, x, recurrent, "", states, function)
        elif u in self._known:
            yield _Step(kind, end, results, x, _NONE, u, states, function)

    def _product(self, name: str) -> tuple[str, str, str]:
        """Return what ``W x + b`` reads, and the names of W [rows, cols] and b."""
        node, bias = self._made.get(name), ""
        if node is not None and node.op_type == "Add":
            for value, constant in _orders(node):
                if constant in self._known and self._inputs_of(value, "MatMul")[0]:
                    node, bias = self._made[value], constant
                    break
        if node is None or node.op_type not in ("Gemm", "MatMul"):
            return _NONE
        options = attributes(node)
        weight = node.input[1]
        if weight not in self._known or self._known[weight].ndim != 2 or options.get("transA", 0):
            return _NONE
        if any(options.get(factor, 1.0) != 1.0 for factor in ("alpha", "beta")):
            return _NONE
        if node.op_type == "Gemm" and len(node.input) > 2:
            bias = node.input[2]
        if bias and bias not in self._known:
            return _NONE
        values = self._known[weight]
        rows = self._one(weight, values if options.get("transB", 0) else values.T)
        return node.input[0], rows, bias and self._one(bias, self._known[bias])

    def _one(self, name: str, values: NDArray[Any]) -> str:
        """Return the one name of weights that a graph may hold several times."""
        content = repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()
        name = self._same.setdefault(content, f"{name} rows")
        self._known[name] = values
        return name

    def _added(self, gate: str) -> tuple[str, str]:
        """Return the two values whose sum a sigmoid is of."""
        return self._inputs_of(self._inputs_of(gate, "Sigmoid")[0], "Add")

    def _of_split(self, pairs: Sequence[tuple[str, str]], count: int) -> tuple[str, str] | None:
        """Return the two values of which pairs are the parts, those of the last pair in order."""
        a, u = (self._made.get(name) for name in pairs[-1])
        if a is None or u is None or a is u:
            return None
        for number, pair in enumerate(pairs):
            parts = [(list(split.output) + [""] * count)[number] for split in (a, u)]
            if set(pair) != set(parts) or split_count(a) != count or split_count(u) != count:
                return None
        return a.input[0], u.input[0]

    def _split_of(self, names: Sequence[str], count: int) -> str:
        """Return the value of which these are the parts, in order."""
        node = self._made.get(names[0])
        same = node is not None and split_count(node) == count and list(node.output) == list(names)
        return node.input[0] if same and node is not None else ""

    def _inputs_of(self, name: str, kind: str) -> tuple[str, str]:
        node = self._made.get(name)
        return (*node.input, "")[:2] if node is not None and node.op_type == kind else ("", "")

    def _pairs(self, name: str, kind: str) -> Iterator[tuple[str, str]]:
        """Yield what the maker of a value reads, both ways round, if it is of a kind."""
        node = self._made.get(name)
        if node is not None and node.op_type == kind:
            yield from _orders(node)

    def _source(self, name: str) -> str:
        """Return the value that operators without effect made another one of."""
        while (node := self._made.get(name)) is not None and node.op_type == "Identity":
            name = node.input[0]
        return name


def split_count(node: NodeProto) -> int:
    """Return how many parts a Split of the last axis makes, 0 of another node."""
    return len(node.output) if node.op_type == "Split" else 0


def _orders(node: NodeProto) -> Iterator[tuple[str, str]]:
    if len(node.input) == 2:
        first, second = node.input
        yield first, second
        yield second, first


def _alike(step: _Step, other: _Step) -> bool:
    """Tell whether two steps may be of one loop."""
    same = step.h[1] == other.h[1] or step.given or other.given
    return bool(same) and step.function == other.function and step.x[1] == other.x[1]

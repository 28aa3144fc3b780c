"""Operations joined into loops: what one reads of another at the same place stays in a register."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeflow.program.lanes.trace import Step
from edgeflow.program.lanes.values import Numbers, Op

#: Operations that are loops of their own.
OWN_LOOP = ("product", "sum", "largest")


@dataclass(eq=False)
class Loop:
    """Operations over as many elements, in order; and who runs them, as of `Op.due`."""

    size: int
    due: int | None = None
    ops: list[Op] = field(default_factory=list)

    @property
    def alone(self) -> bool:
        """It is of an operation with a loop of its own."""
        return self.ops[0].kind in OWN_LOOP


@dataclass(frozen=True)
class Loops:
    """The loops of a step.

    Attributes
    ----------
    loops : sequence of Loop
    stored : set of Op
        Those whose results are read in another loop, or at another place.
    """

    loops: Sequence[Loop]
    stored: set[Op]


def loops_of(step: Step) -> Loops:
    """Return the operations that a step needs, in loops."""
    graph = step.graph
    needed, stored = _needed(step)
    loops: list[Loop] = []
    at: dict[Op, int] = {}
    for op in graph.ops:
        if op not in needed or op.kind == "input":
            continue
        first, inside = 0, set[Op]()
        for operand in op.operands:
            for source in _sources(step, operand.elements):
                if source.kind == "input":
                    continue
                same = is_same_place(op, source, operand.elements)
                first = max(first, at[source] + (not same))
                if same:
                    inside.add(source)
                else:
                    stored.add(source)
        place = len(loops)
        if op.kind not in OWN_LOOP:
            fits = (
                k for k in range(first, len(loops))
                if (loops[k].size, loops[k].due) == (op.size, op.due) and not loops[k].alone
            )  # fmt: skip
            place = next(fits, place)
        if place == len(loops):
            loops.append(Loop(op.size, op.due))
        loops[place].ops.append(op)
        at[op] = place
        stored.update(source for source in inside if at[source] != place)
    return Loops(loops, stored)


def is_same_place(op: Op, source: Op, elements: Numbers | None) -> bool:
    """Tell whether an operation reads each element of another at the place of its own."""
    return (
        elements is not None
        and op.kind not in OWN_LOOP
        and source.kind not in OWN_LOOP
        and source.due == op.due
        and source.size == op.size == len(elements)
        and bool(np.array_equal(elements, source.own))
    )


def _sources(step: Step, elements: Numbers | None) -> list[Op]:
    return [] if elements is None else step.graph.owners(elements)


def _needed(step: Step) -> tuple[set[Op], set[Op]]:
    """Return operations that results depend on, and those that hold results."""
    due = {op.due for op in step.graph.ops if op.due is not None}
    ends = [step.y, step.following, np.array(sorted(due), np.int64)]
    results = {source for elements in ends for source in _sources(step, elements)}
    needed = set(results)
    for op in reversed(step.graph.ops):
        if op in needed:
            for operand in op.operands:
                needed.update(_sources(step, operand.elements))
    return needed, results

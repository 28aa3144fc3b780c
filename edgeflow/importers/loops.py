"""Loops over time that a graph has written out, step by step, as the recurrent layer they are.

The steps of a cell are operations of the role "cell" with the same weights, each of which reads the
state that the one before gave. Of a whole loop only its last step is kept, as a recurrent operation
from the first step's states: what leads to it, and on from it, are layers that run at every step.
Outputs that a loop collects in a list are those of the last step, too. That the other steps do the
same follows from the check of the chain against its source.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from edgeflow.errors import CompressError
from edgeflow.importers.operation import Operation

ONE_STEP = (
    "it was exported for one time step: give it the states as inputs and return the next ones, or "
    "export it with a window of samples [n, time, channels]"
)
_Producers = dict[Hashable, Operation]
#: A step: the first operation of its loop, and its number.
_Step = tuple[Operation, int]


def rolled(
    operations: Sequence[Operation], outputs: Sequence[Hashable]
) -> tuple[list[Operation], int]:
    """Return the operations without loops over cells, and the steps of the longest loop, or 0."""
    producers = {value: op for op in operations for value in op.results}
    steps = _steps(operations, producers)
    if not steps:
        return list(operations), 0
    last = dict[Operation, _Step]()
    for op, (first, number) in steps.items():
        if number >= last.get(first, (op, -1))[1]:
            last[first] = op, number
    length = {first: number + 1 for first, (_, number) in last.items()}
    whole = {op: _layer(first, op) for first, (op, _) in last.items()}
    joined = [_collected(op, producers, steps, length) or whole.get(op, op) for op in operations]
    return _needed(joined, outputs), max(length.values())


def carried(
    operations: Sequence[Operation],
    given: Sequence[Hashable],
    sample: Hashable,
    outputs: Sequence[Hashable],
) -> dict[Hashable, Hashable]:
    """Return which output is the next value of each state of a graph of one step.

    Raises
    ------
    CompressError
        If a recurrent layer has a state that is no input, or is not returned.
    """
    producers = {value: op for op in operations for value in op.results}
    inputs = {*given} - {sample}
    sources = {value: _moved(producers, value) for value in outputs}
    found = dict[Hashable, Hashable]()
    for op in operations:
        if op.role not in ("recurrent", "layer"):
            continue
        states = [_moved(producers, state) & inputs for state in op.states]
        if not states or not all(states):
            raise CompressError(f"{op} starts anew with each sample: {ONE_STEP}")
        for state, value in zip(states, op.results if op.cell else op.results[1:], strict=False):
            following = [output for output in outputs if value in sources[output]]
            if not following:
                raise CompressError(f"{op} has a state that is not returned: {ONE_STEP}")
            found |= dict.fromkeys(state, following[-1])
    return found


def _moved(producers: _Producers, value: Hashable) -> set[Hashable]:
    """Return the values that operations which only move values made one of, and itself."""
    found, waiting = {value}, [value]
    while waiting:
        op = producers.get(waiting.pop())
        if op is not None and op.role in ("move", "stack"):
            waiting += [read for read in op.reads if read not in found]
            found.update(op.reads)
    return found


def _steps(operations: Sequence[Operation], producers: _Producers) -> dict[Operation, _Step]:
    """Return the first operation of the loop of each cell, and its number in it."""
    steps = dict[Operation, _Step]()
    for op in operations:
        if op.role != "cell":
            continue
        before = [_maker(producers, state) for state in op.states]
        one = before[0] if before else None
        follows = (
            one in steps
            and one.cell == op.cell
            and all(
                maker is one and _origin(producers, state) == one.results[k]
                for k, (maker, state) in enumerate(zip(before, op.states, strict=True))
            )
        )
        steps[op] = (steps[one][0], steps[one][1] + 1) if follows and one else (op, 0)
    return steps


def _layer(first: Operation, op: Operation) -> Operation:
    """Return the last step of a loop as a layer over time, which starts as the first one does."""
    own = {*op.states} - {*op.operands}
    reads = [value for value in op.reads if value not in own]
    return replace(
        op,
        name=first.name,
        role="recurrent",
        reads=[*reads, *(state for state in first.states if state in first.reads)],
        states=first.states,
        place=first.place,
    )


def _collected(
    op: Operation,
    producers: _Producers,
    steps: dict[Operation, _Step],
    length: dict[Operation, int],
) -> Operation | None:
    """Return a list of what all steps of a loop gave, in order, as what its last one gave."""
    if op.role not in ("stack", "concat", "move") or len(op.operands) < 2:
        return None
    for number, value in enumerate(op.operands):
        found = _reached(producers, steps, value)
        if not found or any(k != number or length[of] != len(op.operands) for of, k in found):
            return None
    return replace(op, role="move", reads=op.operands[-1:], operands=op.operands[-1:])


def _reached(producers: _Producers, steps: dict[Operation, _Step], value: Hashable) -> set[_Step]:
    """Return the steps that a value depends on, without those before them."""
    found, seen, waiting = set[_Step](), {value}, [value]
    while waiting:
        op = producers.get(waiting.pop())
        if op in steps:
            found.add(steps[op])
        elif op is not None:
            waiting += [read for read in op.reads if read not in seen]
            seen.update(op.reads)
    return found


def _maker(producers: _Producers, value: Hashable) -> Operation | None:
    return producers.get(_origin(producers, value))


def _origin(producers: _Producers, value: Hashable) -> Hashable:
    """Return the value that moves of one value made another one of."""
    while (op := producers.get(value)) is not None and op.role == "move" and len(op.reads) == 1:
        value = op.reads[0]
    return value


def _needed(operations: Sequence[Operation], outputs: Sequence[Hashable]) -> list[Operation]:
    """Return the operations that outputs depend on, and those without results."""
    needed, kept = {*outputs}, list[Operation]()
    for op in reversed(operations):
        if not op.results or needed.intersection(op.results):
            needed.update(op.reads)
            kept.append(op)
    return kept[::-1]

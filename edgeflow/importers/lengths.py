"""Lengths of vectors where a source writes them out: the root of a sum of squares.

``x.pow(2).sum(-1).sqrt()`` and its like become one operation of the role "magnitude", as
``torch.linalg.vector_norm`` is. That the sum is over the channels follows from the check of the
chain against its source.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from edgeflow.importers.operation import Operation


def measured(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations, each root of a sum of squares replaced by all of it."""
    producers = {value: op for op in operations for value in op.results}
    return [_length(op, producers) or op for op in operations]


def _length(op: Operation, producers: dict[Hashable, Operation]) -> Operation | None:
    if op.role != "root":
        return None
    total = producers.get(op.operands[0])
    while total is not None and total.role == "move" and total.operands:
        total = producers.get(total.operands[0])
    if total is None or total.role != "sum":
        return None
    squares = producers.get(total.operands[0])
    if squares is None or squares.role not in ("square", "mul"):
        return None
    x = squares.operands[0]
    if squares.role == "mul" and squares.operands[1] != x:
        return None
    return replace(op, role="magnitude", reads=[x], operands=[x])

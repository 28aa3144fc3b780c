"""Attention pooling where a source writes it out: a softmax over time, a product, and a sum.

``(torch.softmax(score, 1) * h).sum(1)``, or the product with the weights as a matrix, become one
operation of the role "attention", which reads h and the score before the softmax. That its axes are
those of time follows from the check of the chain against its source.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from edgeflow.importers.operation import Operation

_Producers = dict[Hashable, Operation]


def pooled(operations: Sequence[Operation], sample: Hashable) -> list[Operation]:
    """Return the operations, the last one of each attention pooling replaced by all of it."""
    producers, data = dict[Hashable, Operation](), {sample}
    for op in operations:
        producers |= dict.fromkeys(op.results, op)
        if op.role != "size" and data.intersection(op.reads):
            data.update(op.results)
    return [_pooling(op, producers, data) or op for op in operations]


def _pooling(op: Operation, producers: _Producers, data: set[Hashable]) -> Operation | None:
    """Return the pooling that an operation is the end of: a sum of a product, or a "matmul"."""
    product: Operation | None = op
    if op.role == "sum":
        product = _maker(producers, op.operands[0])
        if product is None or product.role != "mul":
            return None
    elif op.role != "matmul":
        return None
    assert product is not None
    for weights, h in (product.operands, [*product.operands][::-1]):
        softmax = _maker(producers, weights)
        if softmax is not None and softmax.role == "softmax" and h in data:
            score = softmax.operands[0]
            return replace(op, role="attention", reads=[h, score], operands=[h, score])
    return None


def _maker(producers: _Producers, value: Hashable) -> Operation | None:
    """Return what made a value, before operations that only move it."""
    while (op := producers.get(value)) is not None and op.role == "move" and op.operands:
        value = op.operands[0]
    return op

"""Attention pooling as Keras has it: ``Dot(axes=1)`` of ``Softmax(axis=1)`` and values."""

from collections.abc import Sequence
from dataclasses import replace

from edgeflow.importers.keras_chain import Part

#: The kind of the one layer that a softmax and its product become; it reads values and scores.
POOLING = "AttentionPool"


def pooled(parts: Sequence[Part], outputs: Sequence[str]) -> list[Part]:
    """Return the layers, a softmax over time and the product with its weights as one."""
    made = {part.gives: part for part in parts}
    whole = [_pooling(part, made) or part for part in parts]
    read = {*outputs, *(key for part in whole for key in part.reads)}
    return [part for part in whole if part.kind != "Softmax" or part.gives in read]


def _pooling(part: Part, made: dict[str, Part]) -> Part | None:
    if part.kind != "Dot" or part.options.get("axes") not in (1, [1, 1]) or len(part.reads) != 2:
        return None
    if part.problem or part.options.get("normalize"):
        return None
    for weights, values in (part.reads, part.reads[::-1]):
        softmax = made.get(weights)
        if softmax is None or softmax.kind != "Softmax" or softmax.problem:
            continue
        if softmax.options.get("axis") in (1, -2, [1], [-2]):
            return replace(part, kind=POOLING, reads=(values, *softmax.reads))
    return None

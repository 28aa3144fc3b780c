"""Which input of a graph is the samples, and which output is what a model decides."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from edgeflow.errors import CompressError
from edgeflow.importers.check import FINAL, listed
from edgeflow.importers.operation import Operation

_Inputs = Sequence[tuple[Hashable, Sequence[int | None]]]
_Label = Callable[[Hashable], str]
#: Roles whose first operand is the data, and whose others are weights.
_WEIGHTED = ("recurrent", "linear", "matmul", "layer_norm", "batch_norm", "conv", "layer")
#: Roles of what leads from the scores of classes to the class with the largest.
_OF_SCORES = ("move", "argmax", *FINAL)


class Ends(NamedTuple):
    """The ends of a graph: the samples, their sizes, the outputs, notes on what is left out."""

    sample: Hashable
    sizes: Sequence[int | None]
    heads: tuple[Hashable, ...]
    notes: tuple[str, ...]


def find_ends(
    operations: Sequence[Operation],
    inputs: _Inputs,
    outputs: Sequence[Hashable],
    channels: int,
    label: _Label,
) -> Ends:
    """Find the input that layers read as their data, and the outputs that nothing leads on from.

    Raises
    ------
    CompressError
        If an input is neither samples nor a first state.
    """
    sample, sizes = _find_samples(operations, inputs, outputs, channels, label)
    heads, notes = _find_heads(operations, sample, outputs, label)
    return Ends(sample, sizes, heads, notes)


def _find_samples(
    operations: Sequence[Operation],
    inputs: _Inputs,
    outputs: Sequence[Hashable],
    channels: int,
    label: _Label,
) -> tuple[Hashable, Sequence[int | None]]:
    uses = {value: _uses(operations, value, outputs) for value, _ in inputs}
    read = [item for item in inputs if "data" in uses[item[0]]] or list(inputs[:1])
    fits = [item for item in read if len(item[1]) == 3 and item[1][2] in (None, channels)]
    if len(fits) > 1:
        names = " and ".join(f"'{label(value)}'" for value, _ in fits)
        raise CompressError(
            f"its layers read {names}: make one input of all channels; static features are "
            "channels of each sample, too"
        )
    sample, sizes = (fits or read)[0]
    others = [(v, shape) for v, shape in inputs if v != sample and uses[v] - {"state"}]
    if others:
        names = listed(
            f"'{label(value)}' [{', '.join('any' if k is None else str(k) for k in shape)}]"
            for value, shape in others
        )
        raise CompressError(
            f"its input {names} is no first state of a recurrent layer, and has no value in it: "
            "make it a constant of the model; static features can be channels of each sample"
        )
    return sample, sizes


def _uses(
    operations: Sequence[Operation], value: Hashable, outputs: Sequence[Hashable]
) -> set[str]:
    """Return what the first layers that a value reaches read it as: "data", "state", "weight".

    It is a "weight", too, where it reaches an output without a layer.
    """
    reached, uses = {value}, set[str]()
    for op in operations:
        if op.role == "size" or not reached.intersection(op.reads):
            continue
        if op.role not in _WEIGHTED:
            reached.update(op.results)
            continue
        data = bool(op.operands) and op.operands[0] in reached
        state = any(value in reached for value in op.states)
        uses |= {"data"} if data else set()
        uses |= {"state"} if state else set()
        uses |= set() if data or state else {"weight"}
    return uses | ({"weight"} if reached.intersection(outputs) else set())


def _find_heads(
    operations: Sequence[Operation],
    sample: Hashable,
    outputs: Sequence[Hashable],
    label: _Label,
) -> tuple[tuple[Hashable, ...], tuple[str, ...]]:
    producers = {value: op for op in operations for value in op.results}
    data = {sample}
    for op in operations:
        if op.role != "size" and data.intersection(op.reads):
            data.update(op.results)
    dependent = [value for value in dict.fromkeys(outputs) if value in data]
    if not dependent:
        raise CompressError("its outputs do not depend on the samples")
    origins = {value: _origin(producers, data, value) for value in dependent}
    decisions = [v for v in dependent if not _is_state(producers, data, origins[v])] or dependent[
        :1
    ]
    chosen = [v for v in decisions if _role(producers, origins[v]) == "argmax"]
    scores = {value: _origin(producers, data, value, _OF_SCORES) for value in decisions}
    others = {scores[value] for value in decisions if value not in chosen}
    chosen = [value for value in chosen if scores[value] in others]
    decisions = [value for value in decisions if value not in chosen]
    before = {value: _ancestors(producers, value) for value in decisions}
    last = [v for v in decisions if not any(v in before[other] for other in decisions)]
    # outputs that only move the values of the same layer say the same
    heads = tuple({origins[value]: value for value in reversed(last)}.values())[::-1]
    of_heads = {origins[value] for value in heads}
    inside = [v for v in decisions if v not in last and origins[v] not in of_heads]
    inside = [v for v in inside if not _is_step(producers, origins[v])]
    return heads, tuple(
        f"its output '{label(value)}' is {what}, and left out"
        for what, values in (
            ("inside of the model", inside),
            ("the argmax of another one", chosen),
        )
        for value in values
    )


def _origin(
    producers: dict[Hashable, Operation],
    data: set[Hashable],
    value: Hashable,
    roles: Sequence[str] = ("move",),
) -> Hashable:
    """Return the value that moves, or operations of other roles, made another one of."""
    while (op := producers.get(value)) is not None and op.role in roles:
        before = [read for read in op.reads if read in data]
        if len(before) != 1:
            break
        value = before[0]
    return value


def _role(producers: dict[Hashable, Operation], value: Hashable) -> str:
    op = producers.get(value)
    return "" if op is None else op.role


def _is_step(producers: dict[Hashable, Operation], value: Hashable) -> bool:
    """Tell whether a value is the output of a cell, which is its state, too."""
    op = producers.get(value)
    return op is not None and bool(op.cell)


def _is_state(producers: dict[Hashable, Operation], data: set[Hashable], value: Hashable) -> bool:
    """Tell whether a value is a state beside the outputs of its layer, or those of several."""
    op = producers.get(value)
    if op is not None and op.role == "move":
        before = [read for read in op.reads if read in data]
        return bool(before) and all(_is_state(producers, data, read) for read in before)
    return op is not None and op.role in ("recurrent", "layer") and value != op.results[0]


def _ancestors(producers: dict[Hashable, Operation], value: Hashable) -> set[Hashable]:
    """Return the values that one depends on."""
    found, waiting = set[Hashable](), [value]
    while waiting:
        op = producers.get(waiting.pop())
        for read in op.reads if op is not None else ():
            if read not in found:
                found.add(read)
                waiting.append(read)
    return found

"""Operations of an imported graph, for all kinds of sources."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

#: Roles of arithmetic with one constant a channel.
SUMS = ("add", "sub", "mul", "div")
#: Names listed of operations that are refused for the same reason.
_LISTED = 4


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation of a graph, whose values are known by something hashable.

    Parameters
    ----------
    node : object
        What its source has.
    name, kind : str
    role : str
        A method of `Assembly` ("recurrent", "linear", "relu", "tanh", "function", "glu", "prelu",
        "magnitude", "layer_norm", "conv", "pad", "max_pool", "avg_pool", "mean", "layer"), "matmul"
        for a linear layer or attention, "batch_norm"; "add", "sub", "mul" or "div", of a value and
        a constant or, but for "div", of two values; "concat": its operands side by side; "split":
        its results are ranges of channels; "sum": over an axis, and "attention": values and their
        scores (`edgeflow.importers.attention`); "cell": one step of a recurrent layer; "stack": its
        operands are steps; "argmax", for an output beside its scores; a function that may end a
        model (``check.FINAL``), of which a "sigmoid" may stand elsewhere; "move": it only moves
        values (the check of the outputs shows that it moves none elsewhere); "size": its result is
        no data; "": none that a chain has.
    reads, results : sequence
        Values. The first result of a recurrent operation is its outputs, the others are states.
    operands : sequence
        Of arithmetic, layers and lists: values and constants, the data of a layer first.
    states : sequence
        Values that are first states of a recurrent operation or layer.
    order : sequence of int
        Of a move of three axes: where each that is left was before; of a recurrent operation that
        reads [time, n, channels]: (1, 0, 2).
    pick : int, optional
        Which of the layers whose states it reads it passes on; None: all.
    place : str
        File and line in a user's code, "" for operations with a name of their own.
    cuts : sequence of (int, slice)
        Of a move: ranges of axes that it takes; where that is the channels, it is a layer.
    cell : tuple
        Of a "cell": what is the same at each of its steps, its kind and weights.
    """

    node: Any
    name: str
    kind: str
    role: str
    reads: Sequence[Hashable]
    results: Sequence[Hashable]
    operands: Sequence[Any] = ()
    states: Sequence[Any] = ()
    order: Sequence[int] = ()
    pick: int | None = None
    place: str = ""
    cell: tuple[Hashable, ...] = ()
    cuts: Sequence[tuple[int, slice]] = ()

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}" if self.place else f"{self.name} ({self.kind})"


def named(operations: Sequence[Operation]) -> str:
    """Return "a, b (Relu)", or "relu at net.py:12, :14", for operations of one kind."""
    kind, many = operations[0].kind, len(operations) - _LISTED
    more = f" and {many} more" if many > 0 else ""
    if not operations[0].place:
        names = dict.fromkeys(op.name for op in operations[:_LISTED])
        return f"{', '.join(names)}{more} ({kind})"
    places, file = list[str](), ""
    for place in dict.fromkeys(op.place for op in operations[:_LISTED]):
        name, _, line = place.rpartition(":")
        places.append(f":{line}" if name == file else place)
        file = name
    return f"{kind} at {', '.join(places)}{more}"

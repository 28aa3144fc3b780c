"""Which axes of a graph's values are time and channels: where a range of an axis is a layer."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from edgeflow.importers.operation import Operation

if TYPE_CHECKING:
    from edgeflow.importers.graph import Graph


def axes_of(graph: "Graph") -> dict[Hashable, list[int]]:
    """Return which axes of the samples those of each value on the path are; new ones are -1."""
    first = [0, 1, 2] if len(graph.sizes) == 3 else [0, 2]
    axes: dict[Hashable, list[int]] = {graph.sample: first}
    for op in graph.path:
        before = next((axes[value] for value in op.reads if value in axes), [])
        if op.role in ("recurrent", "layer") and not op.cell:
            axes[op.results[0]] = graph.outputs_of(before)
            axes |= {state: [-1, 0, 2] for state in op.results[1:]}  # [layers, n, units]
        else:
            axes |= dict.fromkeys(op.results, graph.moved(op, before))
    return axes


def channels_taken(
    op: Operation, cuts: Sequence[tuple[int, slice]], axes: Mapping[Hashable, list[int]], width: int
) -> tuple[int, int] | None:
    """Return the channels that a move takes of so many, None if it takes all."""
    before = next((axes[value] for value in op.reads if value in axes), [])
    for axis, part in cuts:
        start, stop, step = part.indices(width)
        if -len(before) <= axis < len(before) and before[axis] == 2 and step == 1:
            return (start, stop) if 0 < stop - start < width else None
    return None

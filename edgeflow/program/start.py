"""The states of a program after a reset: zeros, but for those that training learned."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import INT16_MAX, largest_magnitude
from edgeflow.program.nodes.base import Node, Range, State, StateVector, zeros

#: First values of states, by ``<layer>.<state>``.
Start = Mapping[str, tuple[int, ...]]


def checked_start(nodes: Sequence[Node], start: Start) -> dict[str, tuple[int, ...]]:
    """Return first values in the order of the layers, without those that are zeros.

    Raises
    ------
    ProgramError
        If there is no such state, or it has another size or width.
    """
    known = starting(nodes)
    for name, values in start.items():
        if name not in known:
            raise ProgramError(f"there is no state '{name}' that a reset could set")
        node, state, vector = known[name]
        low, high = start_range(vector)
        whole = all(type(value) is int for value in values)
        if not whole or len(values) != vector.size or not all(low <= v <= high for v in values):
            raise ProgramError(
                f"layer {node.name}: its first {state} must be {vector.size} integers in "
                f"{low}..{high}"
            )
    return {name: tuple(start[name]) for name in known if any(start.get(name, ()))}


def starting(nodes: Sequence[Node]) -> dict[str, tuple[Node, str, StateVector]]:
    """Return the states that a reset sets, and may set to other values than zero, by name."""
    return {
        f"{node.name}.{state}": (node, state, vector)
        for node in nodes
        for state, vector in node.states.items()
        if state in node.start_fields
    }


def start_range(vector: StateVector) -> Range:
    """Return what a state may start at: what bounds of the arithmetic are proven for."""
    if vector.bits > 16:
        return -(1 << 30) + 1, (1 << 30) - 1
    most = largest_magnitude(vector.bits)
    return -most, min(most, INT16_MAX)


def first_states(nodes: Sequence[Node], start: Start, n: int) -> list[State]:
    """Return the state of each layer after a reset, for n streams."""
    states = [{k: zeros(n, v.size) for k, v in node.vectors.items()} for node in nodes]
    for node, own in zip(nodes, states, strict=True):
        for name in own:
            if values := start.get(f"{node.name}.{name}"):
                own[name] = np.tile(np.array(values, np.int64), (n, 1))
    return states


def arrays_of(nodes: Sequence[Node], start: Start) -> dict[str, NDArray[Any]]:
    """Return first values in the type of their state, by ``<layer>_<state>``."""
    known = starting(nodes)
    return {
        f"{known[name][0].name}_{known[name][1]}": np.array(values, known[name][2].dtype)
        for name, values in start.items()
    }

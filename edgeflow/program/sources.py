"""Sources: which values each node of a program reads, so that programs are graphs."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes.base import Node

#: Numbers of the values that something reads, side by side: 0 is the input of the program, k what
#: its k-th node gives.
Sources = tuple[int, ...]


def chain_of(count: int) -> tuple[Sources, ...]:
    """Return the sources of a chain of `count` nodes, and of its output."""
    return tuple((number,) for number in range(count + 1))


def check_sources(
    nodes: Sequence[Node], sources: Sequence[Sources], size: int, bits: int
) -> tuple[int, int]:
    """Return size and bits of the output of a graph of nodes, for an input of `size` and `bits`.

    Cycles are impossible, as a node reads only what stands before it.

    Raises
    ------
    ProgramError
        If a node does not fit what it reads, or nothing reads it.
    """
    if len(sources) != len(nodes) + 1:
        raise ProgramError(
            f"{len(sources)} rows of sources for {len(nodes)} layers: there is one for each, and "
            "one for the output"
        )
    given = [(size, bits), *((node.outputs, node.output_bits) for node in nodes)]
    for number, reads in enumerate(sources):
        reader = f"layer {nodes[number].name}" if number < len(nodes) else "the output"
        if not reads or not all(type(k) is int and 0 <= k <= number for k in reads):
            raise ProgramError(
                f"{reader} reads the values {list(reads)}: give some of 0 (the input) to {number}"
            )
        size, bits = sum(given[k][0] for k in reads), max(given[k][1] for k in reads)
        if number < len(nodes):
            before = (f"layer {nodes[k - 1].name}" if k else "the input" for k in reads)
            _check_fit(nodes[number], size, bits, " and ".join(before))
    unread = {*range(1, len(nodes) + 1)}.difference(*sources)
    if unread:
        names = ", ".join(nodes[k - 1].name for k in sorted(unread))
        raise ProgramError(f"nothing reads what the layers {names} give: leave them out")
    return size, bits


def _check_fit(node: Node, size: int, bits: int, source: str) -> None:
    if node.inputs != size:
        raise ProgramError(f"layer {node.name} reads {node.inputs} values, {source} gives {size}")
    if node.input_bits < bits:
        raise ProgramError(
            f"layer {node.name} was proven for {node.input_bits}-bit values, "
            f"{source} gives {bits} bits"
        )


def names_of(nodes: Sequence[Node], reads: Iterable[int]) -> list[str]:
    """Return the names of the layers that give values; of the input "input"."""
    return [nodes[k - 1].name if k else "input" for k in reads]


def joined(values: Sequence[Ints], reads: Sources) -> Ints:
    """Return what a node reads of the values [n, size] before it: those of its sources in a row."""
    if len(reads) == 1:
        return values[reads[0]]
    return np.concatenate([values[k] for k in reads], axis=-1)


def to_json(sources: Sequence[Sources]) -> list[list[int]]:
    """Return sources as JSON values."""
    return [list(reads) for reads in sources]


def from_json(value: Any) -> tuple[Sources, ...]:
    """Return the sources of JSON values."""
    return tuple(tuple(int(k) for k in reads) for reads in value)

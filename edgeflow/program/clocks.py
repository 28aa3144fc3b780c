"""Clocks: at which steps of a program each node runs.

A program steps once per sample. A `Decimate` node passes some steps on, and what reads it runs at
these steps alone, its states kept in between; a `ZeroOrderHold` brings its last values back to the
clock of the program.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes.base import Node, State, zeros
from edgeflow.program.nodes.decimate import Decimate
from edgeflow.program.nodes.zero_order_hold import ZeroOrderHold
from edgeflow.program.sources import Sources, names_of


@dataclass(frozen=True)
class Clock:
    """The steps ``first, first + period, ...`` after a reset, counted from 0.

    Parameters
    ----------
    first, period : int
    gate : int or None
        Number of the `Decimate` node whose passing is its tick; None: every step.
    """

    first: int = 0
    period: int = 1
    gate: int | None = None

    def ticks(self, steps: int) -> int:
        """Return how many of so many steps after a reset are its own."""
        return max(0, -(-(steps - self.first) // self.period))

    def divided(self, first: int, stride: int, gate: int | None = None) -> "Clock":
        """Return the clock of what is passed on at its ticks ``first, first + stride, ...``."""
        return Clock(self.first + first * self.period, self.period * stride, gate)

    def __str__(self) -> str:
        if self.gate is None:
            return "at every step"
        return f"at the steps {self.first}, {self.first + self.period}, ..."


EVERY_STEP = Clock()


def clocks_of(nodes: Sequence[Node], sources: Sequence[Sources]) -> tuple[Clock, ...]:
    """Return the clock that each node of a graph runs at.

    Raises
    ------
    ProgramError
        If a node reads values of several clocks, or the output is not of every step.
    """
    given, runs = [EVERY_STEP], list[Clock]()
    for number, row in enumerate(sources):
        last = number == len(nodes)
        clocks = {given[k]: k for k in reversed(row)}
        if len(clocks) > 1:
            reader = "the output" if last else f"layer {nodes[number].name}"
            found = ", ".join(
                f"{names_of(nodes, [k])[0]} {clock}" for clock, k in reversed(clocks.items())
            )
            raise ProgramError(
                f"{reader} joins values of unlike rates ({found}): bring the branches to the same "
                "stride, or hold the slower one's values"
            )
        clock = given[row[0]]
        if last:
            break
        runs.append(clock)
        given.append(_given(nodes[number], number, clock, given))
    if clock.gate is not None:
        raise ProgramError(
            f"the output is made {clock}: a layer that holds it in between must be the last"
        )
    return tuple(runs)


def _given(node: Node, number: int, clock: Clock, known: Sequence[Clock]) -> Clock:
    """Return the clock of what a node gives that runs at `clock`."""
    if isinstance(node, ZeroOrderHold):
        return EVERY_STEP
    if not isinstance(node, Decimate):
        return clock
    new = clock.divided(node.first, node.stride, number)
    same = (c for c in known if (c.first, c.period) == (new.first, new.period))
    return next(same, new)


def ticking(
    clocks: Sequence[Clock], nodes: Sequence[Node], number: int, following: Sequence[State]
) -> Ints | None:
    """Tell for which streams a node runs at this step, [n, 1]; None: for all.

    `following` has the states after the step of the nodes before it.
    """
    gate = clocks[number].gate
    if gate is None:
        return None
    before, node = ticking(clocks, nodes, gate, following), nodes[gate]
    assert isinstance(node, Decimate)
    passed = node.passed(following[gate])
    return passed if before is None else before & passed


def run_at(due: Ints | None, node: Node, x: Ints, state: State) -> tuple[Ints, State]:
    """Return output and next state of a node that runs for the streams `due` only.

    For the others its states stay; so does what it gives if that is a state, or the first values of
    one, and nothing reads it otherwise.
    """
    name = node.output_state
    if due is not None and not due.any():
        held = zeros(len(x), node.outputs) if name is None else state[name][:, : node.outputs]
        return held, state
    y, following = node.advance(x, state)
    if due is None or due.all():
        return y, following
    kept = {key: np.where(due, value, state[key]) for key, value in following.items()}
    return (y if name is None else kept[name][:, : node.outputs]), kept

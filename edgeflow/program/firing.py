"""Temporal sparsity on data: the density of delta updates and of spikes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix
from edgeflow.program.program import Program

#: Of vectors of spikes.
SPIKE_BITS = 2


def fired_shares(
    program: Program, x: NDArray[np.int16], lengths: NDArray[np.int64] | None = None
) -> dict[str, float]:
    """Return the share of columns updated per step, by layer and field of each delta matrix.

    Steps are those that the layer runs at.

    Parameters
    ----------
    program : Program
    x : int16 array [n, time, inputs]
        Windows, each from a reset.
    lengths : int64 array [n], optional
        Samples of each that count; the others stand behind them.

    Returns
    -------
    dict
        0..1 by ``layer.field``; empty for a dense program.

    Raises
    ------
    ProgramError
        If x has another number of inputs.
    """
    state = program.initial_state(len(x))
    total = dict.fromkeys(_delta_matrices(program), 0.0)
    for t in range(x.shape[1] if total else 0):
        _, following = program.step(x[:, t], state)
        for node, old, new in zip(program.nodes, state, following, strict=True):
            for field, matrix in node.delta_matrices().items():
                moved = new[f"{field}_hat"] != old[f"{field}_hat"]
                if lengths is not None:
                    # the mean over all steps, not over time
                    moved = moved[lengths > t]
                    weight = len(moved) * x.shape[1] / lengths.sum()
                    total[f"{node.name}.{field}"] += weight * _share(matrix, moved)
                else:
                    total[f"{node.name}.{field}"] += _share(matrix, moved)
        state = following
    steps = {
        f"{node.name}.{field}": max(clock.ticks(x.shape[1]), 1)
        for node, clock in zip(program.nodes, program.clocks, strict=True)
        for field in node.delta_matrices()
    }
    return {name: value / steps[name] for name, value in total.items()}


def spike_rates(program: Program, x: NDArray[np.int16]) -> dict[str, float]:
    """Return the share of neurons that spike per step, by layer and state, like ``rnn.s``.

    Parameters
    ----------
    program : Program
    x : int16 array [n, time, inputs]
        Windows, each from a reset.

    Returns
    -------
    dict
        0..1; empty for a program without spikes.

    Raises
    ------
    ProgramError
        If x has another number of inputs.
    """
    states = [
        (number, node.name, key)
        for number, node in enumerate(program.nodes)
        for key, vector in node.states.items()
        if vector.bits == SPIKE_BITS and node.output_bits == SPIKE_BITS
    ]
    total = dict.fromkeys((f"{name}.{key}" for _, name, key in states), 0.0)
    state = program.initial_state(len(x))
    for t in range(x.shape[1] if total else 0):
        _, state = program.step(x[:, t], state)
        for number, name, key in states:
            total[f"{name}.{key}"] += float(np.mean(state[number][key]))
    return {name: value / x.shape[1] for name, value in total.items()}


class NotingMatrix(Matrix):
    """A matrix that keeps what it is applied to: `seen`, rows [cols]."""

    seen: list[Ints]

    @classmethod
    def of(cls, matrix: Matrix) -> "NotingMatrix":
        """Return a twin of a matrix."""
        twin = object.__new__(cls)
        twin.__dict__.update(matrix.__dict__, seen=[])
        return twin

    def apply(self, x: Ints) -> Ints:
        self.seen.extend(np.asarray(x).reshape(-1, x.shape[-1]))
        return super().apply(x)


class Active(NamedTuple):
    """What a matrix reads, of spikes.

    Attributes
    ----------
    share : float
        Of the columns, those that are not zero.
    silent : float
        Of the products, those whose columns are all zero.
    """

    share: float
    silent: float

    @classmethod
    def of(cls, x: NDArray[Any]) -> "Active":
        """Return it of vectors [n, cols]."""
        fired = x != 0
        return cls(float(fired.mean()), float((~fired.any(axis=1)).mean()))


def active_shares(program: Program, x: NDArray[np.int16]) -> dict[str, Active]:
    """Return what the matrices that read spikes are multiplied by.

    Parameters
    ----------
    program : Program
    x : int16 array [n, time, inputs]
        Windows, each from a reset.

    Returns
    -------
    dict of Active
        By ``layer.field``; empty for a program without spikes.

    Raises
    ------
    ProgramError
        If x has another number of inputs.
    """
    noting = {
        (node.name, field): NotingMatrix.of(matrix)
        for node in program.nodes
        for field, matrix in node.matrices().items()
        if matrix.input_bits == SPIKE_BITS
    }
    nodes = []
    for node in program.nodes:
        changes: dict[str, Any] = {
            field: twin for (name, field), twin in noting.items() if name == node.name
        }
        nodes.append(replace(node, **changes))
    twins = replace(program, nodes=tuple(nodes))
    state = twins.initial_state(len(x))
    for t in range(x.shape[1] if noting else 0):
        _, state = twins.step(x[:, t], state)
    return {
        f"{name}.{field}": Active.of(np.array(twin.seen)) for (name, field), twin in noting.items()
    }


def sparsity(program: Program, fired: Mapping[str, float]) -> dict[str, float | None]:
    """Return the temporal sparsity, the share of columns not updated, from `fired_shares`.

    Returns
    -------
    dict
        ``input_sparsity`` of matrices that read their layer's input, ``state_sparsity`` of those
        that read a state, columns counted alike; None if there are none.
    """
    columns: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    for name, (matrix, source) in _delta_matrices(program).items():
        columns[source == "x"].append((matrix.cols, matrix.cols * (1 - fired[name])))
    result = {}
    for key, shares in (("input_sparsity", columns[True]), ("state_sparsity", columns[False])):
        kept = sum(share for _, share in shares)
        result[key] = kept / sum(cols for cols, _ in shares) if shares else None
    return result


def _delta_matrices(program: Program) -> dict[str, tuple[Matrix, str]]:
    """Return the delta matrices and what each reads, by layer and field."""
    return {
        f"{node.name}.{field}": (matrix, node.source_of(field))
        for node in program.nodes
        for field, matrix in node.delta_matrices().items()
    }


def _share(matrix: Matrix, moved: Ints | NDArray[np.bool_]) -> float:
    """Return the share of columns [n, cols] whose group has one that moved: those updated."""
    starts = np.arange(0, matrix.cols, matrix.group)
    groups = np.logical_or.reduceat(moved, starts, axis=1)
    sizes = np.diff(np.append(starts, matrix.cols))
    return float((groups * sizes).sum(axis=1).mean()) / matrix.cols

"""Trying many parameters of a layer at once, on what it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.sequences import SIDE_BY_SIDE, sequences_of
from edgeflow.program import Program
from edgeflow.program.nodes import Node
from edgeflow.program.nodes.base import zeros
from edgeflow.program.traced import traced_copy

if TYPE_CHECKING:
    from edgeflow.data import Dataset


def outputs_of(
    node: Node, fields: Mapping[str, NDArray[np.int64]], streams: Sequence[NDArray[np.integer]]
) -> NDArray[np.int16]:
    """Return the outputs of a layer for each of several values of its fields.

    The layer's own step runs, for all candidates and streams side by side: what is chosen by it
    holds on every target.

    Parameters
    ----------
    node : Node
        Without matrices.
    fields : mapping
        By name, values [candidates, 1] of an int field, or [candidates, size] of an array.
        Fields that say how large a state is cannot be varied.
    streams : sequence of int array [time, inputs]
        Each from a reset on.

    Returns
    -------
    int16 array [candidates, time of all streams, outputs]
    """
    count = len(next(iter(fields.values())))
    longest = max(map(len, streams))
    x = np.zeros((longest, len(streams), node.inputs), np.int64)
    for k, stream in enumerate(streams):
        x[: len(stream), k] = stream
    # a row for each stream of each candidate
    repeated = {n: np.repeat(v, len(streams), axis=0).astype(np.int64) for n, v in fields.items()}
    varied: Node = traced_copy(node, repeated)
    rows = count * len(streams)
    state = {name: zeros(rows, vector.size) for name, vector in node.states.items()}
    y = np.empty((rows, longest, node.outputs), np.int16)
    for t in range(longest):
        y[:, t], state = varied.step(np.tile(x[t], (count, 1)), state)
    whole = y.reshape(count, len(streams), longest, node.outputs)
    return np.concatenate([whole[:, k, : len(one)] for k, one in enumerate(streams)], axis=1)


class Streams(NamedTuple):
    """What a program gives on whole recordings of a split, each read from a reset.

    Attributes
    ----------
    outputs : list of int16 array [time, outputs]
    truth : array [time of all, ...]
        Targets of each step.
    subjects : str array [time of all]
    """

    outputs: list[NDArray[np.int16]]
    truth: NDArray[Any]
    subjects: NDArray[np.str_]

    @classmethod
    def of(cls, program: Program, dataset: "Dataset", split: str) -> "Streams":
        """Run a program.

        Raises
        ------
        DataError
            If nobody is in the split.
        """
        found = sequences_of(dataset, split, window=0, warmup=0)
        outputs = found.run(lambda x: program.run(program.quantize_input(x)), SIDE_BY_SIDE)
        return cls(outputs, found.truth, found.of_decisions(found.person))


def with_scores(program: Program, dataset: "Dataset", split: str, layer: str) -> Program:
    """Return the program with the scores on a split's subjects in what metadata say of a layer.

    Each recording is read from a reset to its end.
    """
    ran, task = Streams.of(program, dataset, split), program.task
    found = task.scores(ran.truth, task.decide(np.concatenate(ran.outputs)), ran.subjects)
    told = {**program.metadata[layer], split: found["overall"], "people": found["subjects"]}
    return replace(program, metadata={**program.metadata, layer: told})


def free_name(program: Program, wanted: str) -> str:
    """Return a name that no layer has: `wanted`, or with a number behind it."""
    names = {node.name for node in program.nodes}
    return next(
        name for name in (wanted, *(f"{wanted}{i}" for i in range(99))) if name not in names
    )

"""Matrices that can do with fewer bits: each alone first, then as many as a bound allows."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.quantize import quantize
from edgeflow.data.sequences import SIDE_BY_SIDE, Sequences
from edgeflow.importers import FloatChain
from edgeflow.program import Program
from edgeflow.quantization import Widths
from edgeflow.tasks import Metric
from edgeflow.tasks.output import real_values

#: Bits of the weights that are tried.
NARROW = 4


@dataclass(frozen=True)
class Score:
    """A program on labelled windows or recordings.

    Attributes
    ----------
    value : float
        The headline of its task: the accuracy of a classification.
    loss : float
        The task's criterion: of a classification the mean cross-entropy, in nats.
    metric : Metric
        The headline.
    """

    value: float
    loss: float
    metric: Metric

    def drop(self, after: "Score") -> float:
        """Return how much worse another program is (`Metric.drop`)."""
        return self.metric.drop(self.value, after.value)


@dataclass(frozen=True)
class Sensitivity:
    """Cost of narrow weights in one matrix.

    Attributes
    ----------
    matrix : str
        Layer and field, like ``rnn.recurrent``.
    weights : int
        Number of weights.
    drop : float
        Percentage points lost (`Metric.drop`), the other matrices as they were; negative for a
        gain.
    loss : float
        Rise of the task's criterion, of a classification in nats.
    """

    matrix: str
    weights: int
    drop: float
    loss: float


def score(program: Program, data: Sequences) -> Score:
    """Return headline and loss of a program on raw sequences."""
    runs = data.run(lambda x: program.run(program.quantize_input(x)), SIDE_BY_SIDE)
    task, outputs, y = program.task, data.counted(runs), data.truth
    found = task.score(y, task.decisions(outputs, program.scaling))
    loss = task.criterion(real_values(outputs[:, -1], program.scaling), y)
    return Score(found[task.headline.name], loss, task.headline)


def sensitivities(
    chain: FloatChain,
    calibration: NDArray[np.float32],
    data: Sequences,
    widths: Widths,
    *,
    bits: int = NARROW,
    on_matrix: Callable[[int, int], None] | None = None,
) -> list[Sensitivity]:
    """Make each matrix narrow alone.

    Parameters
    ----------
    calibration : float32 array [m, time, channels]
        Raw samples of training subjects.
    data : Sequences
        Of validation subjects, raw.
    widths : Widths
        Of all else.
    bits : int
        Of the narrow weights, 2..8.
    on_matrix : callable, optional
        Called after each matrix with its number from 1 and the number of matrices.

    Returns
    -------
    list of Sensitivity
        In the order of the program.
    """
    whole = quantize(chain, calibration, widths)
    before = score(whole, data)
    matrices = {
        f"{node.name}.{field}": matrix
        for node in whole.nodes
        for field, matrix in node.matrices().items()
    }
    found = []
    for name, matrix in matrices.items():
        narrow = replace(widths, matrices={**widths.matrices, name: bits})
        after = score(quantize(chain, calibration, narrow), data)
        rise = after.loss - before.loss
        found.append(Sensitivity(name, matrix.weight.size, before.drop(after), rise))
        if on_matrix:
            on_matrix(len(found), len(matrices))
    return found


def choose_widths(
    chain: FloatChain,
    calibration: NDArray[np.float32],
    data: Sequences,
    widths: Widths,
    *,
    max_drop: float,
    bits: int = NARROW,
    on_matrix: Callable[[int, int], None] | None = None,
) -> tuple[Widths, list[Sensitivity]]:
    """Make as many weights narrow as a bound on validation subjects allows.

    In the order of the rise of the loss for each weight that becomes narrow, a matrix stays narrow
    if all of them together then cost at most `max_drop` percentage points.

    Parameters
    ----------
    max_drop : float
        Percentage points on `data` (`Metric.drop`).
    chain, calibration, data, widths, bits, on_matrix
        As for `sensitivities`.

    Returns
    -------
    widths : Widths
    sensitivities : list of Sensitivity
        In the order in which they were tried.
    """
    found = sensitivities(chain, calibration, data, widths, bits=bits, on_matrix=on_matrix)
    before = score(quantize(chain, calibration, widths), data)
    order = sorted(found, key=lambda s: s.loss / s.weights)
    for candidate in order:
        narrow = replace(widths, matrices={**widths.matrices, candidate.matrix: bits})
        after = score(quantize(chain, calibration, narrow), data)
        if before.drop(after) <= max_drop:
            widths = narrow
    return widths, order

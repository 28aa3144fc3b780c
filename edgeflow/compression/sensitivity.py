"""Which matrices can do with fewer bits: each alone first, then as many as a bound allows."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.quantize import quantize
from edgeflow.importers import FloatChain
from edgeflow.program import Program
from edgeflow.quantization import Widths

#: Bits of the weights that are tried.
NARROW = 4


@dataclass(frozen=True)
class Score:
    """A program on labelled windows.

    Attributes
    ----------
    accuracy : float
        Share of right decisions.
    loss : float
        Mean cross-entropy of the decisions, in nats.
    """

    accuracy: float
    loss: float


@dataclass(frozen=True)
class Sensitivity:
    """What narrow weights of one matrix cost.

    Attributes
    ----------
    matrix : str
        Layer and field, like ``rnn.recurrent``.
    weights : int
        Their number.
    drop : float
        Points of accuracy lost, the other matrices as they were; negative for a gain.
    loss : float
        Rise of the cross-entropy, in nats.
    """

    matrix: str
    weights: int
    drop: float
    loss: float


def score(program: Program, x: NDArray[np.float32], y: NDArray[np.int64]) -> Score:
    """Return accuracy and loss of the last outputs for raw x [n, time, channels], labels y [n]."""
    last = program.run(program.quantize_input(x))[:, -1] * program.output_scale
    shifted = last - last.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    loss = float((log_sum - shifted[np.arange(len(y)), y]).mean())
    return Score(float((last.argmax(axis=1) == y).mean()), loss)


def sensitivities(
    chain: FloatChain,
    calibration: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    widths: Widths,
    *,
    bits: int = NARROW,
    on_matrix: Callable[[int, int], None] | None = None,
) -> list[Sensitivity]:
    """Make each matrix narrow alone.

    Parameters
    ----------
    chain : FloatChain
    calibration : float32 array [m, time, channels]
        Raw samples of training people.
    x, y : float32 array [n, time, channels], int64 array [n]
        Windows of validation people, and their labels.
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
    before = score(whole, x, y)
    matrices = {
        f"{node.name}.{field}": matrix
        for node in whole.nodes
        for field, matrix in node.matrices().items()
    }
    found = []
    for name, matrix in matrices.items():
        narrow = replace(widths, matrices={**widths.matrices, name: bits})
        after = score(quantize(chain, calibration, narrow), x, y)
        drop = 100 * (before.accuracy - after.accuracy)
        found.append(Sensitivity(name, matrix.weight.size, drop, after.loss - before.loss))
        if on_matrix:
            on_matrix(len(found), len(matrices))
    return found


def choose_widths(
    chain: FloatChain,
    calibration: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.int64],
    widths: Widths,
    *,
    max_drop: float,
    bits: int = NARROW,
    on_matrix: Callable[[int, int], None] | None = None,
) -> tuple[Widths, list[Sensitivity]]:
    """Make as many weights narrow as a bound on validation people allows.

    In the order of the rise of the loss for each weight that becomes narrow, a matrix stays narrow
    if all of them together then cost at most `max_drop` points.

    Parameters
    ----------
    max_drop : float
        Points of accuracy on x, y.
    chain, calibration, x, y, widths, bits, on_matrix
        As for `sensitivities`.

    Returns
    -------
    widths : Widths
    sensitivities : list of Sensitivity
        In the order in which they were tried.
    """
    found = sensitivities(chain, calibration, x, y, widths, bits=bits, on_matrix=on_matrix)
    before = score(quantize(chain, calibration, widths), x, y)
    order = sorted(found, key=lambda s: s.loss / s.weights)
    for candidate in order:
        narrow = replace(widths, matrices={**widths.matrices, candidate.matrix: bits})
        after = score(quantize(chain, calibration, narrow), x, y)
        if 100 * (before.accuracy - after.accuracy) <= max_drop:
            widths = narrow
    return widths, order

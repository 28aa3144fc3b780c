"""Read-outs that learn on the device, made of a trained one; validation people choose how.

Parameters are those of the best mean accuracy where validation people label k windows of each class
and are tested on the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.compression.replay import Features, Gain, gains
from edgeflow.errors import CompressError
from edgeflow.program import Linear, Program
from edgeflow.program.confidence import exponent_scale
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.adaptive_linear import (
    HALF_RANGE,
    MOST_BITS,
    AdaptiveLinear,
    weight_limit,
)
from edgeflow.program.nodes.head_linear import MASTER_FRACTION, ONE_FRACTION, HeadLinear
from edgeflow.program.nodes.prototype_linear import (
    FULL,
    RATE_FRACTION,
    SHIFT_FRACTION,
    PrototypeLinear,
)
from edgeflow.progress import StageProgress, silent

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Labelled windows of a class that parameters are chosen with.
LABELS = (1, 3, 5)
#: What is tried: examples that the training data count for, and the gain of squared distances in
#: units of the trained outputs.
PRIORS, GAINS = (0.5, 1.0, 2.0, 4.0), (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: Passes over the store and rates of gradient descent.
PASSES, RATES = (4, 8, 16, 32), (0.02, 0.05, 0.1, 0.2, 0.4)
#: How many times as large as the largest trained weight a learned one may become: of prototypes,
#: and of gradient descent, which decides wrong where rows stop at their limit.
PROTOTYPE_ROOM, DESCENT_ROOM = 4.0, 8.0


@dataclass(frozen=True)
class Rows:
    """Trained rows in one unit, with room to grow.

    Parameters
    ----------
    base : int16 array [outputs * inputs]
    bias : int32 array [outputs]
    multiplier : int
        2^31 times `unit`.
    unit : float
        Units of y of a product of a weight and an x of 1.
    """

    base: NDArray[np.int16]
    bias: NDArray[np.int32]
    multiplier: int
    unit: float

    @classmethod
    def of(cls, matrix: Matrix, room: float) -> "Rows":
        """Return the rows of a read-out that is neither delta nor of low rank.

        Learned weights may become `room` times as large as the largest trained one.
        """
        limit = weight_limit(matrix.cols, matrix.input_bits)
        ratio = matrix.multiplier.astype(np.float64) * 2.0 ** (matrix.shift - 32)
        weight = matrix.weight * ratio[:, None]
        bias = matrix.bias * ratio
        unit = max(
            room * float(np.abs(weight).max()) / limit, float(np.abs(bias).max()) / HALF_RANGE
        )
        multiplier = int(np.clip(round(unit * 2.0**31), 1, 2**31 - 1))
        unit = multiplier * 2.0**-31
        base = np.clip(np.round(weight / unit), -limit, limit)
        offset = np.clip(np.round(bias / unit), -HALF_RANGE, HALF_RANGE)
        return cls(base.reshape(-1).astype(np.int16), offset.astype(np.int32), multiplier, unit)


def _fraction(value: float, most: int, highest: int = 30) -> tuple[int, int]:
    """Return m <= `most` and a shift of 1..`highest` with ``m / 2^shift`` about `value`."""
    shift = next((s for s in range(highest, 1, -1) if round(value * 2**s) <= most), 1)
    return min(round(value * 2**shift), most), shift


def with_prototypes(
    name: str, matrix: Matrix, prototypes: ArrayLike, *, prior: float, gain: float
) -> PrototypeLinear:
    """Return the read-out whose rows follow the means of labelled x.

    Parameters
    ----------
    name : str
    matrix : Matrix [outputs, inputs]
    prototypes : array [outputs, inputs]
        Means of x in the training data, in units of x.
    prior : float
        Examples that a prototype of the training data counts for, 0.25 or more.
    gain : float
        What the squared distance of two x that differ by their whole range in one value counts in
        y: units of y.
    """
    rows, largest = Rows.of(matrix, PROTOTYPE_ROOM), symmetric_max(matrix.input_bits)
    counts, means = np.arange(FULL + 1), np.asarray(prototypes, np.float64)
    rates = np.round((1 << RATE_FRACTION) / (counts + prior)).clip(0, 1 << RATE_FRACTION)
    # of a change of a row by one unit of x, in units of y
    slope = gain / largest**2 / rows.unit
    factor, shift = _fraction(slope / (1 << SHIFT_FRACTION), 1 << 14)
    return PrototypeLinear(
        name, matrix, rows.base, rows.bias, rows.multiplier,
        np.round(means).clip(-largest, largest).reshape(-1).astype(np.int16),
        rates.astype(np.int16), factor, shift,
    )  # fmt: skip


def with_descent(
    name: str, matrix: Matrix, output_scale: float, *, keep: int, passes: int, rate: float
) -> HeadLinear:
    """Return the read-out that is trained on the last `keep` examples of each class.

    `rate` is that of gradient descent on outputs of a unit of `output_scale`, with x of 1 at the
    end of its range.
    """
    rows = Rows.of(matrix, DESCENT_ROOM)
    # a weight of 1 is so many units of masters per unit of x of 2^-11
    unit = rows.unit * output_scale * (1 << ONE_FRACTION)
    slope = rate / unit * 2.0**MASTER_FRACTION / (1 << ONE_FRACTION)
    factor, shift = _fraction(slope / (1 << 15), (1 << 15) - 1)
    exponent, exponent_shift = exponent_scale(output_scale)
    return HeadLinear(
        name, matrix, rows.base, rows.bias, rows.multiplier, keep, passes, factor, shift,
        exponent, exponent_shift,
    )  # fmt: skip


LEARNERS = ("prototypes", "head")


def with_learning(
    program: Program,
    dataset: "Dataset",
    learner: str,
    keep: int = 3,
    *,
    progress: StageProgress = silent,
) -> Program:
    """Return the program with a read-out that learns in the place of its trained one.

    Parameters
    ----------
    program : Program
        A classifier with windows that do not overlap, whose last layer is a `Linear`.
    dataset : Dataset
        Training people give the prototypes, validation people choose the parameters.
    learner : str
        One of `LEARNERS`.
    keep : int
        Examples of a class that ``head`` stores.

    Returns
    -------
    Program
        Its metadata holds under "adapt" the learner, what was chosen, and "val": percentage points
        that validation people gain with each of `LABELS` labelled windows of a class.

    Raises
    ------
    CompressError
        If the program has no such read-out, or validation people have too few windows.
    """
    matrix = _checked(program, learner, keep)
    name, scale = program.nodes[-1].name, program.output_scale
    known, val = (Features.of(program, dataset, split) for split in ("train", "val"))
    means = known.means(program.outputs)
    candidates: list[tuple[dict[str, Any], AdaptiveLinear]] = []
    if learner == "prototypes":
        for prior, gain in product(PRIORS, GAINS):
            node = with_prototypes(name, matrix, means, prior=prior, gain=gain / scale)
            candidates.append(({"prior": prior, "gain": gain}, node))
    else:
        for passes, rate in product(PASSES, RATES):
            made = with_descent(name, matrix, scale, keep=keep, passes=passes, rate=rate)
            candidates.append(({"keep": keep, "passes": passes, "rate": rate}, made))
    scores = []
    for number, (_, tried) in enumerate(candidates):
        progress("choosing how to learn", number, len(candidates))
        counts = LABELS if learner == "prototypes" else [k for k in LABELS if k <= keep]
        scores.append(
            np.mean([mean_gain(gains(tried, val, k, "spread", guarded=False)) for k in counts])
        )
    chosen, best = candidates[int(np.argmax(scores))]
    found = {k: mean_gain(gains(best, val, k, "spread")) for k in LABELS}
    record: Mapping[str, Any] = {
        "learner": learner, **chosen, "val": {str(k): round(v, 2) for k, v in found.items()},
    }  # fmt: skip
    metadata = {**program.metadata, "adapt": record}
    return replace(program, nodes=(*program.nodes[:-1], best), metadata=metadata)


def mean_gain(found: list[Gain]) -> float:
    """Return the mean over people of what they gain, in percentage points."""
    return 100 * float(np.mean([one.after - one.before for one in found]))


def _checked(program: Program, learner: str, keep: int) -> Matrix:
    """Return the matrix of the trained read-out; a CompressError if none can learn."""
    last = program.nodes[-1]
    if learner not in LEARNERS:
        raise CompressError(f"there is no learner '{learner}': use {' or '.join(LEARNERS)}")
    if not 1 <= keep <= 32:
        raise CompressError(f"a store of {keep} examples of a class: use 1 to 32")
    if not program.classes or not program.window or program.hop:
        raise CompressError(
            "--adapt is for classifiers with windows that do not overlap: leave it out"
        )
    if not isinstance(last, Linear) or last.matrix.threshold or last.matrix.factor is not None:
        raise CompressError(
            f"--adapt needs a plain linear read-out, and the model ends with {last!r}: leave out "
            "--cutoff, --detect, and delta or low-rank matrices of the read-out"
        )
    if last.input_bits > MOST_BITS:
        raise CompressError(
            f"--adapt needs a read-out of states of at most {MOST_BITS} bits, and it reads "
            f"{last.input_bits}"
        )
    return last.matrix

"""Forecasts that learn on the device, as values come; validation subjects choose how."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.compression.candidates import free_name, outputs_of
from edgeflow.data.sequences import SIDE_BY_SIDE, Sequences, sequences_of
from edgeflow.errors import CompressError, ProgramError
from edgeflow.program import Program
from edgeflow.program.fixedpoint import INT16_MAX, INT32_MAX, saturate, symmetric_max
from edgeflow.program.nodes import Nlms
from edgeflow.program.nodes.adaptive_linear import weight_limit
from edgeflow.program.nodes.nlms import FEATURE_BITS, MASTER_FRACTION
from edgeflow.progress import StageProgress, silent
from edgeflow.tasks import Forecast

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Least and most bits that the rate is shifted by, and the bits that a norm is brought to.
SHIFTS, NORM_BITS = (14, 30), 29
#: Name of the learner.
NLMS = "nlms"
#: What is tried: lags, samples between them, shares of an error that an update takes away, and
#: shares of the largest norm that are added to it.
LAGS, EVERY, STEPS, RIDGES = (6, 12, 20), (1, 2, 4, 8), (0.02, 0.05, 0.1, 0.2), (0.001, 0.01)
#: Fields that are varied side by side; deviations that a lag has room for.
_VARIED, _REACH = ("rate", "shift", "epsilon"), 4.0
#: Most ticks that teach nothing after a reset.
_MOST_WAIT = 200


@dataclass(frozen=True)
class How:
    """How forecasts learn: see `nlms`."""

    lags: int
    every: int
    step: float
    ridge: float


def nlms(
    name: str, unit: ArrayLike, zero: ArrayLike, *, stride: int, lags: int, every: int, read: int,
    down: int, lag_shift: int, wait: int, step: float, ridge: float,
) -> Nlms:  # fmt: skip
    """Return the layer that corrects forecasts by what came.

    Parameters
    ----------
    name : str
    unit : array [horizons, series]
        A unit of each series in units of its forecasts.
    zero : array [horizons, series]
        What a forecast of no change is, in its units.
    stride, lags, every, read, down, lag_shift, wait : int
        Of `Nlms`.
    step : float
        The share of an error that an update takes away where features are large, 0..2 or so.
    ridge : float
        What is added to the squared norm of the features, as a share of the largest it can be.
    """
    units = np.asarray(unit, np.float64)
    horizons, series = units.shape
    features = read + lags * series + 1
    largest = symmetric_max(FEATURE_BITS)
    # a weight at its limit and a feature at its own move a forecast by its whole range
    weight = INT16_MAX / (largest * weight_limit(features, FEATURE_BITS))
    slope = step * 2.0 ** (MASTER_FRACTION - NORM_BITS) / weight
    least, most = SHIFTS
    shift = next((s for s in range(most, least, -1) if round(slope * 2**s) <= INT16_MAX), least)
    top = float(units.max())
    unit_shift = next((s for s in range(1, 14) if round(top * 2.0 ** (32 - s)) <= INT32_MAX), 14)
    multipliers = np.round(units * 2.0 ** (32 - unit_shift)).clip(0, INT32_MAX)
    return Nlms(
        name, multipliers.reshape(-1).astype(np.int32),
        saturate(np.round(np.asarray(zero)).astype(np.int64)).reshape(-1).astype(np.int16),
        series=series, horizons=horizons, stride=stride, lags=lags, every=every, read=read,
        unit_shift=unit_shift, down=down, lag_shift=lag_shift, wait=wait,
        multiplier=round(weight * 2**31),
        epsilon=int(np.clip(round(ridge * features * largest**2), 1 << 16, 1 << 28)),
        rate=min(round(slope * 2**shift), INT16_MAX), shift=shift,
    )  # fmt: skip


def with_nlms(
    program: Program, dataset: "Dataset", split: str = "test", *, progress: StageProgress = silent
) -> Program:
    """Return the program with forecasts that learn as samples come.

    Parameters
    ----------
    program : Program
        Without windows, of the task `Forecast`: it forecasts its own channels, at horizons that
        are multiples of the first one.
    dataset : Dataset
        With the forecasts as targets. Training subjects say how far lags reach; of what is tried,
        the best nRMSE on validation subjects' recordings is taken, each from nothing learned.
    split : str
        Which subjects' scores are told, beside those of validation subjects.
    progress : callable, optional

    Returns
    -------
    Program
        Its metadata holds under "adapt" the learner, what was chosen, and for "val" and `split` the
        nRMSE of the trained forecasts ("before") and of those that learned ("after").

    Raises
    ------
    CompressError
        If the program forecasts something else, or too much for a learner.
    DataError
        If nobody is in the training or validation split.
    """
    task = _forecast(program)
    val = _Replay.of(program, dataset, "val")
    known = [program.quantize_input(one.x) for one in dataset.split("train")]
    shapes = list(product(LAGS, EVERY))
    tried: list[tuple[float, How, Nlms]] = []
    for number, (lags, every) in enumerate(shapes):
        progress("choosing how to learn", number, len(shapes))
        made = list(_candidates(program, task, dataset, known, lags, every))
        scores = val.scores([node for _, node in made])
        tried += [(score, *one) for score, one in zip(scores, made, strict=True)]
    if not tried:
        raise CompressError(
            f"--adapt nlms: {len(task.series)} series at {len(task.steps)} horizons are too many "
            "for a learner: forecast fewer"
        )
    _, how, node = min(tried, key=lambda one: one[0])
    record: dict[str, Any] = {"learner": NLMS, **vars(how)}
    for name in dict.fromkeys(("val", split)):
        told = _Replay.of(program, dataset, name)
        record[name] = {"before": told.before, "after": told.scores([node])[0]}
    metadata = {**program.metadata, "adapt": record}
    return program.then(node, (len(program.nodes), 0), metadata=metadata)


@dataclass(frozen=True)
class _Replay:
    """Recordings of a split, and what a learner reads of them: forecasts, then the samples."""

    program: Program
    sequences: Sequences
    streams: list[NDArray[np.int16]]

    @classmethod
    def of(cls, program: Program, dataset: "Dataset", split: str) -> "_Replay":
        found = sequences_of(dataset, split, window=0)
        ran = found.run(lambda x: program.run(program.quantize_input(x)), SIDE_BY_SIDE)
        z = [program.quantize_input(one) for one in found.x]
        parts = [np.concatenate(both, axis=1) for both in zip(ran, z, strict=True)]
        return cls(program, found, parts)

    @property
    def before(self) -> float:
        """Score of the trained forecasts."""
        return self._score(np.concatenate(self.streams)[:, : self.program.outputs])

    def scores(self, nodes: Sequence[Nlms]) -> list[float]:
        """Return the score of each of several learners of one shape."""
        if not nodes:
            return []
        fields = {
            name: np.array([[getattr(node, name)] for node in nodes], np.int64) for name in _VARIED
        }
        return [self._score(y) for y in outputs_of(nodes[0], fields, self.streams)]

    def _score(self, y: NDArray[np.int16]) -> float:
        task, of = self.program.task, self.sequences
        ends = np.cumsum([len(one) for one in of.x])[:-1]
        counted = np.concatenate([one[of.decisions] for one in np.split(y, ends)])
        decided = task.decide(counted, self.program.scaling)
        return round(float(task.score(of.truth, decided)[task.headline.name]), 4)


def _forecast(program: Program) -> Forecast:
    """Return the program's task; a CompressError if it does not forecast its own channels."""
    task = program.task
    if not isinstance(task, Forecast) or program.window or task.series != program.input.channels:
        raise CompressError(
            "--adapt nlms is for forecasts of the model's own channels: train them with --task "
            "forecast and --mode streaming; classifiers learn with prototypes or head"
        )
    if any(step != (k + 1) * task.steps[0] for k, step in enumerate(task.steps)):
        raise CompressError(
            f"--adapt nlms: horizons of {', '.join(map(str, task.steps))} samples: they must be "
            "1, 2, 3 and so on times the first one"
        )
    return task


def _candidates(
    program: Program, task: Forecast, dataset: "Dataset", known: Sequence[NDArray[np.int16]],
    lags: int, every: int,
) -> Iterator[tuple[How, Nlms]]:  # fmt: skip
    """Yield the learners of a shape; none if it is too large."""
    count, series, span = len(task.steps), len(task.series), lags * every
    scale, offset = np.ones(program.outputs), np.zeros(program.outputs)
    if program.output is not None:
        scale, offset = np.array(program.output.scale), np.array(program.output.offset)
    worth = scale * program.output_scale
    apart = [one[span:].astype(np.float64) - one[:-span] for one in known if len(one) > span]
    reach = _REACH * max((float(one.std()) for one in apart), default=0.0)
    largest = symmetric_max(FEATURE_BITS)
    for step, ridge in product(STEPS, RIDGES):
        try:
            yield How(lags, every, step, ridge), nlms(
                free_name(program, NLMS),
                np.tile(program.input.scale.astype(np.float64), count).reshape(count, series)
                / worth.reshape(count, series),
                (-offset / worth).reshape(count, series),
                stride=task.steps[0], lags=lags, every=every, read=0, down=0,
                lag_shift=min(max(0, int(np.ceil(np.log2(max(reach, 1.0) / largest)))), 15),
                wait=min(-(-max(span, dataset.window // 2) // task.steps[0]), _MOST_WAIT),
                step=step, ridge=ridge,
            )  # fmt: skip
        except ProgramError:
            return

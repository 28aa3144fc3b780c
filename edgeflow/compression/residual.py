"""Anomalies: a layer that scores how far forecasts are off, with what runs of the data choose.

Training subjects say how large each value's error is while the layer learns; smoothing and limit
are those of the highest F1, on training and validation subjects, whose false alarm rate is within
what the user allows, on recordings that have an anomaly. What is chosen fits nothing to a subject,
and needs many of them. Some values say more about anomalies than others: where asked for, training
subjects choose the weights by F1 as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.anytime import standard_error
from edgeflow.compression.candidates import free_name, outputs_of
from edgeflow.errors import CompressError
from edgeflow.metrics import Flags, flag_rates
from edgeflow.program import Linear, Matrix, Program
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes import Residual
from edgeflow.program.nodes.residual import FRACTION, ONE
from edgeflow.quantization.affine import gain_of
from edgeflow.tasks import Forecast
from edgeflow.tasks.anomaly import Anomaly

if TYPE_CHECKING:
    from edgeflow.data import Dataset, Recording

#: Time constants, as powers of two, multiples of the largest score while learning, and shares of
#: the limit at which an anomaly ends, that are tried.
SHIFTS = (0, 2, 3, 4, 5, 6)
GAINS = np.round(np.linspace(1.0, 3.0, 21) * ONE).astype(np.int64)
KEEPS = np.round(np.array([1.0, 0.9, 0.8, 0.7, 0.6]) * (1 << FRACTION)).astype(np.int64)
#: What weights are multiplied by, each in turn and this often, and what a change must gain of F1.
FACTORS, PASSES, LEAST_GAIN = (0.0, 0.5, 2.0), 2, 0.002
#: Multiples and shares together, [candidates, 2].
LIMITS: NDArray[np.int64] = np.array([(gain, keep) for keep in KEEPS for gain in GAINS])


def with_residual(
    program: Program,
    dataset: "Dataset",
    *,
    max_far: float,
    learn: int,
    horizon: int = 1,
    change: bool = False,
    weigh: bool = False,
) -> Program:
    """Add the anomaly score of highest F1 for a false alarm rate of at most `max_far`.

    Parameters
    ----------
    program : Program
        Without windows; it ends with a linear layer that forecasts each of its input channels.
    dataset : Dataset
        With flags of anomalous samples (`edgeflow.tasks.anomaly.Anomaly`).
    max_far : float
        Share of normal samples, 0..1: bound of the rate plus its standard error over subjects.
    learn : int
        Samples at the beginning of a recording that are taken as normal, 1..32767. Scores of the
        first quarter of them do not count.
    horizon : int
        Samples that forecasts are ahead; 0 of a reconstruction.
    change : bool
        They are changes from the present value. What they count in, `Program.output` says.
    weigh : bool
        Leave out, halve or double weights of values where training subjects' F1 gains by it.

    Returns
    -------
    Program
        Its metadata holds under "residual" the bound and what was chosen.

    Raises
    ------
    CompressError
        If the data have no flags, the program no such outputs, or no candidate keeps the bound.
    DataError
        If nobody is in the training or validation split.
    """
    task = dataset.task
    if not isinstance(task, Anomaly):
        raise CompressError(f"data set '{dataset.name}' is for {task.name}: it has no flags")
    if not 0 <= max_far <= 1:
        raise CompressError(f"a false alarm rate of {max_far}: give a share, 0 to 1")
    program = _in_units_of_input(program, change)
    size = program.inputs
    node = Residual(
        free_name(program, "residual"), np.full(size, (1 << FRACTION) // size, np.int16), size,
        up=16 - program.input.bits, horizon=horizon, change=int(change), shift=0, learn=learn,
        wait=learn // 4, gain=ONE, threshold=0, keep=1 << FRACTION,
    )  # fmt: skip
    train, val = dataset.split("train"), dataset.split("val")
    begun = [(_read(program, _begin(one, learn)), one.by_step()[:learn] > 0) for one in train]
    known = [one for one in (*train, *val) if one.by_step().any()]
    if not known:
        raise CompressError("no training or validation subject has an anomaly to choose by")
    seen = [_read(program, one) for one in known]
    truth = np.concatenate([one.by_step() > 0 for one in known])
    whose = np.repeat([one.person for one in known], [len(one.x) for one in known])
    runs = _Runs(seen, truth, whose)
    own = runs.of([one.person for one in train])
    best: tuple[float, Residual, dict[str, float]] | None = None
    least = 1.0
    for shift in SHIFTS:
        tried = replace(node, shift=shift)
        tried = replace(tried, weight=_weights(tried, begun))
        if weigh and own.streams:
            tried = replace(tried, weight=_weighed(tried, own, max_far))
        for limit, rates, far in runs.rated(tried, LIMITS):
            least = min(least, far)
            if far <= max_far and (best is None or rates.f1 > best[0]):
                best = (rates.f1, replace(tried, **limit), rates._asdict())
    if best is None:
        raise CompressError(
            f"every limit has a false alarm rate, with its standard error, above {max_far:.1%}: at "
            f"least {least:.1%}"
        )
    _, chosen, scores = best
    found_ = {
        "max_far": max_far, "learn": learn, "shift": chosen.shift, "gain": chosen.gain / ONE,
        "keep": chosen.keep / (1 << FRACTION), "train_and_val": scores,
    }  # fmt: skip
    metadata: dict[str, Any] = {**program.metadata, "residual": found_, "task": task.to_json()}
    return program.then(
        chosen, (len(program.nodes), 0), classes=(), output_scale=1.0, output=None,
        metadata=metadata,
    )  # fmt: skip


def flag_forecasts(program: Program, dataset: "Dataset", max_far: float, learn_s: float) -> Program:
    """Add the anomaly score to a forecast of the own channels that was trained as such.

    Parameters
    ----------
    program : Program
        Of the task `Forecast`, with one horizon.
    dataset : Dataset
        As of `with_residual`, which chooses.
    max_far : float
    learn_s : float
        Seconds that are taken as normal.

    Raises
    ------
    CompressError
        If the program forecasts something else; and as of `with_residual`.
    """
    task = program.task
    if not (
        isinstance(task, Forecast)
        and task.series == program.input.channels
        and len(task.steps) == 1
    ):
        raise CompressError(
            "anomalies are where a forecast of the model's own channels is off: train one, with "
            "--task forecast, one --horizon and --mode streaming"
        )
    learn = round(learn_s * dataset.rate_hz)
    if not 1 <= learn <= INT16_MAX:
        raise CompressError(
            f"{learn_s:g} s at {dataset.rate_hz:g} Hz are {learn} samples to learn from: give 1 to "
            f"{INT16_MAX}"
        )
    return with_residual(
        program,
        dataset,
        max_far=max_far,
        learn=learn,
        horizon=task.steps[0],
        change=True,
        weigh=True,
    )


@dataclass(frozen=True)
class _Runs:
    """What the layer reads of recordings, their flags and subjects, [time of all recordings]."""

    streams: list[NDArray[np.int16]]
    truth: NDArray[np.bool_]
    whose: NDArray[Any]

    def of(self, people: Sequence[str]) -> "_Runs":
        """Return those of some subjects."""
        ends = np.cumsum([len(one) for one in self.streams])
        kept = [
            one
            for one, end in zip(self.streams, ends, strict=True)
            if self.whose[end - 1] in people
        ]
        chosen = np.isin(self.whose, people)
        return _Runs(kept, self.truth[chosen], self.whose[chosen])

    def rated(
        self, node: Residual, limits: NDArray[np.int64]
    ) -> Iterator[tuple[dict[str, int], Flags, float]]:
        """Yield limits, their rates, and the false alarm rate with its standard error."""
        fields = {name: limits[:, i : i + 1] for i, name in enumerate(("gain", "keep"))}
        flags = outputs_of(node, fields, self.streams)[:, :, 1]
        normal = ~self.truth
        for (gain, keep), found in zip(limits.tolist(), flags, strict=True):
            rates = flag_rates(self.truth, found)
            # runs are few, and one of them has many false alarms in a row
            error = standard_error(found[normal].astype(np.int64), self.whose[normal])
            yield {"gain": gain, "keep": keep}, rates, rates.far + error


def _weighed(node: Residual, runs: _Runs, max_far: float) -> NDArray[np.int16]:
    """Return weights of a higher F1: each is changed in turn, and stays so if that gains."""

    def f1(weight: NDArray[np.int16]) -> float:
        rated = runs.rated(replace(node, weight=weight), LIMITS[LIMITS[:, 1] == 1 << FRACTION])
        return max((rates.f1 for _, rates, far in rated if far <= max_far), default=0.0)

    weight = node.weight
    best = f1(weight)
    for value, factor in [(v, f) for _ in range(PASSES) for v in range(node.size) for f in FACTORS]:
        share = weight.astype(float)
        share[value] *= factor
        if not share.any():
            continue
        tried = _shares(share)
        if (found := f1(tried)) > best + LEAST_GAIN:
            weight, best = tried, found
    return weight


def _shares(parts: NDArray[Any]) -> NDArray[np.int16]:
    """Return weights in the ratio of parts, as large as they may be."""
    return np.floor(parts / parts.sum() * ((1 << FRACTION) - 1)).astype(np.int16)


def _read(program: Program, recording: "Recording") -> NDArray[np.int16]:
    """Return what the layer reads: forecasts and what came, [time, 2 channels]."""
    x = program.quantize_input(recording.x[None])
    return np.concatenate([program.run(x)[0], x[0]], axis=1)


def _begin(recording: "Recording", length: int) -> "Recording":
    return replace(recording, x=recording.x[:length], target=None)


def _weights(node: Residual, train: list[tuple[NDArray[np.int16], NDArray[np.bool_]]]) -> Any:
    """Return weights by which the smoothed errors are alike, on average, while the layer learns."""
    # a layer of each value alone, whose score is its smoothed error
    alone = np.eye(node.size, dtype=np.int64) * ((1 << FRACTION) - 1)
    scores = outputs_of(node, {"weight": alone}, [x for x, _ in train])[:, :, 0]
    begun = np.concatenate([np.arange(len(x)) >= node.wait for x, _ in train])
    normal = begun & ~np.concatenate([flags for _, flags in train])
    usual = scores[:, normal].mean(axis=1) if normal.any() else np.ones(node.size)
    return _shares(1 / np.maximum(usual, 0.5))


def _in_units_of_input(program: Program, change: bool) -> Program:
    """Return the program whose forecasts count in the units of its input, 16 bits of them."""
    head = program.nodes[-1]
    plain = isinstance(head, Linear) and not head.matrix.factor and not head.matrix.threshold
    if program.window or not plain or program.outputs != program.inputs:
        raise CompressError(
            f"an anomaly score reads a forecast of each of {program.inputs} channels at every "
            "sample: the program must end with a linear layer of as many outputs, and have no "
            "windows"
        )
    assert isinstance(head, Linear)
    form, matrix = program.input, head.matrix
    unit = form.scale.astype(float) * 2.0 ** (form.bits - 16)
    scale, offset = np.ones(program.outputs), np.zeros(program.outputs)
    if program.output is not None:
        scale, offset = np.array(program.output.scale), np.array(program.output.offset)
    if not change:
        offset = offset - form.offset
    gain = gain_of(matrix) * scale * program.output_scale / unit
    bias = matrix.bias + offset / unit / np.where(gain == 0, 1, gain)
    shift = max(1, int(np.ceil(np.log2(max(float(np.abs(gain).max()), 2.0**-31)))) + 2)
    if shift > 15:
        raise CompressError(
            f"a unit of a forecast is {gain.max():.3g} times one of its channel: give the scale of "
            "forecasts in the units of the data"
        )
    rows = Matrix(
        weight=matrix.weight,
        bias=np.clip(np.round(bias), -(2.0**31), 2.0**31 - 1).astype(np.int32),
        multiplier=np.round(gain * 2.0 ** (32 - shift)).astype(np.int32),
        shift=shift,
        input_bits=matrix.input_bits,
    )
    return replace(program, nodes=(*program.nodes[:-1], replace(head, matrix=rows)))

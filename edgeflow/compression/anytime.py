"""Early exit: thresholds that validation subjects choose.

A window's decision may stand before its last sample where the largest output leads clearly enough
(:class:`edgeflow.program.nodes.Cutoff`). Threshold and first sample are the pair that reads the
fewest samples among those whose loss of accuracy, plus one standard error, is within what the
user allows: the loss is small and counted on few subjects, and the pair is chosen by it.
"""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.candidates import free_name
from edgeflow.errors import CompressError
from edgeflow.program import Program
from edgeflow.program.fixedpoint import INT16_MAX, Ints
from edgeflow.program.nodes import Cutoff
from edgeflow.program.nodes.cutoff import NEVER, lead, samples_until_clear

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Thresholds that are tried: this many quantiles of the leads on validation subjects.
THRESHOLDS = 100
#: First samples that are tried, as shares of the window; 0 is the first sample.
STARTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
#: Share of the samples that an early exit must save: it costs instructions and a risk itself.
LEAST_SAVED = 0.02
#: Points of the curve that metadata keeps, at most.
CURVE_POINTS = 40


@dataclass(frozen=True)
class CutoffPoint:
    """An early exit, and its effect on validation subjects.

    Parameters
    ----------
    threshold, start : int
        Of :class:`edgeflow.program.nodes.Cutoff`.
    samples_read : float
        Mean over the windows.
    accuracy : float
        0..1.
    drop_points : float
        Percentage points below the accuracy of reading each window to its end.
    error_points : float
        Standard error of `drop_points`: over windows or over subjects, whichever is larger.
    """

    threshold: int
    start: int
    samples_read: float
    accuracy: float
    drop_points: float
    error_points: float


def cutoff_curve(program: Program, dataset: "Dataset", split: str = "val") -> list[CutoffPoint]:
    """Return the points that no other beats in samples read and in loss plus standard error.

    Parameters
    ----------
    program : Program
        With windows; an early exit that it has is not looked at.
    dataset : Dataset
        With the program's classes.
    split : str
        Whose windows.

    Returns
    -------
    list of CutoffPoint
        The fewest samples first; the last one loses nothing.

    Raises
    ------
    CompressError
        If the program has no windows or fewer than two classes, or the classes differ.
    DataError
        If nobody is in the split.
    """
    whole = program.without_cutoff()
    _check(whole, dataset)
    windows = dataset.windows(split, length=whole.window)
    y = whole.run(whole.quantize_input(windows.x))
    leads = lead(y)
    tried = np.unique(np.quantile(leads, np.linspace(0, 1, THRESHOLDS), method="higher"))
    starts = sorted({min(max(1, round(share * whole.window)), INT16_MAX) for share in STARTS})
    right = whole.task.right(y, windows.y)
    points = [_point(leads, right, windows.person, NEVER, 1)]
    for start in starts:
        points += [_point(leads, right, windows.person, int(t), start) for t in tried]
    points.sort(key=lambda p: (p.samples_read, _bound(p)))
    front: list[CutoffPoint] = []
    for point in points:
        if not front or _bound(point) < _bound(front[-1]):
            front.append(point)
    return front


def with_cutoff(program: Program, dataset: "Dataset", max_drop: float) -> Program:
    """Add the early exit that reads the fewest samples for a loss of at most `max_drop` points.

    Parameters
    ----------
    program : Program
        With windows; an early exit that it has is replaced.
    dataset : Dataset
        Its validation subjects decide.
    max_drop : float
        Percentage points, not negative: bound of the loss plus its standard error.

    Returns
    -------
    Program
        Its metadata holds under "cutoff" `max_drop`, the chosen point and the "curve"; without an
        early exit, and "chosen" None, where none saves 2 % of the samples within `max_drop`.

    Raises
    ------
    CompressError
        As `cutoff_curve`, and if `max_drop` is negative or not finite.
    """
    if not 0 <= max_drop < np.inf:
        raise CompressError(f"an early exit may lose {max_drop} points: give 0 or more")
    whole = program.without_cutoff()
    curve = cutoff_curve(whole, dataset)
    # the last point loses nothing
    best = next(point for point in curve if _bound(point) <= max_drop)
    pays = best.samples_read <= (1 - LEAST_SAVED) * whole.window
    chosen = asdict(best) if pays else None
    shown = [asdict(point) for point in curve[:: 1 + len(curve) // CURVE_POINTS]]
    found = {"max_drop": max_drop, "chosen": chosen, "curve": shown}
    metadata: dict[str, Any] = {**whole.metadata, "cutoff": found}
    if not pays:
        return replace(whole, metadata=metadata)
    node = Cutoff(free_name(whole, "cutoff"), whole.outputs, best.threshold, best.start)
    return whole.then(node, metadata=metadata)


def decide(
    program: Program, outputs: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """Return outputs of a program with or without an early exit, from outputs without.

    Parameters
    ----------
    outputs : int16 array [n, time, size]
        Of ``program.without_cutoff()``.

    Returns
    -------
    outputs : int16 array [n, size]
        At the end of each window, where an early exit holds those that it took.
    read : int64 array [n]
        Samples that were read.
    """
    n, time = outputs.shape[:2]
    read = np.full(n, time) if program.cutoff is None else program.cutoff.samples_read(outputs)
    return outputs[np.arange(n), read - 1], read


def _check(program: Program, dataset: "Dataset") -> None:
    if program.window == 0:
        raise CompressError(
            "an early exit needs windows, which it cuts short: train without --mode streaming"
        )
    if program.outputs < 2:
        raise CompressError("an early exit compares classes: the model has one output")
    if not program.classes:
        raise CompressError("an early exit compares classes: the model has none")
    if list(program.classes) != list(dataset.classes):
        raise CompressError(
            f"the program's classes ({', '.join(program.classes)}) are not those of "
            f"'{dataset.name}' ({', '.join(dataset.classes)})"
        )


def _point(
    leads: Ints, right: NDArray[np.bool_], subject: NDArray[Any], threshold: int, start: int
) -> CutoffPoint:
    read = samples_until_clear(leads, threshold, start)
    early = right[np.arange(len(right)), read - 1]
    lost = right[:, -1].astype(np.int64) - early
    return CutoffPoint(
        threshold=threshold,
        start=start,
        samples_read=float(read.mean()),
        accuracy=float(early.mean()),
        drop_points=100 * float(lost.mean()),
        error_points=100 * standard_error(lost, subject),
    )


def standard_error(values: NDArray[np.int64], subject: NDArray[Any]) -> float:
    """Return the standard error of a mean: over all values or over subjects, the larger one.

    Windows of one subject are alike: few subjects say less than their many windows seem to.

    Parameters
    ----------
    values : array [n]
    subject : array [n]
        Of each value.
    """
    apart = values - values.mean()
    names, place = np.unique(subject, return_inverse=True)
    of_subjects = np.bincount(place, weights=apart)
    squares = [float((apart**2).sum())]
    if len(names) > 1:
        squares.append(float((of_subjects**2).sum()) * len(names) / (len(names) - 1))
    return float(np.sqrt(max(squares))) / len(values)


def _bound(point: CutoffPoint) -> float:
    return point.drop_points + point.error_points

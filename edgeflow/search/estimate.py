"""What a search will take, told before it: the share of the space within the limits, and hours."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edgeflow.errors import CompressError
from edgeflow.search.candidate import UNSUITED, Candidate, costs_before
from edgeflow.search.evaluate import Context, evaluate, without_test
from edgeflow.search.rungs import ETA, Rung
from edgeflow.search.search import Settings
from edgeflow.search.study import points

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Points that are drawn.
POINTS = 60


@dataclass(frozen=True)
class Estimate:
    """What a search will take.

    Parameters
    ----------
    points : int
        Points of the space that were drawn by chance.
    feasible : float
        Share of them that the formula does not reject.
    unsuited : float
        Share of them that are no model, such as steps that do not go together.
    beyond : dict
        Share beyond each limit.
    candidates : list of float
        That come to each rung.
    trainings : float
        In all.
    seconds : float
        Of a core, for an epoch of training and one of fine-tuning, of a model within the limits.
    hours : float
        On the clock, if nothing else runs: of trainings alone.
    """

    points: int
    feasible: float
    unsuited: float
    beyond: dict[str, float]
    candidates: list[float]
    trainings: float
    seconds: float
    hours: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def estimate(
    dataset: "Dataset", settings: Settings, *, trials: int, workers: int, number: int = POINTS
) -> Estimate:
    """Return what a search will take, by points that are drawn by chance and one short training.

    Parameters
    ----------
    trials, workers : int
        As of `search`; of workers their number.
    number : int
        Points.

    Raises
    ------
    CompressError
        If no point is within the limits.
    """
    seen, rungs, objectives = without_test(dataset), settings.space.rungs, settings.of(dataset)
    good: list[Candidate] = []
    unsuited, beyond = 0, dict.fromkeys(objectives.limited, 0)
    for point in points(settings.space, number, settings.seed):
        candidate = Candidate.of(settings.space.tables(point))
        try:
            costs = costs_before(candidate, rungs[-1], seen, settings.board, settings.limits)
        except UNSUITED:
            unsuited += 1
            continue
        if not costs.excluded(settings.limits):
            good.append(candidate)
        for name, excess in settings.limits.excess(costs.figures).items():
            beyond[name] += excess > costs.errors[name]
    if not good:
        raise CompressError(
            f"none of {number} points of the space is within the limits: raise them, or give a "
            "space with smaller models"
        )
    context = Context(seen, settings.board, settings.limits, measured=False)
    tried = evaluate(context, "estimate", good[0], Rung(1, 1), 0, False)
    came = [trials / ETA**rung for rung in range(len(rungs))]
    trainings = [n * rung.seeds for n, rung in zip(came, rungs, strict=True)]
    each = [tried.seconds * (r.epochs + r.tuning) / 2 * r.subjects for r in rungs]
    hours = sum(n * s for n, s in zip(trainings, each, strict=True)) / 3600 / workers
    return Estimate(
        number, len(good) / number, unsuited / number,
        {name: count / number for name, count in beyond.items()},
        came, sum(trainings), tried.seconds, hours,
    )  # fmt: skip

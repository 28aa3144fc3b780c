"""Objectives and limits of a search: what is the better, and what is allowed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.errors import CompressError
from edgeflow.recipes.limits import Limits
from edgeflow.search.candidate import LIMITED
from edgeflow.search.evaluate import Result
from edgeflow.search.rungs import Place
from edgeflow.tasks import Metric

#: Costs that may be an objective.
COSTS = ("instructions", "flash", "ram", "energy_uj")


@dataclass(frozen=True)
class Objectives:
    """The score of the task first, then costs.

    Parameters
    ----------
    metric : Metric
        Of the score.
    limits : Limits
    costs : tuple of str
        Of `COSTS`.
    """

    metric: Metric
    limits: Limits
    costs: tuple[str, ...] = ("instructions",)

    def __post_init__(self) -> None:
        for name in self.costs:
            if name not in COSTS:
                raise CompressError(f"--objectives {name}: use some of {', '.join(COSTS)}")

    @property
    def directions(self) -> dict[str, str]:
        """ "maximize" or "minimize" by objective."""
        own = "maximize" if self.metric.higher_is_better else "minimize"
        return {self.metric.name: own, **dict.fromkeys(self.costs, "minimize")}

    @property
    def limited(self) -> list[str]:
        """Costs that are limited."""
        return [name for name in LIMITED if getattr(self.limits, name) is not None]

    def summary(self, results: Sequence[Result]) -> dict[str, Any]:
        """Return what a rung gave, as means over seeds, JSON values.

        It is "score", "error" (standard error over subjects of their means), "worst" (the worst
        subject's mean), "figures", "seconds" (of all), "scores" (by seed).
        """
        scores = [float(r.score) for r in results if r.score is not None]
        subjects = {
            name: float(np.mean([r.subjects[name] for r in results]))
            for name in results[0].subjects
        }
        figures = {}
        for name in results[0].figures:
            values = [value for r in results if (value := r.figures[name]) is not None]
            figures[name] = float(np.mean(values)) if len(values) == len(results) else None
        worst = self.metric.worst(subjects)
        return {
            "score": float(np.mean(scores)),
            "error": Result(0.0, subjects).error,
            "worst": None if worst is None else worst[1],
            "figures": figures,
            "seconds": float(sum(r.seconds for r in results)),
            "scores": scores,
        }

    def values(self, summary: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the objectives of a rung's summary."""
        figures = summary["figures"]
        return (summary["score"], *(self._cost(figures, name) for name in self.costs))

    def place(self, summary: Mapping[str, Any]) -> Place:
        """Return the place of a rung's summary."""
        others = self.values(summary)[1:]
        return Place(self.metric.cost(summary["score"]), summary["error"], others)

    def constraints(self, figures: Mapping[str, float | None]) -> dict[str, float]:
        """Return the excess over each limit, as a share of it; <= 0: within."""
        return {
            name: value / getattr(self.limits, name) - 1
            for name in self.limited
            if (value := figures.get(name)) is not None
        }

    def within(self, summary: Mapping[str, Any]) -> bool:
        """Tell whether a rung's summary is within the limits."""
        return not self.limits.excess(summary["figures"])

    def _cost(self, figures: Mapping[str, float | None], name: str) -> float:
        value = figures.get(name)
        if value is None:
            raise CompressError(
                f"--objectives {name}: it is not known on this board: choose another objective"
            )
        return value


def best_seed(summary: Mapping[str, Any], metric: Metric) -> int:
    """Return the seed of a rung's summary whose score is best."""
    scores = summary["scores"]
    return min(range(len(scores)), key=lambda seed: metric.cost(scores[seed]))

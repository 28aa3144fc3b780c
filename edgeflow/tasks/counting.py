"""Counting: how many repetitions a recording has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.tasks.output import Scale
from edgeflow.tasks.task import Loss, Metric, Scores, Table, Task


@dataclass(frozen=True)
class Counting(Task):
    """Repetitions since the beginning of a recording, as `edgeflow.program.nodes.Count` gives them.

    Targets are float32 [time, 1]: what is known of the count at each step, NaN where nothing is, as
    before the end of a set whose total alone is known. Steps without a target are not scored.
    """

    name: ClassVar[str] = "counting"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("within_one", "sets counted within one repetition", "%"),
        Metric("count_mae", "mean error of the count", "repetitions", higher_is_better=False),
    )

    losses: ClassVar[Mapping[str, Loss]] = {}
    instead: ClassVar[str] = "the phase of a repetition, with --task phase"

    @property
    def size(self) -> int:
        return 1

    @property
    def per_step(self) -> bool:
        return True

    def decide(self, outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[Any]:
        return outputs[..., 0].astype(np.float64)

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        real = truth.reshape(-1)
        known = np.isfinite(real)
        if not known.any():
            return {"within_one": 0.0, "count_mae": 0.0}
        real, counted = real[known], decided.reshape(-1)[known]
        return {
            "within_one": metrics.within(real, counted),
            "count_mae": metrics.mae(counted - real),
        }

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        """Return the scores, and under "errors" how often a count was off by how much."""
        found = super().scores(truth, decided, subjects)
        real = truth.reshape(-1)
        known = np.isfinite(real)
        off = np.rint(decided.reshape(-1)[known] - real[known]).astype(np.int64)
        values, times = np.unique(off, return_counts=True)
        found["overall"]["errors"] = {
            f"{value:+d}": int(n) for value, n in zip(values, times, strict=True)
        }
        for name, scores in found["subjects"].items():
            mine = np.asarray(subjects).astype(str) == name
            scores["counts"] = int((known & mine).sum())
        return found

    def tables(self, run: Mapping[str, Any]) -> list[Table]:
        metrics_ = run["metrics"]
        errors = metrics_["overall"].get("errors", {})
        total = sum(errors.values())
        rows = [[error, f"{n:,}"] for error, n in errors.items()]
        bars: list[float | None] = [100 * n / total for n in errors.values()]
        people = [
            [name, f"{one.get('counts', 0):,}", *(m.text(one[m.name]) for m in self.metrics)]
            for name, one in metrics_["subjects"].items()
        ]
        heads = ["subject", "counts known", *(metric.label for metric in self.metrics)]
        return [
            Table("Counted less true", ["repetitions", "counts", "share"], rows, bars),
            Table("Counts by subject", heads, people),
        ]

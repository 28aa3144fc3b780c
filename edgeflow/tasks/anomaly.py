"""Anomalies: a flag for each step of a stream, from a score and its limit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.tasks.output import Scale, real_values
from edgeflow.tasks.task import Loss, Metric, Scores, Task


@dataclass(frozen=True)
class Anomaly(Task):
    """Whether each step is anomalous. Targets are int64 [time], 0 or 1.

    Outputs are the score and the flag that `edgeflow.program.nodes.Residual` gives.

    Parameters
    ----------
    rate_hz : float
        Samples per second, of the delay; 0: not known.
    """

    rate_hz: float = 0.0

    name: ClassVar[str] = "anomaly"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("f1", "F1"),
        Metric("far", "false alarm rate", "%", higher_is_better=False),
        Metric("mar", "missed alarm rate", "%", higher_is_better=False),
    )
    more_metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("auc", "area under the ROC curve"),
        Metric("delay_s", "median delay of detection", "s", higher_is_better=False, digits=1),
        Metric("detected", "anomalies detected", "%"),
    )

    losses: ClassVar[Mapping[str, Loss]] = {}

    @property
    def size(self) -> int:
        return 2

    @property
    def per_step(self) -> bool:
        return True

    def decide(self, outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[Any]:
        """Return score and flag of each step, [..., 2]."""
        decided = outputs.astype(np.float64)
        decided[..., 0] = real_values(outputs, scale)[..., 0]
        return decided

    def right(self, outputs: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (outputs[..., 1] > 0) == (truth > 0)
        return found

    def agreement(self, decided: NDArray[Any], other: NDArray[Any]) -> float | None:
        return float((decided[..., 1] == other[..., 1]).mean())

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        found = metrics.flag_rates(truth, decided[..., 1] > 0)
        # without normal or anomalous steps there is nothing to falsely flag, or to miss
        return {name: 0.0 if math.isnan(v) else float(v) for name, v in found._asdict().items()}

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        found = super().scores(truth, decided, subjects)
        area = metrics.area_under_roc(truth, decided[..., 0])
        waited = metrics.delays(truth, decided[..., 1] > 0)
        seen = [one for one in waited if one is not None]
        delay = float(np.median(seen)) / self.rate_hz if seen and self.rate_hz else None
        found["overall"] |= {
            "auc": None if math.isnan(area) else area,
            "delay_s": delay,
            "detected": len(seen) / len(waited) if waited else None,
        }
        return found

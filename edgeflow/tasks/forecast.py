"""Forecasts: how much each of several series will have changed, some time from now.

The outputs are changes from the present value, which whoever asks has; so a model need not carry
levels through its states, and what it forecasts is the same wherever the series is. Errors of the
change are those of the value itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.tasks.output import OutputFormat
from edgeflow.tasks.regression import LOSSES, common_unit
from edgeflow.tasks.task import Loss, Metric, Scores, Table, Task

if TYPE_CHECKING:
    from torch import Tensor

#: Forecasts beside which a model's errors are always shown: that nothing changes, and a ridge
#: regression on the last samples (`edgeflow.data.forecasts`).
BASELINES = ("hold", "linear")


@dataclass(frozen=True)
class Forecast(Task):
    """Changes of series from now to each of several horizons.

    Outputs, and the first columns of targets, are those of the first horizon, series by series,
    then of the next. Targets go on with what scores need: each series' distance from its mean over
    the recording, [series], and the changes that the linear baseline forecasts [size].

    Parameters
    ----------
    series, units : tuple of str [series]
    steps : tuple of int [horizons]
        Samples from now.
    rate_hz : float
        Samples per second; 0 if unknown.
    along : bool
        Whether each series turns and scales with the channel in its place: channels themselves, or
        positions beside velocities.
    """

    series: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    rate_hz: float = 0.0
    along: bool = False

    name: ClassVar[str] = "forecast"
    losses: ClassVar[Mapping[str, Loss]] = LOSSES
    invariant: ClassVar[tuple[str, ...]] = ("noise",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Mean over the horizons of nRMSE, RMSE and MAE, and the nRMSE of each baseline.

        The error of a step is the distance over all series, if they share a unit.
        """
        unit = common_unit(self.units)
        values = [("rmse", "RMSE"), ("mae", "MAE")] if unit is not None else []
        return (
            Metric("nrmse", "nRMSE", higher_is_better=False),
            *(Metric(key, label, unit or "", higher_is_better=False) for key, label in values),
            *(
                Metric(f"nrmse_{one}", f"nRMSE of {one}", higher_is_better=False)
                for one in BASELINES
            ),
        )

    @property
    def size(self) -> int:
        return len(self.steps) * len(self.series)

    @property
    def per_step(self) -> bool:
        return True

    @property
    def follows(self) -> bool:
        return self.along

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(f"{name} in {when}" for when in self.horizons for name in self.series)

    @property
    def horizons(self) -> tuple[str, ...]:
        """The horizons as texts."""
        rate = self.rate_hz
        return tuple(f"{n / rate:.3g} s" if rate else f"{n} steps" for n in self.steps)

    def wanted(self, targets: "Tensor") -> "Tensor":
        return targets[..., : self.size]

    def output_format(self, targets: NDArray[Any]) -> OutputFormat:
        return OutputFormat.of(targets[:, : self.size], self.units * len(self.steps))

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        found = list(self._horizons(truth, decided).values())
        of_all = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        return {metric.name: of_all[metric.name] for metric in self.metrics}

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        found = super().scores(truth, decided, subjects)
        found["overall"]["horizons"] = self._horizons(truth, decided)
        return found

    def _horizons(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, dict[str, float]]:
        """Return the scores of each horizon, of the model and of the baselines."""
        n, width, size = len(truth), len(self.series), self.size
        wide = truth.astype(np.float64)
        change, level = wide[:, :size], wide[:, size : size + width]
        found = {"": decided.reshape(n, size), "hold": np.zeros_like(change)}
        found["linear"] = wide[:, size + width :]
        by_horizon: dict[str, dict[str, float]] = {}
        for h, when in enumerate(self.horizons):
            own = slice(h * width, (h + 1) * width)
            spread, scores = level + change[:, own], by_horizon.setdefault(when, {})
            for baseline, forecast in found.items():
                error, end = forecast[:, own] - change[:, own], f"_{baseline}" if baseline else ""
                distance = np.sqrt(np.square(error).sum(axis=1))
                scores |= {
                    f"nrmse{end}": metrics.nrmse(error, spread),
                    f"rmse{end}": metrics.rmse(distance),
                    f"mae{end}": metrics.mae(distance),
                }
        return by_horizon

    def tables(self, run: Mapping[str, Any]) -> list[Table]:
        names = ("model", *BASELINES)
        rows = list(self._rows(run["metrics"]["overall"]["horizons"]))
        columns = ["horizon", *(f"nRMSE of {one}" for one in names)]
        if common_unit(self.units) is not None:
            columns += [f"RMSE of {one}" for one in names] + ["MAE of model"]
        return [Table("Errors by horizon", columns, rows)]

    def _rows(self, found: Mapping[str, Mapping[str, float]]) -> Iterator[list[str]]:
        unit, ends = common_unit(self.units), ("", *(f"_{one}" for one in BASELINES))
        for when, one in found.items():
            row = [when, *(f"{one[f'nrmse{end}']:.3f}" for end in ends)]
            if unit is not None:
                values = [*(one[f"rmse{end}"] for end in ends), one["mae"]]
                row += [f"{value:.3f} {unit}".rstrip() for value in values]
            yield row

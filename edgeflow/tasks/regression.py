"""Regression: one or several numbers, for each window or recording, or for each step.

Training normalises the targets over its subjects; decisions and scores are in their units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow import metrics
from edgeflow.tasks.output import OutputFormat
from edgeflow.tasks.task import Loss, Metric, Scores, Table, Task, squared_error

if TYPE_CHECKING:
    from torch import Tensor


def huber(outputs: "Tensor", target: "Tensor") -> "Tensor":
    """Return Huber's loss [n, time]: squared up to an error of 1, a deviation, then linear."""
    from torch.nn import functional

    wanted = target.reshape(len(target), -1, outputs.shape[2]).expand_as(outputs)
    return functional.huber_loss(outputs, wanted, reduction="none").mean(dim=2)


#: Of values, by name.
LOSSES: Mapping[str, Loss] = {"squared-error": squared_error, "huber": huber}


def common_unit(units: tuple[str, ...]) -> str | None:
    """Return the unit of all values; None if they differ."""
    return units[0] if len(set(units)) == 1 else None


@dataclass(frozen=True)
class Regression(Task):
    """Numbers, such as angles or a heart rate.

    Parameters
    ----------
    names, units : tuple of str [values]
        One per output. Targets are float32 [n, values], or [n] of one.
    steps : bool
        Whether each step has targets of its own.
    along : bool
        Whether forecasts of them turn and scale with the channels in their places.
    """

    names: tuple[str, ...] = ("value",)
    units: tuple[str, ...] = ("",)
    steps: bool = False
    along: bool = False

    name: ClassVar[str] = "regression"
    losses: ClassVar[Mapping[str, Loss]] = LOSSES
    invariant: ClassVar[tuple[str, ...]] = ("noise",)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """RMSE, MAE, R2 and nRMSE; of values in several units only those that have none."""
        unit = common_unit(self.units)
        free = (Metric("r2", "R2"), Metric("nrmse", "nRMSE", higher_is_better=False))
        if unit is None:
            return free[::-1]
        rmse = Metric("rmse", "RMSE", unit, higher_is_better=False)
        return (rmse, Metric("mae", "MAE", unit, higher_is_better=False), *free)

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def per_step(self) -> bool:
        return self.steps

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.names

    def output_format(self, targets: NDArray[Any]) -> OutputFormat:
        return OutputFormat.of(targets, self.units)

    def score(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, float]:
        found = self._values(truth, decided)
        of_all = {key: float(np.mean([one[key] for one in found.values()])) for key in _KEYS}
        error = _wide(decided, self.size) - _wide(truth, self.size)
        if common_unit(self.units) is not None:
            of_all |= {"rmse": metrics.rmse(error), "mae": metrics.mae(error)}
        return {metric.name: of_all[metric.name] for metric in self.metrics}

    def scores(self, truth: NDArray[Any], decided: NDArray[Any], subjects: ArrayLike) -> Scores:
        found = super().scores(truth, decided, subjects)
        found["overall"]["values"] = self._values(truth, decided)
        return found

    def _values(self, truth: NDArray[Any], decided: NDArray[Any]) -> dict[str, dict[str, float]]:
        """Return the scores of each value by its name."""
        true = _wide(truth, self.size)
        error, spread = _wide(decided, self.size) - true, true - true.mean(axis=0)
        return {
            name: {
                "rmse": metrics.rmse(error[:, i]),
                "mae": metrics.mae(error[:, i]),
                "r2": metrics.r2(error[:, i], spread[:, i]),
                "nrmse": metrics.nrmse(error[:, i], spread[:, i]),
            }
            for i, name in enumerate(self.names)
        }

    def tables(self, run: Mapping[str, Any]) -> list[Table]:
        found = run["metrics"]["overall"]["values"]
        rows = [
            [name, f"{one['rmse']:.3f} {unit}".rstrip(), f"{one['mae']:.3f} {unit}".rstrip(),
             f"{one['r2']:.3f}", f"{one['nrmse']:.3f}"]
            for (name, one), unit in zip(found.items(), self.units, strict=True)
        ]  # fmt: skip
        return [Table("Errors by value", ["value", "RMSE", "MAE", "R2", "nRMSE"], rows)]


_KEYS = ("rmse", "mae", "r2", "nrmse")


def _wide(values: NDArray[Any], size: int) -> NDArray[np.float64]:
    return values.reshape(len(values), size).astype(np.float64)

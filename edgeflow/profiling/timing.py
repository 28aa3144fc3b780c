"""Cycles, latency and energy of a run: measured or estimated, with the error of the estimate."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.profiling.counts import Counts
from edgeflow.profiling.models import CycleModel
from edgeflow.profiling.result import ESTIMATED, MEASURED, summarize
from edgeflow.targets.part import Part


@dataclass(frozen=True)
class Timing:
    """Cycles and latency of each step, float64 [steps], and where they are from.

    Attributes
    ----------
    cycles, latency_us
        None where they are not known.
    kind
        ``measured``, or ``estimated`` by `model` for `part`.
    error_percent
        Of estimated cycles, by published figures; None: not known.
    rtl
        The RTL that cycles were measured on; None: they are of a chip, or estimated.
    """

    cycles: np.ndarray | None = None
    latency_us: np.ndarray | None = None
    kind: str = MEASURED
    model: CycleModel | None = None
    part: Part | None = None
    error_percent: float | None = None
    rtl: str | None = None

    def summary(self, values: np.ndarray | None) -> dict[str, Any] | None:
        """Return statistics of cycles or latency with their kind, model and error."""
        if values is None:
            return None
        label = None
        if self.model is not None and self.part is not None:
            label = f"{self.model.name} on {self.part.name}"
        return {
            **summarize(values),
            "kind": self.kind,
            "model": label,
            "error_percent": self.error_percent,
            **({} if self.rtl is None else {"rtl": self.rtl}),
        }

    def energy(self, part: Part | None) -> dict[str, Any] | None:
        """Return the mean energy per step in microjoules; None without a calibration.

        Always an estimate, also of measured cycles. Its error is the worst of both: cycles and
        energy per cycle that are wrong in one direction.
        """
        if self.cycles is None or part is None or part.energy is None:
            return None
        label = f"{part.energy.pj_per_cycle:g} pJ/cycle of {part.name}"
        cycles_error, error = self.error_percent, part.energy_error_percent
        if self.model is not None:
            label = f"{self.model.name}, {label}"
        else:
            cycles_error = 0.0
        return {
            "mean": float(self.cycles.mean()) * part.energy.pj_per_cycle / 1e6,
            "kind": ESTIMATED,
            "model": label,
            "error_percent": worst_of_both(cycles_error, error),
        }

    def provenance(self, weights: str = "flash") -> dict[str, Any] | None:
        """Return the basis of an estimate; None where all was measured.

        `weights` is the memory that the image keeps the model's constants in.
        """
        part, model = self.part, self.model
        if part is None or model is None:
            return None
        return {
            "part": part.name,
            "description": part.description,
            "clock_hz": part.clock_hz,
            "supply_v": part.supply_v,
            "flash_wait_states": part.flash.wait_states if part.flash else 0,
            "weights": weights,
            "pj_per_cycle": part.energy.pj_per_cycle if part.energy else None,
            "energy_error_percent": part.energy_error_percent,
            "cycle_model": model.name,
            "cycle_model_of": model.models,
            "cycle_error_percent": self.error_percent,
            "cycle_error_rtl": len(model.rtl_checks),
            "confidence": model.confidence,
            "validation": [
                {**check.model_dump(), "error_percent": check.error_percent}
                for check in model.validation
            ],
            "limits": model.limits,
            "sources": [
                *model.sources,
                *(part.flash.sources if part.flash else []),
                *(part.energy.sources if part.energy else []),
                *(f"{check.source}: {check.workload}" for check, _ in part.energy_checks()),
            ],
        }


def worst_of_both(cycles_error: float | None, energy_error: float | None) -> float | None:
    """Return the error in percent of cycles times energy per cycle; None if one is not known."""
    if cycles_error is None or energy_error is None:
        return None
    return 100 * ((1 + cycles_error / 100) * (1 + energy_error / 100) - 1)


def estimated_timing(counts: Counts, cycles: np.ndarray, model: CycleModel, part: Part) -> Timing:
    """Return the timing of `counts` by cycles of each layer, float64 [steps, layers]."""
    total = cycles.sum(axis=1)
    latency = total * 1e6 / part.clock_hz
    return Timing(total, latency, ESTIMATED, model, part, model.error_on(counts))

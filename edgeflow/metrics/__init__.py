"""Figures of merit of decisions, computed from integers, labels and values with numpy alone."""

from edgeflow.metrics.anomalies import Flags, area_under_roc, delays, flag_rates
from edgeflow.metrics.classification import (
    accuracy,
    confusion,
    lowest_recall,
    macro_f1,
    mcc,
    recall,
)
from edgeflow.metrics.counts import within
from edgeflow.metrics.events import Event, Matched, events_of, match, runs_of
from edgeflow.metrics.segments import segmental_f1
from edgeflow.metrics.sides import one_side, side_by_side
from edgeflow.metrics.values import mae, nrmse, r2, rmse
from edgeflow.metrics.ward import Wards, WardSteps, ward, ward_steps
from edgeflow.metrics.warmup import ENOUGH, samples_to_enough

__all__ = [
    "ENOUGH", "Event", "Flags", "Matched", "WardSteps", "Wards", "accuracy", "area_under_roc",
    "confusion", "delays", "events_of", "flag_rates", "lowest_recall", "macro_f1", "mae", "match",
    "mcc", "nrmse", "one_side", "r2", "recall", "rmse", "runs_of", "samples_to_enough",
    "segmental_f1", "side_by_side", "ward", "ward_steps", "within",
]  # fmt: skip

"""What a recording of power tells of a profile: measured energy in the place of the estimate."""

from dataclasses import replace
from typing import Any

from edgeflow.energy.measure import measure
from edgeflow.energy.recording import Recording
from edgeflow.energy.steps import Expected
from edgeflow.profiling.result import MEASURED, ProfileResult


def expected_of(result: ProfileResult) -> Expected:
    """Return what ran while it was recorded."""
    latency, error = result.latency_us, 0.0
    if latency is not None:
        error = latency.get("error_percent") or 0.0
    return Expected(
        steps=result.steps,
        layers=tuple(row["name"] for row in result.layers if row["type"] is not None),
        step_s=None if latency is None else latency["mean"] * 1e-6,
        longest_s=None if latency is None else latency["max"] * 1e-6 * (1 + error / 100),
        pace_hz=result.pace_hz,
        marker_s=(result.marker_us or 0.0) * 1e-6,
    )


def with_recording(
    result: ProfileResult,
    recording: Recording,
    *,
    marker: str | None = None,
    layer_marker: str | None = None,
) -> ProfileResult:
    """Return a profile with the energy that a recording of its run tells.

    Its `power` is that of the recording, `energy_uj` of kind ``measured``, and layers have
    ``energy_uj`` where they were marked. The estimate stays, as ``power.estimated_uj``.

    Raises
    ------
    EnergyError
        As of `edgeflow.energy.measure.measure`.
    """
    expected = expected_of(result)
    found = measure(recording, expected, marker=marker, layer_marker=layer_marker)
    power: dict[str, Any] = found.to_json(expected)
    before = result.energy_uj
    if before is not None and before["kind"] == MEASURED:
        before = (result.power or {}).get("estimated_uj")
    power["estimated_uj"] = before
    energy = {key: power["energy_uj"][key] for key in ("mean", "p50", "p99", "max")}
    layers = result.layers
    if power["layers"] is not None:
        by_name = {row["name"]: row["energy_uj"] for row in power["layers"]}
        layers = [{**row, "energy_uj": by_name.get(row["name"])} for row in layers]
    measured = {**energy, "kind": MEASURED, "model": None, "error_percent": None}
    return replace(result, energy_uj=measured, power=power, layers=layers)

"""What a recording of power tells of a profile: measured energy in the place of the estimate."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeflow.energy.measure import measure
from edgeflow.energy.recording import Recording
from edgeflow.energy.steps import Expected
from edgeflow.errors import EnergyError
from edgeflow.files import output_folder, write_atomic
from edgeflow.profiling.result import MEASURED, ProfileResult
from edgeflow.profiling.run import FOLDER, PARTIAL, PARTIAL_REPORT, REPORT, RESULT


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


def profile_file(path: str | Path) -> Path:
    """Return the file of a profile, or of the folder that it is in.

    Raises
    ------
    EnergyError
        If it has another name: the report beside it would be another's.
    """
    path = Path(path)
    if path.is_dir():
        return path / RESULT
    if path.name not in (RESULT, PARTIAL):
        raise EnergyError(f"{path}: must be {RESULT} or {PARTIAL} of 'edgeflow profile'")
    return path


def save_with_report(result: ProfileResult, path: Path) -> Path:
    """Write a profile anew, and its report beside it; return the report's path."""
    from edgeflow.profiling.report import render  # pictures take a second to load

    name = PARTIAL_REPORT if path.name == PARTIAL else REPORT
    with output_folder(path.parent, FOLDER) as folder:
        result.save(folder.new / path.name)
        write_atomic(folder.new / name, render(result))
        folder.commit((path.name, name))
    return path.parent / name

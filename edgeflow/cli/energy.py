"""``edgeflow energy``: a recording of a power probe, and the profile that ran while it was made."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON
from edgeflow.errors import EnergyError

if TYPE_CHECKING:
    from edgeflow.profiling.result import ProfileResult


def command(
    recording: Path = typer.Argument(
        ..., help="A file of a power probe's program: .jls, .csv, .txt or .json (docs/energy.md)."
    ),
    profile: Path | None = typer.Option(
        None, "--profile", help="profile.json of the run that was recorded, or its folder."
    ),
    inferences: int | None = typer.Option(
        None, "--inferences", min=1, help="Instead of a profile: so many ran between two falling "
        "edges each, as in the energy mode of MLPerf Tiny.",
    ),
    marker: str | None = typer.Option(
        None, "--marker", help="Digital line that is high in a step; default: found by its edges."
    ),
    layer_marker: str | None = typer.Option(
        None, "--layer-marker", help="Digital line that changes after each layer."
    ),
    voltage: float | None = typer.Option(
        None, "--voltage", min=0.1, max=60, help="Of the supply, of a file with currents only."
    ),
    rate: float | None = typer.Option(
        None, "--rate", min=1, help="Samples a second, of a file without times."
    ),
    column: list[str] = typer.Option(
        [], "--column", help="Of a table: current=NAME, with its unit if the header has none: "
        "current='Channel 0:mA'. Also time, voltage, power.",
    ),
    format_: str | None = typer.Option(
        None, "--format", help="edgeflow, jls, lpm01a, otii, power-profiler or table. "
        "Default: by the file."
    ),
    json_: bool = JSON,
) -> None:  # fmt: skip
    """Measure energy per step and layer by a recording of the board's power.

    Steps are found by a digital line that the firmware raises from begin to end of each
    (marker_gpio of the board file), or by the pattern of the power where there is none. The
    profile gets the measured energy in the place of the estimate, and its report a picture.

    Examples:
      edgeflow energy run.jls --profile build
      edgeflow energy ppk.csv --profile build/profile.json --voltage 3.0
      edgeflow energy scope.csv --profile build --column current=CH1:mA --json
      edgeflow energy lpm01a.txt --inferences 1500
    """
    from edgeflow.energy.formats import ReadOptions, read_recording
    from edgeflow.energy.windows import between_edges
    from edgeflow.profiling.energy import with_recording
    from edgeflow.profiling.recorded import profile_file, save_with_report
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.profiling.run import check_profile

    if (profile is None) == (inferences is None):
        raise EnergyError("say what was recorded: --profile BUILD, or --inferences N between edges")
    options = ReadOptions(voltage, rate, dict(_pair(text) for text in column))
    if inferences is not None:
        found = between_edges(read_recording(recording, options, format_), inferences, marker)
        show_windows(found.to_json(), json_)
        return
    assert profile is not None
    path = profile_file(profile)
    result = ProfileResult.load(path)
    check_profile(path.parent, {"RECORDING": recording})
    read = read_recording(recording, options, format_)
    result = with_recording(result, read, marker=marker, layer_marker=layer_marker)
    report = save_with_report(result, path)
    assert result.power is not None
    if json_:
        console.print_json({key: v for key, v in result.power.items() if key != "curve"})
        return
    show(result)
    console.note(f"report: {report}")


def show_windows(told: dict[str, Any], json_: bool) -> None:
    """Print measurements between edges."""
    if json_:
        console.print_json(told)
        return
    console.table(
        f"{told['windows']} windows of {told['inferences']:,} inferences",
        ["quantity", "value", "kind"],
        [
            ["energy per inference, median", f"{told['uj_per_inference']:,.5g} µJ", "measured"],
            ["inferences a second", f"{told['inferences_per_s']:,.5g}", "measured"],
        ],
    )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not value:
        raise EnergyError(f"--column {text}: say what it is: current={text}")
    return name.strip(), value


def show(result: "ProfileResult") -> None:
    """Print what a recording tells."""
    assert result.power is not None
    power: dict[str, Any] = result.power
    rows = [[name, value, "measured"] for name, value in power_rows(power)]
    before = power["estimated_uj"]
    if before is not None:
        off = 100 * (before["mean"] / power["energy_uj"]["mean"] - 1)
        rows.append(
            ["the estimate had been", f"{before['mean']:.4g} µJ ({off:+.0f} %)", "estimated"]
        )
    console.table(f"{result.board}: {power['recording']}", ["quantity", "value", "kind"], rows)
    if power["layers"]:
        total = sum(row["energy_uj"] for row in power["layers"]) or 1.0
        console.table(
            "layers, µJ per step, on average",
            ["layer", "energy", "share"],
            [
                [row["name"], f"{row['energy_uj']:.4g}", f"{100 * row['energy_uj'] / total:.1f} %"]
                for row in power["layers"]
            ],
        )
    console.notes(power["notes"])


def power_rows(power: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts of what was measured."""
    energy = power["energy_uj"]
    rows = [(f"energy per step, {key}", f"{energy[key]:.4g} µJ") for key in ("mean", "p50", "p99")]
    rows += [
        ("steps found", f"{power['steps']:,} of {power['steps_profiled']:,}, by {power['by']}"),
        ("confidence", f"{100 * power['confidence']:.0f} %"),
        ("a step takes", f"{power['step_us']:,.1f} µs at {power['active_uw'] / 1e3:.4g} mW"),
        ("idle power", f"{power['idle_uw']:,.4g} µW"),
    ]
    if power["sleep"]["us"]:
        sleep = power["sleep"]
        rows.append(
            ("between steps", f"{sleep['energy_uj']:.4g} µJ in {sleep['us'] / 1e3:,.4g} ms")
        )
    if power["wakeup"]["us"]:
        wake = power["wakeup"]
        rows.append(("wake-up", f"{wake['energy_uj']:.4g} µJ in {wake['us']:,.0f} µs"))
    if power["marker_uj"]:
        rows.append(("marker, subtracted", f"{power['marker_uj']:.3g} µJ"))
    return rows

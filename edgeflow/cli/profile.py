"""``edgeflow profile``: a build runs on its board, every output is compared, numbers come back."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console, dataset
from edgeflow.cli.options import DATA, JSON, PORT, RUNNER, TRUST_BOARD
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.errors import CheckFailed, EdgeFlowError, EnergyError

if TYPE_CHECKING:
    from edgeflow.data import Dataset
    from edgeflow.profiling.result import ProfileResult


@with_options(reading=DataOptions)
def command(
    build: Path = typer.Argument(
        ..., help="A folder of 'edgeflow compile' or, with --port, of 'edgeflow export'."
    ),
    data: str = DATA,
    split: str = typer.Option("test", "--split", help="Whose windows: train, val or test."),
    steps: int | None = typer.Option(
        None, "--steps", min=1, help="At most this many; whole windows, taken evenly, at least 1."
    ),
    board: str | None = typer.Option(
        None, "--board", help="Instead of the board that the build was made for."
    ),
    port: str | None = PORT,
    runner: str | None = RUNNER,
    no_flash: bool = typer.Option(False, "--no-flash", help="Never write to a board, only verify."),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="Folder for profile.json and report.html; default: the build's."
    ),
    probe: str | None = typer.Option(
        None, "--probe", help="Power probe that records the run: ppk2, lpm01a, joulescope, otii or "
        "ina, with :PORT if it is not the only one. Needs a board at a --port, or a real one.",
    ),
    voltage: float | None = typer.Option(
        None, "--voltage", min=0.1, max=60, help="Of the board's supply, for --probe."
    ),
    supply: bool = typer.Option(
        False, "--supply", help="The probe powers the board, with --voltage."
    ),
    spike_filter: bool = typer.Option(
        False, "--spike-filter", help="Of ppk2: smooth what follows a change of range, as its own "
        "program does. Takes energy away.",
    ),
    paced: bool = typer.Option(
        False, "--paced", help="Send steps one by one at the data's rate, so that the board idles "
        "between them as in use.",
    ),
    pace: float | None = typer.Option(
        None, "--pace", min=0.01, max=2000, help="The same at this many steps a second."
    ),
    adapt: str | None = typer.Option(
        None, "--adapt", help="People label windows on the board, like k=3,spread or k=5,first."
    ),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
) -> None:  # fmt: skip
    """Stream data to a board; collect accuracy, mismatches, instructions, latency, memory.

    Writes profile.json and report.html; an interrupted run does not replace complete
    ones, but is in profile.partial.json. Exits with 1 if any output differs from the
    bit-exact reference's, or if the board, or the part that figures are estimated for,
    has too little memory or time for it (not after compile --any-part).

    Examples:
      edgeflow profile build --data seglearn-watch
      edgeflow profile build --data seglearn-watch --steps 2000 --json
      edgeflow profile build --data seglearn-watch --adapt k=3,spread
      edgeflow profile build --data mine.csv --port /dev/ttyACM0
      edgeflow profile gait-zephyr --data mine.csv --port /dev/ttyACM0
      edgeflow profile build --data mine.csv --paced --probe ppk2 --voltage 3.0
    """
    from edgeflow.codegen.package import load_made
    from edgeflow.device import prepare
    from edgeflow.device.probes import ProbeOptions, find_probe
    from edgeflow.profiling.adaptation import adapt_build, parse_adapt
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.profiling.run import PARTIAL, REPORT, RESULT, check_profile
    from edgeflow.profiling.run import profile as run
    from edgeflow.program.learning import read_out

    wanted = None if adapt is None else parse_adapt(adapt)
    loaded = load_made(build)
    if wanted is not None:
        read_out(loaded.program())
    spec = loaded.spec(board, trust_board=trust_board)
    folder = out if out is not None else build
    check_profile(folder, dataset.inputs(data, reading))
    window = loaded.program().window
    samples = dataset.load(data, reading, window or None)
    pace_hz = pace if pace is not None or not paced else _rate(samples)
    if probe is not None and port is None and spec.runs_here:
        raise EnergyError(f"--probe: {spec.name} runs on this computer: it has no power of its own")
    options = ProbeOptions(voltage, supply, spike_filter)
    meter = None if probe is None else find_probe(probe, options)
    if port is None:
        with console.progress() as bar:
            prepare(spec, console.stages(bar))
    before = {name: _stamp(folder / name) for name in (RESULT, PARTIAL)}
    try:
        with meter or nullcontext(), console.counting(f"profiling on {spec.name}") as on_progress:
            result = run(
                loaded, samples, split=split, steps=steps, board=spec, port=port,
                runner=runner, no_flash=no_flash, out=folder, report=True, progress=on_progress,
                pace_hz=pace_hz, probe=meter,
            )  # fmt: skip
    except (KeyboardInterrupt, EdgeFlowError):
        for name, stamp in before.items():
            if _stamp(folder / name) != stamp:
                windows = ProfileResult.load(folder / name).windows
                console.note(f"windows done: {windows}; {folder / name} has them")
        raise
    adapted = None
    if wanted is not None:
        place = {"port": port, "runner": runner, "no_flash": no_flash}
        with console.progress() as bar:
            adapted = adapt_build(
                loaded, samples, split, wanted, spec, place, progress=console.stages(bar)
            )
    show(result, folder / REPORT, json_, adapted)


def _rate(samples: "Dataset") -> float:
    if not samples.rate_hz:
        raise EnergyError(f"--paced: {samples.name} has no rate: say steps a second by --pace")
    return float(samples.rate_hz)


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def show(
    result: "ProfileResult", report: Path, json_: bool, adapted: dict[str, Any] | None = None
) -> None:
    """Print a result as JSON or as tables, and check it."""
    more = {} if adapted is None else {"adaptation": adapted}
    if json_:
        console.print_json({**result.to_json(), **more})
    else:
        _show_tables(result)
        if adapted is not None:
            _show_adapted(adapted)
        console.note(f"report: {report}")
    console.notes(note for note in result.notes if note not in result.failures)
    result.check()
    if adapted is not None and adapted["mismatches"]:
        raise CheckFailed(
            f"{adapted['mismatches']} steps and saved states on {result.board} differ from the "
            "reference after labels"
        )


def _show_adapted(adapted: dict[str, Any]) -> None:
    rows = [
        [who, one["windows"], *(f"{100 * one[key]:.1f} %" for key in ("before", "after"))]
        for who, one in adapted["people"].items()
    ]
    mean = [
        sum(one[key] for one in adapted["people"].values()) / len(rows)
        for key in ("before", "after")
    ]
    rows.append(["mean", "", *(f"{100 * value:.1f} %" for value in mean)])
    where = "over the recordings" if adapted["mode"] == "spread" else "at their beginning"
    console.table(
        f"after {adapted['k']} labelled windows of each class {where}; "
        f"{adapted['mismatches']} mismatches on the board",
        ["subject", "windows", "before", "after"],
        rows,
    )
    if (cost := adapted.get("cost")) is not None:
        console.note(
            f"a label takes {cost['instructions']['mean']:,.0f} instructions, at most "
            f"{cost['instructions']['max']:,}; learning takes {cost['ram_bytes']:,} bytes of RAM"
        )


def _show_tables(result: "ProfileResult") -> None:
    from edgeflow.profiling.report import error_text, table_rows

    run: dict[str, Any] = result.to_json()
    console.table(
        f"{result.board}: {result.board_description}",
        ["quantity", "value", "kind"],
        [[row["name"], row["cells"][0], row["kind"]] for row in table_rows([run])],
    )
    if run["layers"] and run["layers"][0]["instructions_mean"] is not None:
        console.table(
            "layers: bytes of weights and constants, instructions per step on average",
            ["layer", "type", "bytes", "instructions"],
            [
                [
                    layer["name"], layer.get("type"), layer.get("bytes"),
                    f"{layer['instructions_mean']:,.0f}",
                ]
                for layer in run["layers"]
                if layer["name"] != "(rest)" or layer["instructions_mean"] > 0
            ],
            text=("type",),
        )  # fmt: skip
    if result.estimate is not None:
        error, simulated = (result.estimate[f"cycle_error_{key}"] for key in ("percent", "rtl"))
        if error is None:
            known = "error not known: no published figure has such instructions"
        elif simulated:
            known = f"wrong by up to {error_text(error)} on RTL of the core, {simulated} models"
        else:
            known = f"wrong by up to {error_text(error)} on published figures of the core"
        console.note(
            f"estimated for {result.estimate['description']} with the cycle model "
            f"{result.estimate['cycle_model']} ({known})"
        )

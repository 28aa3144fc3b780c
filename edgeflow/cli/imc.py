"""``edgeflow imc``: programs on analog crossbars, over chips and years."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console, dataset, reservoir
from edgeflow.cli.options import DATA, JSON
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.imc.options import ArrayOptions, parse_times, time_text
from edgeflow.schema import by_field

if TYPE_CHECKING:
    from edgeflow.imc import Device, ImcResult
    from edgeflow.program import Program

app = typer.Typer(
    name="imc",
    help="Run programs on simulated analog crossbars: devices, years, energy.",
    no_args_is_help=True,
)

_MODEL = typer.Argument(..., help="A program of 'edgeflow compress'.")
_DEVICE = typer.Option(
    "pcm", "--device", help="One of 'edgeflow imc devices', or a .toml file of your own."
)


@app.command()
def devices(json_: bool = JSON) -> None:
    """List the devices: technology, conductances, times that there is data for, sources.

    Examples:
      edgeflow imc devices
      edgeflow imc devices --json
    """
    from edgeflow.imc import device_names, load_device

    found = [load_device(name) for name in device_names()]
    if json_:
        console.print_json([device.model_dump(mode="json") for device in found])
        return
    console.table(
        "Devices of analog crossbars",
        ["name", "what", "µS", "times", "unverified"],
        [
            [
                device.name, device.about, f"{device.g_min:g}..{device.g_max:g}", _times(device),
                len(device.unverified) or "",
            ]
            for device in found
        ],
        text=("what", "times"), whole=("name",),
    )  # fmt: skip
    console.note("edgeflow imc devices --json has the sources, and what is unverified")


def _times(device: "Device") -> str:
    if device.times_s:
        return ", ".join(time_text(seconds) for seconds in device.times_s)
    if device.first_s is None or device.last_s is None:
        return "any"
    return f"{time_text(device.first_s)} to {time_text(device.last_s)}"


@app.command("map")
@with_options(options=ArrayOptions)
def map_(
    model: Path = _MODEL,
    device: str = _DEVICE,
    json_: bool = JSON,
    *,
    options: dict[str, Any],
) -> None:
    """Show the arrays that a program takes: tiles, cells, columns, how full they are.

    Examples:
      edgeflow imc map model.onnx
      edgeflow imc map model.onnx --tile 64x64 --cell-bits 4 --adc 8
    """
    from edgeflow.imc import load_device
    from edgeflow.imc.layout import arrays_of

    load_device(device)
    rows = arrays_of(_program(model), _options(options))
    if json_:
        console.print_json(rows)
        return
    console.table(
        f"{model}: {len(rows)} arrays of {_options(options).tile}",
        ["matrix", "weights", "array", "inputs", "columns", "used"],
        [
            [
                row["matrix"], f"{row['rows']} x {row['inputs']}", row["array"], row["word_lines"],
                row["columns"], f"{row['used']:.1%}",
            ]
            for row in rows
        ],
    )  # fmt: skip


@app.command()
@with_options(reading=DataOptions, options=ArrayOptions)
def profile(
    model: Path = _MODEL,
    data: str = DATA,
    device: str = _DEVICE,
    chips: int = typer.Option(25, "--chips", min=1, help="Number of chips."),
    time: str | None = typer.Option(
        None,
        "--time",
        help="Times since the chips were programmed, in s, m, h, d, w, y: 1s,1h,1d,1y. "
        "Default: these, or those that the device has data of.",
    ),
    split: str = typer.Option("test", "--split", help="Whose windows: train, val or test."),
    node: float = typer.Option(
        22.0, "--node", help="Technology in nm, of the models of energy that have several."
    ),
    standby: float | None = typer.Option(
        None, "--standby", help="Power that the chip takes all the time, in W; no source says it."
    ),
    processes: int = typer.Option(1, "--processes", min=1, help="That the chips are spread over."),
    beside: Path | None = typer.Option(
        None, "--beside", help="Folder of 'edgeflow profile': the same program on a board."
    ),
    out: Path = typer.Option(
        Path("imc"), "--out", "-o", help="Folder for imc.json and report.html."
    ),
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Simulate a program on many analog chips: accuracy after a second, a day, a year.

    The same program as on a microcontroller: its weights are conductances, the rest is
    digital. Ranges of converters come from training subjects. An interrupted run keeps
    its finished chips, and the same command goes on.

    Examples:
      edgeflow imc profile model.onnx --data seglearn-watch
      edgeflow imc profile model.onnx --data mine.csv --device rram-wan --time 1d
      edgeflow imc profile model.onnx --data mine.csv --adc 8 --processes 4
    """
    from edgeflow.profiling.imc import FOLDER, REPORT, profile_on_chips
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.profiling.run import RESULT as PROFILE

    chosen, times = _options(options), None if time is None else parse_times(time)
    program = _program(model)
    FOLDER.check(out, {"MODEL": model, **dataset.inputs(data, reading)})
    samples = dataset.load(data, reading, program.window or None)
    other = None if beside is None else ProfileResult.load(beside / PROFILE)
    with console.progress() as bar:
        result = profile_on_chips(
            program, samples, out, device=device, chips=chips, times=times, options=chosen,
            split=split, node_nm=node, standby_w=standby, processes=processes, beside=other,
            progress=console.stages(bar),
        )  # fmt: skip
    if json_:
        console.print_json(result.to_json())
    else:
        _show(result)
        console.note(f"report: {out / REPORT}")
    console.notes(result.notes)


def _program(model: Path) -> "Program":
    from edgeflow.program import Program

    return Program.load(model)


def _options(given: dict[str, Any]) -> ArrayOptions:
    options = ArrayOptions(**by_field(ArrayOptions, given))
    options.check()
    return options


def _show(result: "ImcResult") -> None:
    from edgeflow.profiling.imc_report import rows

    metric = result.metric
    worse = "below" if metric.higher_is_better else "above"
    ideal = result.ideal["overall"][metric.name]
    console.table(
        f"{result.device}: {result.chips} chips, {metric.label} on {result.windows} windows of "
        f"{result.split} subjects; the program itself {metric.text(ideal)}",
        ["since programming", "mean", "sd", f"5 % of chips {worse}", "worst subject, mean"],
        rows(result),
    )
    head, *parts = result.costs["tables"]["energy"]
    title = f"energy of a step by published models (docs/imc.md), {result.costs['node_nm']:g} nm"
    table = [*zip(head[1:], parts[-1][1:], strict=True)]
    if result.beside is not None and result.beside["energy_uj"] is not None:
        board, energy = result.beside["board"], result.beside["energy_uj"]
        table.append((f"{board}, a microcontroller", f"{energy['mean']:.3g} µJ ({energy['kind']})"))
    console.table(title, ["model", "total"], table)


app.command("reservoir")(reservoir.command)

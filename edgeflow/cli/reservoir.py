"""``edgeflow imc reservoir``: a random recurrent layer that is never trained, and a ridge head."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console, dataset
from edgeflow.cli.options import DATA, JSON
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.imc.reservoir_options import ReservoirOptions
from edgeflow.schema import ARRAYS, by_field

OUT = typer.Option(..., "--out", "-o", help="Folder for the checkpoint and metrics.")


@with_options(reading=DataOptions, options=ReservoirOptions)
def command(
    data: str = DATA,
    out: Path = OUT,
    cell: str = typer.Option(
        "rnn",
        "--cell",
        help="rnn (echo state network) or lif (liquid state machine).",
        rich_help_panel=ARRAYS,
    ),
    restart: bool = typer.Option(False, "--restart", help="Begin anew in this folder."),
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Make a reservoir of random resistive memory, and try it on chips.

    The recurrent layer's weights are conductances as they come, and stay; only a linear head is
    fitted, by ridge regression, in seconds. The model is one like those of 'edgeflow train': every
    other command takes its folder. Each chip has random cells of its own, read with their noise,
    and a head of its own.

    Examples:
      edgeflow imc reservoir --data seglearn-watch -o runs/esn
      edgeflow imc reservoir --data mine.csv --cell lif --chips 25 --adc 8 -o lsm
    """
    from edgeflow.compression.reservoir import train_reservoir
    from edgeflow.training.loop import FOLDER

    FOLDER.check(out, dataset.inputs(data, reading))
    loaded = dataset.load(data, reading, options["window"])
    with console.progress() as bar:
        result = train_reservoir(
            loaded, cell, out=out, restart=restart, progress=console.stages(bar),
            **by_field(ReservoirOptions, options),
        )  # fmt: skip
    if json_:
        console.print_json(result.metrics)
        return
    _show(result.folder, result.metrics, result.model.task.headline)


def _show(folder: Path, metrics: dict[str, Any], metric: Any) -> None:
    found = metrics["reservoir"]
    design = ", ".join(
        f"{name} {found['design'][name]:g}"
        for name in ("gain", "radius", "decay")
        if found["design"][name]
    )
    title = f"{metrics['cell']} of {found['device']} on {metrics['data']}: {design}"
    rows = [
        [name, metrics[split]["decisions"], metric.text(metrics[split][metric.name], 1)]
        for split, name in (("val", "validation subjects"), ("test", "test subjects"))
    ]
    chips = metrics["chips"]
    if chips is not None:
        count, sd = len(chips["chips"]), chips["sd"]
        spread = "" if sd is None else f" (sd {metric.text(sd, 1)})"
        windows = metrics["test"]["decisions"]
        rows += [
            [f"test, {count} chips", windows, metric.text(chips["mean"], 1) + spread],
            ["test, their weights in software", windows, metric.text(chips["software_mean"], 1)],
        ]
    console.table(title, ["", "decisions", metric.label], rows)
    console.out.print(f"{folder}/model.pt", soft_wrap=True)

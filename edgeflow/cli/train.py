"""``edgeflow train``: a classifier from recordings, with a progress bar, resumable."""

import re
from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console
from edgeflow.cli.options import DATA, JSON, PEOPLE, RATE, ROOT
from edgeflow.cli.schema import with_options
from edgeflow.errors import TrainError
from edgeflow.schema import METHODS, MODEL, by_field
from edgeflow.training.options import TrainOptions

OUT = typer.Option(..., "--out", "-o", help="Folder for the checkpoint and metrics.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def cell_names() -> list[str]:
    """Return the names of the registered cells, read from the source: importing it takes torch."""
    source = Path(__file__).parent.parent / "cells" / "cells.py"
    return re.findall(r'^    "([\w-]+)": \w+\.\w+,$', source.read_text("utf-8"), re.M)


@with_options(options=TrainOptions)
def train(
    data: str = DATA,
    out: Path = OUT,
    root: Path | None = ROOT,
    people: Path | None = PEOPLE,
    rate: float | None = RATE,
    cell: str = typer.Option(
        "gru",
        "--cell",
        help=f"Recurrent cell: {', '.join(cell_names())}.",
        rich_help_panel=MODEL,
    ),
    teacher: list[str] = typer.Option(
        [],
        "--teacher",
        help="Learn from this trained model too; several: from their mean.",
        rich_help_panel=METHODS,
    ),
    sparse: float | None = typer.Option(
        None,
        "--sparse",
        help="Share of the cell's weights that are zero from the start, by chance.",
        rich_help_panel=METHODS,
    ),
    block: str = typer.Option(
        "1x1",
        "--block",
        help="Rows x columns of weights that are zero together, like 4x2.",
        rich_help_panel=METHODS,
    ),
    spike_rate: float | None = typer.Option(
        None,
        "--spike-rate",
        help="Spikes per neuron and step that spiking cells keep to: 0.1.",
        rich_help_panel=METHODS,
    ),
    spike_regularizer: str | None = typer.Option(
        None,
        "--spike-regularizer",
        help="What keeps them to it: l1 (default), hoyer.",
        rich_help_panel=METHODS,
    ),
    restart: bool = typer.Option(False, "--restart", help="Begin anew in this folder."),
    json_: bool = JSON,
    *,
    options: dict[str, Any],
) -> None:
    """Train on some subjects, choose the best epoch on others, test once on yet others.

    Stopped at any moment, the same command goes on and ends with the same result.

    Examples:
      edgeflow train --data seglearn-watch --hidden 32 -o runs/gru32
      edgeflow train --data mine.csv --rate 50 --mode streaming -o runs/mine
      edgeflow train --data seglearn-watch --cell lmu --set order=6 -o runs/lmu
    """
    from edgeflow.compression.prune.connectivity import FixedConnectivity
    from edgeflow.compression.prune.mask import Block
    from edgeflow.data import load_dataset
    from edgeflow.training import train as run
    from edgeflow.training.distill import Distillation
    from edgeflow.training.method import Method
    from edgeflow.training.spikes import SpikeRate

    shape = Block.parse(block)
    if sparse is None and block != "1x1":
        raise TrainError(f"--block {block}: it needs --sparse")
    if spike_rate is None and spike_regularizer is not None:
        raise TrainError(f"--spike-regularizer {spike_regularizer}: it needs --spike-rate")
    methods: list[Method] = []
    if sparse is not None:
        methods.append(FixedConnectivity(sparse, shape, options["seed"]))
    if spike_rate is not None:
        methods.append(SpikeRate(spike_rate, regularizer=spike_regularizer or "l1"))
    if teacher:
        methods.append(Distillation(teacher))
    dataset = load_dataset(data, root=root, people=people, rate_hz=rate, window=options["window"])
    with console.progress() as bar:
        task = bar.add_task("training", total=None, status="")
        try:
            result = run(
                dataset, cell, out=out, restart=restart, methods=methods,
                on_epoch=console.epochs(bar, task), **by_field(TrainOptions, options),
            )  # fmt: skip
        except KeyboardInterrupt:
            bar.stop()
            if (out / "resume.pt").exists():
                console.note(f"{out}/resume.pt is kept: run the same command again to go on")
            raise
    if json_:
        console.print_json(result.metrics)
        return
    _show(result.folder, result.metrics)


def _show(folder: Path, metrics: dict[str, Any]) -> None:
    title = (
        f"{metrics['cell']} on {metrics['data']}: {metrics['parameters']} parameters, best epoch "
        f"{metrics['best_epoch']}, {metrics['seconds']:.0f} s"
    )
    rows = [
        [
            name,
            len(metrics["people"][split]),
            metrics[split]["decisions"],
            f"{metrics[split]['accuracy']:.1%}",
            f"{metrics[split]['macro_f1']:.3f}",
        ]
        for split, name in (("val", "validation subjects"), ("test", "test subjects"))
    ]
    console.table(title, ["", "subjects", "decisions", "accuracy", "macro-F1"], rows)
    console.out.print(f"{folder}/model.pt", soft_wrap=True)

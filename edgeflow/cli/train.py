"""``edgeflow train``: a classifier from recordings, with a progress bar, resumable."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cell_names import cell_names
from edgeflow.cli import console
from edgeflow.cli.options import DATA, JSON, PEOPLE, RATE, ROOT
from edgeflow.errors import TrainError

CELLS = ", ".join(f"{name} ({about})" for name, about in cell_names().items())
OUT = typer.Option(..., "--out", "-o", help="Folder for the checkpoint and metrics.")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    data: str = DATA,
    out: Path = OUT,
    root: Path | None = ROOT,
    people: Path | None = PEOPLE,
    rate: float | None = RATE,
    cell: str = typer.Option(
        "gru",
        "--cell",
        help=f"Recurrent cell: {CELLS}.",
    ),
    hidden: int = typer.Option(32, "--hidden", help="Units a layer."),
    layers: int = typer.Option(1, "--layers", help="Layers of the cell."),
    set_: list[str] = typer.Option(
        [], "--set", help="An option of the cell, like order=8; a wrong one lists all."
    ),
    readout: str | None = typer.Option(
        None, "--readout", help="Decide by the last output or an average: last, mean, leaky."
    ),
    loss: str | None = typer.Option(None, "--loss", help="cross-entropy, l2-svm."),
    dropout: float | None = typer.Option(None, "--dropout", help="In [0, 1)."),
    window: int | None = typer.Option(None, "--window", help="Samples a window (about 2 s)."),
    mode: str = typer.Option(
        "window", "--mode", help="Decide once a window, or at every step: window, streaming."
    ),
    epochs: int | None = typer.Option(None, "--epochs", help="Passes over the training windows."),
    batch: int | None = typer.Option(None, "--batch", help="Windows a step."),
    lr: float | None = typer.Option(None, "--lr", help="Peak learning rate."),
    patience: int | None = typer.Option(
        None, "--patience", help="Epochs without a better validation score; 0: never stop early."
    ),
    tail: float | None = typer.Option(
        None,
        "--tail",
        help="Share of a window whose outputs are trained, from its end: 0.1; 1 to decide early.",
    ),
    mirror: float | None = typer.Option(
        None, "--mirror", help="Share of windows turned into the other wrist's, like 0.5."
    ),
    teacher: list[str] = typer.Option(
        [], "--teacher", help="Learn from this trained model too; several: from their mean."
    ),
    sparse: float | None = typer.Option(
        None,
        "--sparse",
        help="Share of the cell's weights that are zero from the start, by chance.",
    ),
    block: str = typer.Option(
        "1x1", "--block", help="Rows x columns of weights that are zero together, like 4x2."
    ),
    spike_rate: float | None = typer.Option(
        None, "--spike-rate", help="Spikes a neuron and step that spiking cells keep to: 0.1."
    ),
    spike_regularizer: str | None = typer.Option(
        None, "--spike-regularizer", help="What keeps them to it: l1 (default), hoyer."
    ),
    seed: int = typer.Option(0, "--seed", help="Same seed, same result."),
    threads: int = typer.Option(1, "--threads", help="CPU threads; part of what repeats."),
    restart: bool = typer.Option(False, "--restart", help="Begin anew in this folder."),
    json_: bool = JSON,
) -> None:
    """Train on some people, choose the best epoch on others, test once on yet others.

    Stopped at any moment, the same command goes on and ends with the same result.

    Examples:
      edgeflow train --data seglearn-watch --hidden 32 -o runs/gru32
      edgeflow train --data mine.csv --rate 50 --mode streaming -o runs/mine
      edgeflow train --data seglearn-watch --cell lmu --set order=6 -o runs/lmu
    """
    from edgeflow.cells.options import parse_options
    from edgeflow.compression.prune.connectivity import FixedConnectivity
    from edgeflow.compression.prune.mask import Block
    from edgeflow.data import load_dataset
    from edgeflow.training import train as run
    from edgeflow.training.distill import Distillation
    from edgeflow.training.method import Method
    from edgeflow.training.spikes import SpikeRate

    optional = {
        "dropout": dropout, "epochs": epochs, "batch": batch, "lr": lr, "patience": patience,
        "mirror": mirror, "readout": readout, "loss": loss, "tail": tail,
        "cell_options": parse_options(set_) or None,
    }  # fmt: skip
    shape = Block.parse(block)
    if sparse is None and block != "1x1":
        raise TrainError(f"--block {block}: it needs --sparse")
    if spike_rate is None and spike_regularizer is not None:
        raise TrainError(f"--spike-regularizer {spike_regularizer}: it needs --spike-rate")
    methods: list[Method] = []
    if sparse is not None:
        methods.append(FixedConnectivity(sparse, shape, seed))
    if spike_rate is not None:
        methods.append(SpikeRate(spike_rate, regularizer=spike_regularizer or "l1"))
    if teacher:
        methods.append(Distillation(teacher))
    dataset = load_dataset(data, root=root, people=people, rate_hz=rate, window=window)
    with console.progress() as bar:
        task = bar.add_task("training", total=None, status="")

        def on_epoch(epoch: int, total: int, row: dict[str, float]) -> None:
            status = f"loss {row['loss']:.3f}  validation {row['val_accuracy']:.1%}"
            bar.update(task, completed=epoch, total=total, status=status)

        try:
            result = run(
                dataset,
                cell,
                out=out,
                restart=restart,
                on_epoch=on_epoch,
                hidden=hidden,
                layers=layers,
                mode=mode,
                window=window,
                seed=seed,
                threads=threads,
                methods=methods,
                **{name: value for name, value in optional.items() if value is not None},
            )
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
        for split, name in (("val", "validation people"), ("test", "test people"))
    ]
    console.table(title, ["", "people", "decisions", "accuracy", "macro-F1"], rows)
    console.out.print(f"{folder}/model.pt", soft_wrap=True)

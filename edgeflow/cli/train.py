"""``edgeflow train``: a classifier from recordings, with a progress bar, resumable."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeflow.cell_names import cell_names
from edgeflow.cli import console, dataset
from edgeflow.cli.options import DATA, JSON
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.errors import TrainError
from edgeflow.files import model_files
from edgeflow.schema import METHODS, MODEL, Option, by_field
from edgeflow.training.options import TrainOptions

if TYPE_CHECKING:
    from edgeflow.tasks import Metric
    from edgeflow.training.method import Method

_CELL_HELP = ", ".join(f"{name} ({about})" for name, about in cell_names().items())
OUT = typer.Option(..., "--out", "-o", help="Folder for the checkpoint and metrics.")


@dataclass(frozen=True)
class MethodOptions:
    """Methods that a training uses besides.

    Attributes
    ----------
    teacher : tuple of str
        Learn from this trained model too; several: from their mean.
    sparse : float, optional
        Share of the cell's weights that are zero from the start, by chance.
    block : str
        Rows x columns of weights that are zero together, like 4x2.
    spike_rate : float, optional
        Spikes per neuron and step that spiking cells keep to: 0.1.
    spike_regularizer : str, optional
        What keeps them to it: l1 (default), hoyer.
    band_warp : float, optional
        Stretch the bands of log-mel by a random factor, as other voices do: deviation of its
        logarithm, like 0.12.
    band_scale : float, optional
        Scale each value of log-mel front ends by a random factor: deviation of its logarithm,
        like 0.5.
    by_person : float, optional
        Weight of a loss that lets a few labels of a new person suffice (compress --adapt head): 1.
    """

    panel = METHODS
    teacher: Annotated[tuple[str, ...], Option("--teacher")] = ()
    sparse: Annotated[float | None, Option("--sparse")] = None
    block: Annotated[str, Option("--block", shown=True)] = "1x1"
    spike_rate: Annotated[float | None, Option("--spike-rate")] = None
    spike_regularizer: Annotated[str | None, Option("--spike-regularizer")] = None
    band_warp: Annotated[float | None, Option("--band-warp")] = None
    band_scale: Annotated[float | None, Option("--band-scale")] = None
    by_person: Annotated[float | None, Option("--by-person")] = None

    def methods(self, seed: int) -> "list[Method]":
        """Return the methods.

        Raises
        ------
        CompressError, TrainError
            If a value is wrong, or needs another option.
        """
        from edgeflow.compression.prune.connectivity import FixedConnectivity
        from edgeflow.compression.prune.mask import Block
        from edgeflow.training.bands import BandAugmentation
        from edgeflow.training.distill import Distillation
        from edgeflow.training.prototypical import Prototypical
        from edgeflow.training.spikes import SpikeRate

        shape, regularizer = Block.parse(self.block), self.spike_regularizer
        if self.sparse is None and self.block != "1x1":
            raise TrainError(f"--block {self.block}: it needs --sparse")
        if self.spike_rate is None and regularizer is not None:
            raise TrainError(f"--spike-regularizer {regularizer}: it needs --spike-rate")
        found: list[Method] = []
        if self.sparse is not None:
            found.append(FixedConnectivity(self.sparse, shape, seed))
        if self.spike_rate is not None:
            found.append(SpikeRate(self.spike_rate, regularizer=regularizer or "l1"))
        if self.band_warp is not None or self.band_scale is not None:
            found.append(BandAugmentation(self.band_warp or 0.0, self.band_scale or 0.0))
        if self.teacher:
            found.append(Distillation(self.teacher))
        if self.by_person is not None:
            found.append(Prototypical(self.by_person))
        return found


@with_options(reading=DataOptions, options=TrainOptions, besides=MethodOptions)
def command(
    data: str = DATA,
    out: Path = OUT,
    cell: str = typer.Option(
        "gru",
        "--cell",
        help=f"Recurrent cell: {_CELL_HELP}.",
        rich_help_panel=MODEL,
    ),
    restart: bool = typer.Option(False, "--restart", help="Begin anew in this folder."),
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
    options: dict[str, Any],
    besides: dict[str, Any],
) -> None:
    """Train on some subjects, choose the best epoch on others, test once on yet others.

    Stopped at any moment, the same command goes on and ends with the same result.

    Examples:
      edgeflow train --data seglearn-watch --hidden 32 -o runs/gru32
      edgeflow train --data mine.csv --rate 50 --mode streaming -o runs/mine
      edgeflow train --data seglearn-watch --cell lmu --set order=6 -o runs/lmu
    """
    from edgeflow.training import train as run
    from edgeflow.training.loop import FOLDER

    teachers = {"--teacher": model_files(besides.get("teacher"))}
    FOLDER.check(out, {**dataset.inputs(data, reading), **teachers})
    methods = MethodOptions(**by_field(MethodOptions, besides)).methods(options["seed"])
    loaded = dataset.load(data, reading, options["window"])
    try:
        with console.progress() as bar:
            task = bar.add_task("training", total=None, status="")
            result = run(
                loaded, cell, out=out, restart=restart, methods=methods,
                on_epoch=console.epochs(bar, task, loaded.task), **by_field(TrainOptions, options),
            )  # fmt: skip
    except KeyboardInterrupt:
        if (out / "resume.pt").exists():
            console.note(f"{out}/resume.pt is kept: run the same command again to go on")
        raise
    if json_:
        console.print_json(result.metrics)
        return
    _show(result.folder, result.metrics, result.model.task.metrics)


def _show(folder: Path, metrics: dict[str, Any], shown: Sequence["Metric"]) -> None:
    title = (
        f"{metrics['cell']} on {metrics['data']}: {metrics['parameters']} parameters, best epoch "
        f"{metrics['best_epoch']}, {metrics['seconds']:.0f} s"
    )
    rows = [
        [
            name,
            len(metrics["people"][split]),
            metrics[split]["decisions"],
            *(metric.text(metrics[split][metric.name], 1) for metric in shown),
        ]
        for split, name in (("val", "validation subjects"), ("test", "test subjects"))
    ]
    columns = ["", "subjects", "decisions", *(metric.label for metric in shown)]
    console.table(title, columns, rows)
    console.out.print(f"{folder}/model.pt", soft_wrap=True)

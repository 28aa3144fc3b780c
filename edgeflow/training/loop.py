"""The training loop."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.cells.cells import cell_of
from edgeflow.cells.front_sound import hop_of_front
from edgeflow.cells.sample_stack import SampleStack
from edgeflow.cells.taps import DelayLine
from edgeflow.data.dataset import SPLITS, Dataset
from edgeflow.data.frames import in_hops
from edgeflow.data.sequences import sequences_of
from edgeflow.errors import TrainError
from edgeflow.files import FolderKind, OutputFolder, output_folder
from edgeflow.overlap import hop_of
from edgeflow.tasks.output import scale_by
from edgeflow.training import batches, resume
from edgeflow.training.fit import Fit, OnEpoch
from edgeflow.training.method import Method
from edgeflow.training.options import TrainOptions
from edgeflow.training.repeat import repeatable

#: Windows that are scored at a time.
SCORED = 1024
#: Files that a run writes.
FILES = ("resume.pt", "metrics.json", "model.pt")
#: Of ``edgeflow train``.
FOLDER = FolderKind(
    "train", earlier=lambda folder: resume.earlier(folder, "train", "metrics.json", FILES)
)


@dataclass(frozen=True, eq=False, repr=False)
class TrainResult:
    """A finished training.

    Attributes
    ----------
    folder : Path
        Holds ``model.pt`` and ``metrics.json``.
    model : SequenceClassifier
        The best on validation subjects, in evaluation mode.
    metrics : dict
        The content of ``metrics.json``.
    """

    folder: Path
    model: SequenceClassifier
    metrics: dict[str, Any]

    def __repr__(self) -> str:
        found, metric = self.metrics, self.model.task.headline
        return (
            f"TrainResult({found['cell']} on {found['data']}: {found['parameters']} parameters; "
            f"{metric.named(found['test'][metric.name], 1)} of {found['test']['decisions']} "
            f"decisions on test subjects; {str(self.folder)!r})"
        )


def train(
    dataset: Dataset,
    cell: str = "gru",
    *,
    out: str | Path,
    restart: bool = False,
    on_epoch: OnEpoch | None = None,
    methods: Sequence[Method] = (),
    **options: Any,
) -> TrainResult:
    """Train a model; go on where an interrupted run with equal arguments stopped.

    The model sees the training subjects only; the epoch that is best on validation subjects by the
    task's `selection`, macro-F1 of a classification, is kept; test subjects are looked at once, at
    the end. Parameters and errors are those of `edgeflow.train`, whose data is here a data set;
    `options` are fields of :class:`TrainOptions`.
    """
    try:
        settings = TrainOptions(**{**cell_of(cell).training, **options})
    except TypeError as error:
        raise TrainError(f"unknown training option: {error}") from None
    settings.check()
    if hop := hop_of_front(settings.front, dataset.rate_hz):
        dataset = in_hops(dataset, hop)
        # the options count steps
        dataset = replace(dataset, window=settings.window or dataset.window)
    settings = replace(settings, loss=dataset.task.loss_name(settings.loss))
    folder = Path(out)
    with output_folder(folder, FOLDER) as held, repeatable(settings.seed, settings.threads):
        run = _Run(dataset, cell, settings, folder, methods)
        held.begin(FILES)
        # an older model stays until the new one is whole
        return (None if restart else run.finished()) or run.go(held, on_epoch, restart)


class _Run:
    """One training of a new model."""

    def __init__(
        self, dataset: Dataset, cell: str, options: TrainOptions, folder: Path,
        methods: Sequence[Method],
    ) -> None:  # fmt: skip
        self.dataset, self.options, self.folder = dataset, options, folder
        if not dataset.task.metrics:
            raise TrainError(
                f"data set '{dataset.name}' has neither classes nor targets: let a model forecast "
                "it, with --task forecast --horizon 0.5,1.0"
            )
        self.length = options.window or dataset.window
        self.warmup = self.length // 2 if options.warmup is None else options.warmup
        try:
            self.hop = hop_of(self.length, options.hop)
        except ValueError as error:
            raise TrainError(str(error)) from None
        self.tail = batches.tail_of(self.length, self.hop, options.tail)
        # an empty split is an error before the training, not after it
        for split in SPLITS:
            dataset.windows(split, length=self.length)
            longest = max(len(r.x) for r in dataset.split(split))
            if options.mode == "streaming" and longest <= self.warmup:
                raise TrainError(
                    f"warmup is {self.warmup}: no recording of the '{split}' split is longer "
                    f"(the longest has {longest} samples)"
                )
        self.arguments = {
            "data": dataset.name,
            "recordings": resume.fingerprint(dataset),
            "cell": cell,
            **asdict(options),
            "window": self.length,
            "warmup": self.warmup,
            "hop": self.hop or None,
            "torch": str(torch.__version__),
        }
        if methods:
            self.arguments["methods"] = [method.describe() for method in methods]
        model = SequenceClassifier(
            cell,
            dataset.classes,
            dataset.channels,
            hidden=options.hidden,
            layers=options.layers,
            dropout=options.dropout,
            rate_hz=dataset.rate_hz,
            window=self.length if options.mode == "window" else 0,
            hop=self.hop,
            data=dataset.name,
            warmup=self.warmup if options.mode == "streaming" else None,
            units=dataset.units,
            seed=options.seed,
            readout=options.readout,
            options=options.cell_options,
            target=dataset.target,
            output=dataset.task.output_format(batches.targets(dataset)),
            front=options.front,
        )
        mean, std = batches.normalisation(dataset)
        model.mean.copy_(mean)
        model.std.copy_(std)
        if model.front:
            padded = any(isinstance(layer, DelayLine | SampleStack) for layer in model.modules())
            batches.normalise_front(model.front, dataset, centre=not padded)
        self.fit = Fit(
            model,
            options,
            dataset,
            batches=self._batches,
            evaluate=self._row,
            metric=dataset.task.selection or dataset.task.headline,
            arguments=self.arguments,
            folder=folder,
            methods=methods,
            pace=options.mode == "window",
        )

    def finished(self) -> TrainResult | None:
        """Return the result of an earlier, complete run with equal arguments."""
        found = resume.read_result(self.folder / "metrics.json", self.arguments)
        return None if found is None else TrainResult(self.folder, load_model(self.folder), found)

    def go(self, held: OutputFolder, on_epoch: OnEpoch | None, restart: bool) -> TrainResult:
        """Train and write the result."""
        self.fit.run(on_epoch, restart=restart)
        model = self.fit.average
        assert isinstance(model, SequenceClassifier)
        for method in self.fit.methods:
            method.finish(model)
        result: dict[str, Any] = {
            "data": self.dataset.name,
            "cell": model.cell,
            "parameters": sum(p.numel() for p in model.parameters()),
            "mode": self.options.mode,
            "window": self.length,
            "rate_hz": self.dataset.rate_hz,
            "classes": self.dataset.classes,
            "people": self.dataset.people,
            "best_epoch": self.fit.best["epoch"],
            "seconds": round(self.fit.seconds, 2),
        }
        for split in ("val", "test"):
            truth, decided = self._decisions(model, split)
            result[split] = {
                "decisions": len(decided),
                **self.dataset.task.score(truth, decided),
                **self.dataset.task.counts(truth, decided),
            }
        result |= {"history": self.fit.history, "arguments": self.arguments}
        save_model(model, held.new / "model.pt")
        resume.write_result(held.new / "metrics.json", result)
        held.commit()  # and resume.pt goes
        return TrainResult(self.folder, model, result)

    def _row(self, model: nn.Module) -> dict[str, float]:
        found = self.dataset.task.score(*self._decisions(model, "val"))
        return {f"val_{name}": value for name, value in found.items()}

    def _batches(self, change: batches.Change) -> Iterator[batches.Batch]:
        warmup = self.warmup if self.options.mode == "streaming" else None
        return batches.of_epoch(
            self.dataset, self.length, self.options.batch, tail=self.tail, warmup=warmup,
            change=change, by_person=any(method.by_person for method in self.fit.methods),
        )  # fmt: skip

    @torch.no_grad()
    def _decisions(self, model: nn.Module, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and decisions [n] of a split: of its windows, or of a stream's steps."""
        window = self.length if self.options.mode == "window" else 0
        found = sequences_of(self.dataset, split, window=window, hop=self.hop, warmup=self.warmup)
        outputs = found.run(lambda x: model(torch.from_numpy(x)).numpy(), SCORED)
        scale = scale_by(getattr(model, "output", None), 1.0)
        return found.truth, self.dataset.task.decisions(found.counted(outputs), scale)

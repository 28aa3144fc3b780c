"""The training loop."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.cells.cells import cell_of
from edgeflow.data.dataset import SPLITS, Dataset
from edgeflow.errors import TrainError
from edgeflow.files import write_atomic
from edgeflow.train import batches, metrics, resume
from edgeflow.train.augment import augment, axis_triples, change_pace, mirror, mirror_signs
from edgeflow.train.losses import LOSSES
from edgeflow.train.options import TrainOptions
from edgeflow.train.repeat import repeatable, rng_states, set_rng_states

OnEpoch = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainResult:
    """A finished training.

    Attributes
    ----------
    folder : Path
        Holds ``model.pt`` and ``metrics.json``.
    model : SequenceClassifier
        The best on validation people, in evaluation mode.
    metrics : dict
        The content of ``metrics.json``.
    """

    folder: Path
    model: SequenceClassifier
    metrics: dict[str, Any]


def train(
    dataset: Dataset,
    cell: str = "gru",
    *,
    out: str | Path,
    restart: bool = False,
    on_epoch: OnEpoch | None = None,
    **options: Any,
) -> TrainResult:
    """Train a classifier; go on where an interrupted run with equal arguments stopped.

    The model sees the training people only; the epoch with the best macro-F1 on validation
    people is kept; test people are looked at once, at the end.

    Parameters
    ----------
    dataset : Dataset
    cell : str
        Name in ``edgeflow.cells.CELLS``.
    out : str or Path
        Folder for ``model.pt``, ``metrics.json``, and ``resume.pt`` while training.
    restart : bool
        Begin anew, whatever is in `out`.
    on_epoch : callable, optional
        Called after each epoch with its number from 1, the number of epochs, and its row of
        the history.
    **options
        Fields of :class:`TrainOptions`; defaults are the cell's, where it has its own.

    Returns
    -------
    TrainResult

    Raises
    ------
    TrainError
        If an option is wrong, or `out` holds a training with other arguments or is in use.
    DataError
        If a split is empty or its recordings are shorter than a window.
    """
    try:
        settings = TrainOptions(**{**cell_of(cell).training, **options})
    except TypeError as error:
        raise TrainError(f"unknown training option: {error}") from None
    settings.check()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise TrainError(f"{folder}: another training is writing here: use another -o") from None
    try:
        with repeatable(settings.seed, settings.threads):
            run = _Run(dataset, cell, settings, folder)
            run.tidy()
            if restart:
                run.forget()
            return run.finished() or run.go(on_epoch)
    finally:
        lock.release()


class _Run:
    """One training: its model, optimiser, and what is remembered between epochs."""

    def __init__(self, dataset: Dataset, cell: str, options: TrainOptions, folder: Path) -> None:
        self.dataset, self.options, self.folder = dataset, options, folder
        self.length = options.window or dataset.window
        self.warmup = self.length // 2 if options.warmup is None else options.warmup
        self.tail = max(self.length // 10, 1)
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
            "torch": str(torch.__version__),
        }
        self.model = SequenceClassifier(
            cell,
            dataset.classes,
            dataset.channels,
            hidden=options.hidden,
            layers=options.layers,
            dropout=options.dropout,
            rate_hz=dataset.rate_hz,
            window=self.length if options.mode == "window" else 0,
            data=dataset.name,
            seed=options.seed,
            readout=options.readout,
            options=options.cell_options,
        )
        mean, std = batches.normalisation(dataset)
        self.model.mean.copy_(mean)
        self.model.std.copy_(std)
        self.triples = axis_triples(dataset.channels)
        self.signs = mirror_signs(dataset.channels, dataset.units)
        self.mirror = dataset.mirror if options.mirror is None else options.mirror
        self.average = copy.deepcopy(self.model).eval()
        self.steps = 0
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=options.lr, weight_decay=options.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate)
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"macro_f1": -1.0, "epoch": 0, "weights": None}

    def _rate(self, epoch: int) -> float:
        """Return the share of the peak rate: two epochs up, then a cosine down to 1 %."""
        warm = min(2, self.options.epochs - 1)
        if epoch < warm:
            return (epoch + 1) / (warm + 1)
        position = (epoch - warm) / max(self.options.epochs - warm, 1)
        return float(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(position, 1.0))))

    def tidy(self) -> None:
        """Remove what a run killed while writing a file left of it."""
        for name in ("resume.pt", "metrics.json", "model.pt"):
            for half in self.folder.glob(f".{name}.*"):
                half.unlink()

    def forget(self) -> None:
        for name in ("resume.pt", "metrics.json", "model.pt"):
            (self.folder / name).unlink(missing_ok=True)

    def finished(self) -> TrainResult | None:
        """Return the result of an earlier, complete run with equal arguments."""
        path = self.folder / "metrics.json"
        if (self.folder / "resume.pt").exists() or not path.exists():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            then = found["arguments"]
        except (ValueError, KeyError, TypeError):
            raise TrainError(f"{path}: damaged: start again with --restart") from None
        resume.check_arguments(self.folder, then, self.arguments)
        return TrainResult(self.folder, load_model(self.folder), found)

    def go(self, on_epoch: OnEpoch | None) -> TrainResult:
        state = self.folder / "resume.pt"
        if state.exists():
            self._restore(resume.load(state, self.arguments))
        while self.epoch < self.options.epochs and not self._stale():
            started = time.perf_counter()
            loss = self._train_epoch()
            if not np.isfinite(loss):
                raise TrainError(
                    f"the loss is {loss} in epoch {self.epoch + 1}: use a smaller --lr than "
                    f"{self.options.lr:g} and --restart"
                )
            matrix = self._evaluate(self.average, "val")
            self.epoch += 1
            row = {
                "epoch": self.epoch,
                "loss": loss,
                "val_accuracy": metrics.accuracy(matrix),
                "val_macro_f1": metrics.macro_f1(matrix),
            }
            self.history.append(row)
            if row["val_macro_f1"] > self.best["macro_f1"]:
                weights = {k: v.clone() for k, v in self.average.state_dict().items()}
                self.best = {
                    "macro_f1": row["val_macro_f1"], "epoch": self.epoch, "weights": weights
                }  # fmt: skip
            self.seconds += time.perf_counter() - started
            resume.save(state, self._state())
            if on_epoch:
                on_epoch(self.epoch, self.options.epochs, row)
        return self._finish()

    def _stale(self) -> bool:
        patience = self.options.patience
        return patience > 0 and self.epoch - self.best["epoch"] >= patience

    def _finish(self) -> TrainResult:
        self.average.load_state_dict(self.best["weights"])
        model = self.average
        result: dict[str, Any] = {
            "data": self.dataset.name,
            "cell": model.cell,
            "parameters": sum(p.numel() for p in model.parameters()),
            "mode": self.options.mode,
            "window": self.length,
            "rate_hz": self.dataset.rate_hz,
            "classes": self.dataset.classes,
            "people": self.dataset.people,
            "best_epoch": self.best["epoch"],
            "seconds": round(self.seconds, 2),
        }
        for split in ("val", "test"):
            matrix = self._evaluate(model, split)
            result[split] = {
                "decisions": int(matrix.sum()),
                "accuracy": metrics.accuracy(matrix),
                "macro_f1": metrics.macro_f1(matrix),
                "confusion": matrix.tolist(),
            }
        result |= {"history": self.history, "arguments": self.arguments}
        save_model(model, self.folder / "model.pt")
        write_atomic(self.folder / "metrics.json", json.dumps(result, indent=1) + "\n")
        # last, so that a run killed before this line finishes again
        (self.folder / "resume.pt").unlink(missing_ok=True)
        return TrainResult(self.folder, model, result)

    def _state(self) -> dict[str, Any]:
        return {
            "arguments": self.arguments,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "steps": self.steps,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": rng_states(),
            "epoch": self.epoch,
            "best": self.best,
            "history": self.history,
            "seconds": self.seconds,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        set_rng_states(state["rng"])
        for name in ("steps", "epoch", "best", "history", "seconds"):
            setattr(self, name, state[name])

    def _batches(self, split: str) -> Iterator[batches.Batch]:
        options = self.options
        if options.mode == "window":
            if split == "train":
                return batches.train_windows(self.dataset, self.length, options.batch, self.tail)
            return batches.whole_windows(self.dataset, split, self.length)
        shuffle = split == "train"
        return batches.streams(
            self.dataset.split(split), self.length, options.batch, self.warmup, shuffle=shuffle
        )

    def _train_epoch(self) -> float:
        """Return the mean loss."""
        options, model = self.options, self.model
        model.train()
        total, state = torch.zeros(()), None
        count = 0.0
        for batch in self._batches("train"):
            x = batch.x
            if options.pace and options.mode == "window":
                x = change_pace(x, options.pace)
            if self.mirror:
                x = mirror(x, self.signs, self.mirror)
            x = augment(
                x, self.triples, model.std,
                rotate=options.rotate, scale=options.scale, noise=options.noise,
            )  # fmt: skip
            logits, state = model.stream(x, _detach(state) if batch.keep else None)
            weights = float(batch.weight.sum())
            if weights == 0:
                continue
            losses = LOSSES[options.loss](logits, batch.y)
            loss = (losses * batch.weight).sum() / weights
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            self.optimiser.step()
            self._update_average()
            total += loss.detach() * weights
            count += weights
        self.schedule.step()
        return float(total) / max(count, 1.0)

    @torch.no_grad()
    def _update_average(self) -> None:
        self.steps += 1
        # the first steps count less, or the start values would linger
        decay = min(self.options.average, self.steps / (self.steps + 10))
        if self.options.average == 0:
            decay = 0.0
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        # statistics of a batch normalisation; counters are no averages
        buffers = zip(self.average.buffers(), self.model.buffers(), strict=True)
        for average, value in buffers:
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)

    @torch.no_grad()
    def _evaluate(self, model: SequenceClassifier, split: str) -> np.ndarray:
        """Return the confusion matrix [classes, classes] over the decisions of a split."""
        classes = len(self.dataset.classes)
        matrix = np.zeros((classes, classes), dtype=np.int64)
        state = None
        for batch in self._batches(split):
            logits, state = model.stream(batch.x, state if batch.keep else None)
            chosen = batch.weight > 0
            truth = batch.y[:, None].expand(chosen.shape)[chosen]
            matrix += metrics.confusion(
                truth.numpy(), logits.argmax(dim=2)[chosen].numpy(), classes
            )
        return matrix


def _detach(state: Any) -> Any:
    """Cut the gradient through a state: a tensor or a tuple of states."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple | list):
        return tuple(_detach(s) for s in state)
    return state

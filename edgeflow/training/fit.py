"""The loop over epochs that training and fine-tuning share."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.checkpoint import write_torch
from edgeflow.data.channels import axis_triples
from edgeflow.data.dataset import Dataset
from edgeflow.data.frames import is_in_hops
from edgeflow.errors import TrainError
from edgeflow.tasks import Metric, OutputFormat
from edgeflow.training import resume
from edgeflow.training.augment import augment, mirror, mirror_signs, time_warp
from edgeflow.training.batches import Batch, Change
from edgeflow.training.method import Method
from edgeflow.training.options import FitOptions
from edgeflow.training.repeat import rng_states, set_rng_states

OnEpoch = Callable[[int, int, dict[str, float]], None]
#: Attributes of a `Fit` that an interrupted run goes on with.
_WITH_STATE = ("model", "average", "optimiser", "schedule")
_VALUES = ("steps", "epoch", "best", "history", "seconds")


class Fit:
    """Epochs of one model; goes on where an interrupted run stopped.

    Parameters
    ----------
    model : nn.Module
        Has ``stream(x, state) -> (outputs [n, time, size], state)`` and the buffer `std`; its
        `output`, if it has one, says what the outputs are worth.
    batches : callable
        Returns the batches of an epoch, given what changes their samples before they are cut.
    evaluate : callable
        Returns a row of the history for a model: "val_accuracy" of the metric "accuracy", ...
    metric : Metric
        By which the best epoch is chosen.
    arguments : mapping
        All that the result depends on; an interrupted run with other arguments is refused.
    folder : Path
        For ``resume.pt``.
    keep_start : bool
        Whether the model as it comes is a candidate for the best one, as epoch 0.
    pace : bool
        Whether windows are warped in time, by `options.pace`: not streams, nor those with a target
        for each step.

    Attributes
    ----------
    average : nn.Module
        The moving average of the weights, in evaluation mode; after `run`, the best one.
    best : dict
        "score", "epoch", "weights".
    """

    def __init__(
        self,
        model: nn.Module,
        options: FitOptions,
        dataset: Dataset,
        *,
        batches: Callable[[Change], Iterator[Batch]],
        evaluate: Callable[[nn.Module], dict[str, float]],
        metric: Metric,
        arguments: Mapping[str, Any],
        folder: Path,
        methods: Sequence[Method] = (),
        keep_start: bool = False,
        pace: bool = True,
    ) -> None:
        self.model, self.options, self.methods = model, options, list(methods)
        self.batches, self.evaluate, self.metric = batches, evaluate, metric
        self.task = dataset.task
        self.loss = self.task.losses[self.task.loss_name(options.loss)]
        self.folder, self.keep_start = folder, keep_start
        self.pace = pace and not self.task.per_step
        self.arguments = dict(arguments)
        for method in self.methods:
            method.prepare(model)
        self.sound = is_in_hops(dataset.channels)
        self.triples = axis_triples(dataset.channels)
        self.signs = mirror_signs(dataset.channels, dataset.units)
        self.mirror = dataset.mirror if options.mirror is None else options.mirror
        if "mirror" not in self.task.invariant:
            self.mirror = 0.0
        self.average = copy.deepcopy(model).eval()
        self.steps = 0
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=options.lr, weight_decay=options.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate)
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"score": None, "epoch": 0, "weights": None}

    def run(self, on_epoch: OnEpoch | None = None, *, restart: bool = False) -> None:
        """Train to the end; `average` then holds the best weights.

        With `restart`, a ``resume.pt`` stays until there is a newer one, and is not read.
        """
        state = self.folder / "resume.pt"
        if state.exists() and not restart:
            self.restore(state)
        elif self.keep_start and all(method.settled(0.0) for method in self.methods):
            self._keep(self.evaluate(self.average))
        while self.epoch < self.options.epochs and not self._stale():
            started = time.perf_counter()
            for method in self.methods:
                method.before_epoch(self.model, self.epoch / self.options.epochs)
            loss = self._train_epoch()
            if not np.isfinite(loss):
                raise TrainError(
                    f"the loss is {loss} in epoch {self.epoch + 1}: use a smaller --lr than "
                    f"{self.options.lr:g} and --restart"
                )
            self.epoch += 1
            row = {"epoch": self.epoch, "loss": loss, **self.evaluate(self.average)}
            for method in self.methods:
                row |= method.row(self.average)
            self.history.append(row)
            if all(m.settled(self.epoch / self.options.epochs) for m in self.methods):
                self._keep(row)
            self.seconds += time.perf_counter() - started
            write_torch(self._state(), state)
            if on_epoch:
                on_epoch(self.epoch, self.options.epochs, row)
        self.average.load_state_dict(self.best["weights"])

    def _keep(self, row: dict[str, float]) -> None:
        """Remember the average's weights if they are the best so far, or the last are wanted."""
        score, first = row[f"val_{self.metric.name}"], self.best["weights"] is None
        if first or self.options.keep == "last" or self.metric.better(score, self.best["score"]):
            weights = {k: v.clone() for k, v in self.average.state_dict().items()}
            self.best = {"score": score, "epoch": self.epoch, "weights": weights}

    def _rate(self, epoch: int) -> float:
        """Return the share of the peak rate: two epochs up, then a cosine down to 1 %."""
        warm = min(2, self.options.epochs - 1)
        if epoch < warm:
            return (epoch + 1) / (warm + 1)
        position = (epoch - warm) / max(self.options.epochs - warm, 1)
        return float(0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(position, 1.0))))

    def _stale(self) -> bool:
        patience = self.options.patience
        return (
            patience > 0
            and self.best["weights"] is not None
            and self.epoch - self.best["epoch"] >= patience
        )

    def _state(self) -> dict[str, Any]:
        return {
            "arguments": self.arguments,
            **{name: getattr(self, name).state_dict() for name in _WITH_STATE},
            "methods": [method.state() for method in self.methods],
            "rng": rng_states(),
            **{name: getattr(self, name) for name in _VALUES},
        }

    def restore(self, path: Path) -> None:
        """Go back to the state in a ``resume.pt``.

        Raises
        ------
        TrainError
            If it is damaged, or of a run with other arguments.
        """
        state = resume.load(path, self.arguments)
        try:
            self._check_kinds(state)
            self._restore(state)
        except (
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            RuntimeError,
            OverflowError,
        ) as error:
            reason = " ".join(str(error).split())[:160]
            raise TrainError(
                f"{path}: its parts do not fit together ({reason}): start again with --restart"
            ) from None

    def _check_kinds(self, state: Mapping[str, Any]) -> None:
        """Raise a TypeError where the values of a state are of other types than this run's."""
        pairs = [(name, state[name], getattr(self, name)) for name in _VALUES]
        plan = self.schedule.state_dict()
        pairs += [(name, state["schedule"].get(name), value) for name, value in plan.items()]
        for name, value, own in pairs:
            if type(value) is not type(own):
                raise TypeError(f"{name} is of type {type(value).__name__}")

    def _restore(self, state: dict[str, Any]) -> None:
        for name in _WITH_STATE:
            getattr(self, name).load_state_dict(state[name])
        for method, saved in zip(self.methods, state["methods"], strict=True):
            method.load_state(saved)
        set_rng_states(state["rng"])
        for name in _VALUES:
            setattr(self, name, state[name])

    def _changed(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return augmented samples, and what outputs should then be in real units."""
        y = self.task.wanted(y)
        names = ("rotate", "scale", "noise", "pace")
        change = {
            name: getattr(self.options, name) if name in self.task.invariant else 0.0
            for name in names
        }
        if self.task.follows:
            x, y = self._turned(x, y)
        shape, std = x.shape, self.model.get_buffer("std")
        if self.sound:  # one channel, of which a step reads a hop
            # noise of a place has a level of its own, down to none that is heard
            x, std = x.reshape(len(x), -1, 1), std.mean() * 10 ** (-2 * torch.rand(len(x), 1, 1))
        if (pace := change.pop("pace")) and self.pace:
            x = time_warp(x, pace)
        if self.mirror:
            x = mirror(x, self.signs, self.mirror)
        return augment(x, self.triples, std, **change).reshape(shape), y

    def _turned(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return samples and targets [n, time, sets * channels] that are turned and scaled alike.

        About the channels' means, as the targets are changes.
        """
        n, time, channels = x.shape
        mean, options = self.model.get_buffer("mean"), self.options
        both = torch.cat([x - mean, y.reshape(n, -1, channels)], dim=1)
        both = augment(
            both, self.triples, self.model.get_buffer("std"),
            rotate=options.rotate, scale=options.scale, noise=0.0,
        )  # fmt: skip
        return both[:, :time] + mean, both[:, time:].reshape(y.shape)

    def _normal(self, y: Tensor) -> Tensor:
        """Return the outputs that mean real values."""
        form: OutputFormat | None = getattr(self.model, "output", None)
        return y if form is None else form.normal(y)

    def _train_epoch(self) -> float:
        """Return the mean loss."""
        self.model.train()
        total, state = torch.zeros(()), None
        count = 0.0
        for batch in self.batches(self._changed):
            with ExitStack() as stack:
                for method in self.methods:
                    stack.enter_context(method.during_step(self.model))
                stream: Any = self.model.stream
                outputs, state = stream(batch.x, _detach(state) if batch.keep else None)
                weights = float(batch.weight.sum())
                if weights == 0:
                    continue
                for method in self.methods:
                    outputs = method.outputs(self.model, batch, outputs)
                losses = self.loss(outputs, self._normal(batch.y))
                for method in self.methods:
                    losses = method.losses(self.model, batch, outputs, losses)
                loss = (losses * batch.weight).sum() / weights
                self.optimiser.zero_grad()
                loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
            self.optimiser.step()
            self._update_average()
            total += loss.detach() * weights
            count += weights
        self.schedule.step()
        return float(total) / max(count, 1.0)

    @torch.no_grad()
    def _update_average(self) -> None:
        for method in self.methods:
            method.constrain(self.model)
        self.steps += 1
        # the first steps count less, or the start values would linger
        decay = min(self.options.average, self.steps / (self.steps + 10))
        if self.options.average == 0:
            decay = 0.0
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
        # statistics of a batch normalisation; counters are no averages
        for average, value in zip(self.average.buffers(), self.model.buffers(), strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
        for method in self.methods:
            method.constrain(self.average)


def _detach(state: Any) -> Any:
    """Cut the gradient through a state: a tensor or a tuple of states."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple | list):
        return tuple(_detach(s) for s in state)
    return state

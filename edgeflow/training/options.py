"""What a training run is told, in one place; defaults chosen on validation people only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from edgeflow.cells.accumulate import READOUTS
from edgeflow.errors import TrainError

MODES = ("window", "streaming")


@dataclass(frozen=True)
class FitOptions:
    """Options of every training run, new or fine-tuning.

    Attributes
    ----------
    loss : str or None
        Name in the task's `losses`: "cross-entropy" (the default) or "l2-svm" of classification;
        None: the task's default.
    epochs, batch : int
        Passes over the training windows, windows a step.
    lr, weight_decay, clip : float
        AdamW's peak rate (one cycle of a cosine after a short warm-up), its decay, and the
        largest norm of a gradient.
    patience : int
        Epochs without a better validation score before training stops; 0: never.
    rotate, scale, noise, pace : float
        Augmentation of each training window: standard deviations of the rotation of the
        sensors' axes (degrees), of the logarithm of the gain, of white noise (in standard
        deviations of the channel), and of the logarithm of the pace (not when streaming).
    mirror : float or None
        Share of the training windows that are turned into those of the other wrist, in [0, 1];
        None: that of the data set.
    tail : float
        Share of a window, counted from its end, whose outputs are in the loss, in (0, 1]. 1 trains
        each step to decide as well as it can, for a cut-off. Not when streaming.
    average : float
        Decay, each step, of the moving average of the weights that is validated and kept;
        0: the weights themselves.
    seed, threads : int
        Results repeat to the bit for equal options, data, torch version and type of CPU.
    """

    loss: str | None = None
    epochs: int = 30
    batch: int = 128
    lr: float = 1e-2
    weight_decay: float = 1e-2
    clip: float = 1.0
    patience: int = 10
    rotate: float = 15.0
    scale: float = 0.1
    noise: float = 0.05
    pace: float = 0.2
    mirror: float | None = None
    tail: float = 0.1
    average: float = 0.99
    seed: int = 0
    threads: int = 1

    def check(self) -> None:
        """Raise a TrainError that names the first option out of range."""
        for name in ("epochs", "batch"):
            _within(name, getattr(self, name), 1, math.inf)
        # larger ones are slips of the finger, which would end in a lack of memory
        _within("threads", self.threads, 1, 1024)
        for name in ("weight_decay", "patience", "rotate", "scale", "noise", "pace", "seed"):
            _within(name, getattr(self, name), 0, math.inf)
        if self.mirror is not None:
            _within("mirror", self.mirror, 0, 1)
        _within("average", self.average, 0, 0.99999)
        for name in ("lr", "clip"):
            _within(name, getattr(self, name), 1e-12, math.inf)
        _within("tail", self.tail, 1e-12, 1)


@dataclass(frozen=True)
class TrainOptions(FitOptions):
    """Options of :func:`edgeflow.training.train`, besides those of :class:`FitOptions`.

    Attributes
    ----------
    hidden, layers : int
        Units a layer, layers of the cell.
    dropout : float
        In [0, 1): on what the head reads, and between layers.
    window : int or None
        Samples a window; None: the data set's. Streaming carries the state over windows.
    cell_options : mapping
        Of the cell: keyword-only parameters of its ``build``.
    readout : str or None
        What the classifier makes of its outputs over time, a name in
        ``edgeflow.cells.accumulate.READOUTS``; None: the cell's choice.
    mode : str
        ``"window"``: one decision a window, at its last step. ``"streaming"``: a decision at
        every step.
    warmup : int or None
        Streaming: first steps of a recording that are not counted; None: half a window.
    """

    hidden: int = 32
    layers: int = 1
    dropout: float = 0.2
    window: int | None = None
    cell_options: Mapping[str, Any] = field(default_factory=dict)
    readout: str | None = None
    mode: str = "window"
    warmup: int | None = None

    def check(self) -> None:
        """Raise a TrainError that names the first option out of range."""
        super().check()
        for name, most in (("hidden", 4096), ("layers", 64)):
            _within(name, getattr(self, name), 1, most)
        if self.window is not None:
            _within("window", self.window, 1, math.inf)
        if self.warmup is not None:
            _within("warmup", self.warmup, 0, math.inf)
        _within("dropout", self.dropout, 0, 0.99999)
        _one_of("mode", self.mode, MODES)
        _one_of("readout", self.readout, (None, *READOUTS))


class TrainKeywords(TypedDict, total=False):
    """The fields of `TrainOptions`, as keywords of :func:`edgeflow.train`."""

    loss: str | None
    epochs: int
    batch: int
    lr: float
    weight_decay: float
    clip: float
    patience: int
    rotate: float
    scale: float
    noise: float
    pace: float
    mirror: float | None
    tail: float
    average: float
    seed: int
    threads: int
    hidden: int
    layers: int
    dropout: float
    window: int | None
    cell_options: Mapping[str, Any]
    readout: str | None
    mode: str
    warmup: int | None


def _one_of(name: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        names = ", ".join(k for k in known if k)
        raise TrainError(f"{name} is '{value}': use one of {names}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not isinstance(value, int | float):
        raise TrainError(f"{name} is {value!r}: it must be a number")
    if not (low <= value <= high) or math.isinf(value):
        limits = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise TrainError(f"{name} is {value}: it must be {limits}")

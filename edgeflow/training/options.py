"""Options of training runs, without torch; defaults were chosen on validation subjects only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from edgeflow.errors import TrainError
from edgeflow.schema import MODEL, TRAINING, Option

MODES = ("window", "streaming")
KEEPS = ("best", "last")


#: Least and largest value of numbers.
_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("epochs", "batch"), (1, 10**9)),
    # more threads are a typing error that would exhaust the memory
    "threads": (1, 1024),
    **dict.fromkeys(
        ("weight_decay", "patience", "rotate", "scale", "noise", "pace"), (0, math.inf)
    ),
    # what torch takes, and its checkpoints
    "seed": (0, 2**63 - 1),
    "mirror": (0, 1),
    "average": (0, 0.99999),
    **dict.fromkeys(("lr", "clip"), (1e-12, math.inf)),
    "tail": (1e-12, 1),
    "hidden": (1, 4096),
    "layers": (1, 64),
    "window": (1, math.inf),
    "hop": (1, math.inf),
    "warmup": (0, math.inf),
    "dropout": (0, 0.99999),
}
_WHOLE = (
    "epochs",
    "batch",
    "patience",
    "seed",
    "threads",
    "hidden",
    "layers",
    "window",
    "hop",
    "warmup",
)


def _parse_cell_options(texts: Sequence[str]) -> dict[str, Any]:
    from edgeflow.cells.options import parse_options

    return parse_options(texts)


@dataclass(frozen=True)
class FitOptions:
    """Options of every training run, new or fine-tuning.

    Attributes
    ----------
    loss : str or None
        Loss, one of the task's: cross-entropy (default), l2-svm.
    epochs : int
        Passes over the training windows.
    batch : int
        Windows per step.
    lr : float
        Peak learning rate.
    weight_decay, clip : float
        Decay of AdamW (whose rate is one cycle of a cosine after a short warm-up), and the largest
        norm of a gradient.
    patience : int
        Epochs without a better validation score; 0: never stop early.
    rotate : float
        Augmentation of each training window: standard deviation of the rotation of the sensors'
        axes, in degrees; 0: none.
    scale : float
        Standard deviation of the logarithm of the gain that a window is multiplied by.
    noise : float
        Standard deviation of the white noise that is added, in those of the channel.
    pace : float
        Standard deviation of the logarithm of a time warp; not when streaming.
    mirror : float or None
        Share of windows turned into the other wrist's, in [0, 1], like 0.5; default: that of the
        data set.
    tail : float
        Share of a window whose outputs are trained, from its end: 0.1; 1 for early exit. Not when
        streaming.
    average : float
        Decay per step of the moving average of the weights that is validated and kept;
        0: the weights themselves.
    keep : str
        The epoch that is kept: best on validation subjects, or last, where those are so few that
        the best one is chance: best, last.
    seed : int
        Same seed, same result, for equal options, data, torch version and type of CPU.
    threads : int
        CPU threads; part of what repeats.
    """

    panel = TRAINING
    loss: Annotated[str | None, Option("--loss")] = None
    epochs: Annotated[int, Option("--epochs")] = 30
    batch: Annotated[int, Option("--batch")] = 128
    lr: Annotated[float, Option("--lr")] = 1e-2
    weight_decay: float = 1e-2
    clip: float = 1.0
    patience: Annotated[int, Option("--patience")] = 10
    rotate: Annotated[float, Option("--rotate", shown=True)] = 15.0
    scale: Annotated[float, Option("--scale", shown=True)] = 0.1
    noise: Annotated[float, Option("--noise", shown=True)] = 0.05
    pace: Annotated[float, Option("--pace", shown=True)] = 0.2
    mirror: Annotated[float | None, Option("--mirror")] = None
    tail: Annotated[float, Option("--tail")] = 0.1
    average: float = 0.99
    keep: Annotated[str, Option("--keep", shown=True)] = "best"
    seed: Annotated[int, Option("--seed", shown=True)] = 0
    threads: Annotated[int, Option("--threads", shown=True)] = 1

    def check(self) -> None:
        """Raise a TrainError that names the first option out of range."""
        _one_of("keep", self.keep, KEEPS)
        for name, (low, high) in _RANGES.items():
            value: Any = getattr(self, name, None)
            # not an option of this class, or one whose default is None
            if value is not None or getattr(type(self), name, None) is not None:
                _within(name, value, low, high)


@dataclass(frozen=True)
class TrainOptions(FitOptions):
    """Options of :func:`edgeflow.training.train`, besides those of :class:`FitOptions`.

    Attributes
    ----------
    hidden : int
        Units per layer.
    layers : int
        Layers of the cell.
    dropout : float
        Share dropped of what the head reads, and between layers, in [0, 1).
    window : int or None
        Samples per window (about 2 s); default: the data set's. Streaming carries the state over
        windows.
    hop : int or None
        Decide every so many samples, on windows that overlap; default: at the end of each window.
        Two states read the windows in turn.
    cell_options : mapping
        Option of the cell, like order=8; a wrong one lists all.
    readout : str or None
        Decide by the last output or an average: last, mean, leaky; default: the cell's choice.
    mode : str
        Decide once per window, at its last step, or at every step: window, streaming.
    warmup : int or None
        Streaming: first steps of a recording that are not counted; None: half a window.
    front : str
        Integer front ends before the cell, like magnitude,gravity=0.3hz, and stack:2 for two
        samples a step; a wrong one lists all.
    """

    panel = MODEL
    hidden: Annotated[int, Option("--hidden", shown=True)] = 32
    layers: Annotated[int, Option("--layers", shown=True)] = 1
    dropout: Annotated[float, Option("--dropout")] = 0.2
    window: Annotated[int | None, Option("--window")] = None
    hop: Annotated[int | None, Option("--hop")] = None
    cell_options: Annotated[Mapping[str, Any], Option("--set", _parse_cell_options)] = field(
        default_factory=dict
    )
    readout: Annotated[str | None, Option("--readout")] = None
    mode: Annotated[str, Option("--mode", shown=True)] = "window"
    warmup: int | None = None
    front: Annotated[str, Option("--front")] = ""

    def check(self) -> None:
        """Raise a TrainError that names the first option out of range."""
        from edgeflow.cells.accumulate import READOUTS

        super().check()
        _one_of("mode", self.mode, MODES)
        _one_of("readout", self.readout, (None, *READOUTS))
        if self.hop is not None and self.mode == "streaming":
            raise TrainError(
                f"hop is {self.hop}, of windows that overlap, and streaming has no windows: leave "
                "one of the two out"
            )
        if not isinstance(self.cell_options, Mapping):
            raise TrainError(f"cell_options is {self.cell_options!r}: give a mapping")


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
    keep: str
    seed: int
    threads: int
    hidden: int
    layers: int
    dropout: float
    window: int | None
    hop: int | None
    cell_options: Mapping[str, Any]
    readout: str | None
    mode: str
    warmup: int | None
    front: str


def _one_of(name: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        names = ", ".join(k for k in known if k)
        raise TrainError(f"{name} is '{value}': use one of {names}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not isinstance(value, int | float):
        raise TrainError(f"{name} is {value!r}: it must be a number")
    if name in _WHOLE and type(value) is not int:
        raise TrainError(f"{name} is {value!r}: it must be a whole number")
    if not (low <= value <= high) or value == math.inf:
        limits = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise TrainError(f"{name} is {value}: it must be {limits}")

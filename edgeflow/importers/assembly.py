"""Layers collected along the path of a graph from input to output."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers.check import identifier
from edgeflow.importers.fold import scale_input, scale_output
from edgeflow.quantization import Floats

#: Samples that an import is checked on.
CHECKED = 8


@dataclass(frozen=True)
class Description:
    """Facts about a model from the caller: the fields of `FloatChain` of the same names."""

    channels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    window: int = 0
    rate_hz: float = 0.0


@dataclass
class Assembly:
    """A chain under construction.

    Parameters
    ----------
    inputs : int
        Channels.

    Attributes
    ----------
    version : int
        Counts what was added. A graph is a chain if each operation reads the latest version.
    """

    inputs: int
    layers: list[tuple[str, nn.Module]] = field(default_factory=list)
    version: int = 0
    softmax: bool = False

    def __post_init__(self) -> None:
        self.width = self.inputs
        self._mean, self._std = np.zeros(self.inputs), np.ones(self.inputs)
        self._pending: tuple[Floats, Floats] | None = None

    def affine(self, scale: ArrayLike, shift: ArrayLike) -> None:
        """Multiply each channel by `scale` and add `shift`, both [width] or a single value."""
        a, b = (self._vector(v) for v in (scale, shift))
        self.version += 1
        last = self.layers[-1][1] if self.layers else None
        if isinstance(last, nn.Linear):
            scale_output(last, torch.from_numpy(a), torch.from_numpy(b))
        elif self._pending is None:
            self._pending = a, b
        else:
            self._pending = a * self._pending[0], a * self._pending[1] + b

    def linear(self, name: str, weight: ArrayLike, bias: ArrayLike | None = None) -> None:
        """Add ``W x + b`` with W [outputs, width]."""
        w = np.asarray(weight, dtype=np.float64)
        if w.ndim != 2 or w.shape[1] != self.width:
            raise CompressError(
                f"{name} reads {w.shape[-1]} values, a step has {self.width}: a layer can read "
                "one step only (not a flattened window); use the last step's outputs"
            )
        layer = nn.Linear(w.shape[1], w.shape[0])
        b = np.zeros(w.shape[0]) if bias is None else np.asarray(bias, dtype=np.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(w))
            layer.bias.copy_(torch.from_numpy(np.broadcast_to(b.reshape(-1), w.shape[0]).copy()))
        self.add(name, layer, w.shape[0])

    def recurrent(
        self,
        name: str,
        kind: Callable[..., nn.Module],
        weight_ih: ArrayLike,
        weight_hh: ArrayLike,
        bias_ih: ArrayLike | None,
        bias_hh: ArrayLike | None,
    ) -> None:
        """Add a single layer whose rows are in torch's order of gates.

        `kind` makes it, given its sizes and ``batch_first``.
        """
        w, r = (np.asarray(v, dtype=np.float64) for v in (weight_ih, weight_hh))
        if w.shape[-1] != self.width:
            raise CompressError(f"{name} reads {w.shape[-1]} values, a step has {self.width}")
        layer = kind(w.shape[1], r.shape[1], batch_first=True)
        state = {"weight_ih_l0": w, "weight_hh_l0": r, "bias_ih_l0": bias_ih, "bias_hh_l0": bias_hh}
        zeros = np.zeros(len(w))
        layer.load_state_dict(
            {k: torch.tensor(np.asarray(zeros if v is None else v)) for k, v in state.items()}
        )
        self.add(name, layer, r.shape[1])

    def add(self, name: str, layer: nn.Module, width: int) -> None:
        """Add a layer with `width` outputs."""
        if self._pending is not None:
            a, b = self._pending
            if not self.layers and a.min() > 0:
                self._mean, self._std = -b / a, 1 / a
            else:
                scale_input(layer, torch.from_numpy(a), torch.from_numpy(b))
            self._pending = None
        self.layers.append((identifier(name, (n for n, _ in self.layers)), layer.eval()))
        self.width = width
        self.version += 1

    def finish(self, description: Description, source: str) -> FloatChain:
        """Return the chain."""
        if not self.layers:
            raise CompressError("there is no layer in it")
        if self._pending is not None:
            raise CompressError(
                f"it scales the outputs of {self.layers[-1][0]}: end the model with a linear layer"
            )
        return FloatChain(
            layers=self.layers,
            mean=self._mean.astype(np.float32),
            std=self._std.astype(np.float32),
            channels=description.channels or tuple(f"x{i}" for i in range(self.inputs)),
            classes=description.classes,
            window=description.window,
            rate_hz=description.rate_hz,
            source=source,
        )

    def _vector(self, value: ArrayLike) -> Floats:
        array = np.asarray(value, dtype=np.float64)
        if array.size not in (1, self.width) or (array.size > 1 and array.shape[-1] != self.width):
            raise CompressError(
                f"a constant of shape {list(array.shape)} is applied to {self.width} channels: "
                "only one value a channel is supported"
            )
        result: Floats = np.broadcast_to(array.reshape(-1), self.width).copy()
        return result


def samples(
    example: NDArray[np.float32], n: int | None, time: int | None
) -> list[NDArray[np.float32]]:
    """Return real samples and random ones alike, [n, time, channels], to check an import on.

    Parameters
    ----------
    example : float32 array [any, any, channels]
    n, time : int, optional
        Sizes that a graph was exported with, None where it takes any.

    Raises
    ------
    CompressError
        If the graph takes a single step: nothing would show how its state moves on.
    """
    if time == 1:
        raise CompressError(
            "it was exported for one time step: export it with a window of samples [n, time, "
            "channels] and without state inputs"
        )
    n, time = n or CHECKED, time or example.shape[1]
    rows = np.arange(n) % len(example)
    real = np.ascontiguousarray(
        example[rows][:, np.arange(time) % example.shape[1]], dtype=np.float32
    )
    noise = np.random.default_rng(0).standard_normal(real.shape)
    spread, centre = real.std(axis=(0, 1)), real.mean(axis=(0, 1))
    return [real, (centre + noise * np.where(spread > 0, spread, 1.0)).astype(np.float32)]

r"""Front ends: layers without weights between raw samples and the first layer that learns.

After a reset each counts the first sample as its whole past. A `Magnitude` is
:math:`\sqrt{\sum x^2}` of a vector, a `Difference` :math:`x_t - x_{t-1}`, `Gravity` splits off
what a one-pole low-pass filter gives, :math:`m_t = m_{t-1} + k (x_t - m_{t-1})`, and `Biquad` is
any recursive filter. They read units as they are, so nothing is normalised before them: the last
one has the mean and the deviation of what it gives.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.cells.cell import Layer
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.nodes.biquad import biquad_of
from edgeflow.quantization import Calibration, Converted, Floats, Signal


class FrontEnd(nn.Module):
    """x [n, time, inputs] -> ((y - mean) / std [n, time, outputs], state); without gradients.

    Parameters
    ----------
    inputs, outputs : int
        Values per sample.
    first, count : int
        The values that it works on: `count` from `first` on.

    Attributes
    ----------
    mean, std : Tensor [outputs]
        0 and 1 until they are set.
    input_format : tuple of (float, int) or None
        Unit and bits of the integers that it must be given; None: any.
    """

    input_format: ClassVar[tuple[float, int] | None] = None
    mean: Tensor
    std: Tensor

    def __init__(self, inputs: int, outputs: int, first: int, count: int) -> None:
        super().__init__()
        self.inputs, self.outputs, self.first, self.count = inputs, outputs, first, count
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("std", torch.ones(outputs))

    def values(self, x: Floats, state: Any) -> tuple[Floats, Any]:
        """Return y [n, time, outputs] before it is normalised, and the state after it."""
        raise NotImplementedError

    def sources(self, channels: Sequence[int]) -> list[int]:
        """Return the input channel whose unit each output has, given those of the inputs."""
        return list(channels)

    def alike(self) -> list[range]:
        """Return which inputs must be of one scale."""
        return []

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return normalised outputs and the state to go on from (None: from a reset)."""
        y, state = self.values(x.detach().numpy().astype(np.float64), state)
        return (torch.from_numpy(y.astype(np.float32)) - self.mean) / self.std, state

    def real(self, given: Calibration) -> Floats:
        """Return the outputs on calibration data before they are normalised."""
        real: Floats = given.real * self.std.numpy() + self.mean.numpy().astype(np.float64)
        return real

    def converted(self, node: nodes.Node, scale: Floats, given: Calibration) -> Converted:
        """Return the node; `scale` [outputs] is its unit before outputs are normalised."""
        mean, std = self.mean.double().numpy(), self.std.double().numpy()
        return Converted(node, Signal(-mean / std, scale / std, node.output_bits, given.real))

    def part(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return the values that it works on."""
        return x[..., self.first : self.first + self.count]


class Magnitude(FrontEnd):
    """Lengths of vectors, behind x if `keep`.

    Parameters
    ----------
    vectors, group : int
        How many, and of how many values, side by side from `first` on.
    """

    def __init__(
        self, inputs: int, first: int, vectors: int, group: int = 3, keep: bool = True
    ) -> None:
        super().__init__(inputs, keep * inputs + vectors, first, vectors * group)
        self.vectors, self.group, self.keep = vectors, group, keep

    def values(self, x: Floats, state: Any) -> tuple[Floats, Any]:
        groups = self.part(x).reshape(*x.shape[:2], self.vectors, self.group)
        lengths = np.sqrt((groups * groups).sum(axis=-1))
        return (np.concatenate([x, lengths], axis=2) if self.keep else lengths), None

    def sources(self, channels: Sequence[int]) -> list[int]:
        kept = list(channels) if self.keep else []
        return kept + [channels[group.start] for group in self.alike()]

    def alike(self) -> list[range]:
        starts = range(self.first, self.first + self.count, self.group)
        return [range(start, start + self.group) for start in starts]


class Difference(FrontEnd):
    """Differences of successive samples, behind x if `keep`."""

    def __init__(self, inputs: int, first: int, count: int, keep: bool = True) -> None:
        super().__init__(inputs, keep * inputs + count, first, count)
        self.keep = keep

    def values(self, x: Floats, state: Any) -> tuple[Floats, Any]:
        now = self.part(x)
        before = np.concatenate([now[:, :1] if state is None else state, now[:, :-1]], axis=1)
        moved = now - before
        return (np.concatenate([x, moved], axis=2) if self.keep else moved), now[:, -1:]

    def sources(self, channels: Sequence[int]) -> list[int]:
        return (list(channels) if self.keep else []) + list(self.part(np.array(channels)))


class Gravity(FrontEnd):
    """x less what is slow, and what is slow behind it.

    Parameters
    ----------
    corner : float
        Corner frequency of the low-pass filter, in cycles per sample, below 1/2.
    """

    def __init__(self, inputs: int, first: int, count: int, corner: float) -> None:
        super().__init__(inputs, inputs + count, first, count)
        self.rate = round((1 - math.exp(-2 * math.pi * corner)) * 32768)

    def values(self, x: Floats, state: Any) -> tuple[Floats, Any]:
        from scipy import signal  # a second

        now, k = self.part(x), self.rate / 32768
        start = (1 - k) * now[:, :1] if state is None else state
        slow, state = signal.lfilter([k], [1, k - 1], now, axis=1, zi=start)
        fast = x.copy()
        self.part(fast)[...] -= slow
        return np.concatenate([fast, slow], axis=2), state

    def sources(self, channels: Sequence[int]) -> list[int]:
        return [*channels, *self.part(np.array(channels))]


class Biquad(FrontEnd):
    """x with some of its values filtered.

    Parameters
    ----------
    sos : float64 array [sections, 6]
        Second-order sections, as of ``scipy.signal.butter(..., output="sos")``.
    """

    sos: Tensor

    def __init__(self, inputs: int, first: int, count: int, sos: Floats) -> None:
        super().__init__(inputs, inputs, first, count)
        self.register_buffer("sos", torch.from_numpy(np.array(sos, dtype=np.float64)))

    def values(self, x: Floats, state: Any) -> tuple[Floats, Any]:
        from scipy import signal

        sos, now, y = self.sos.numpy(), self.part(x), x.copy()
        if state is None:
            state = signal.sosfilt_zi(sos)[:, None, :, None] * now[None, :, :1]
        self.part(y)[...], state = signal.sosfilt(sos, now, axis=1, zi=state)
        return y, state


def source_of(given: Calibration) -> Signal:
    """Return what a front end reads, whose integer zero must be zero."""
    if given.source.offset.any():
        raise CompressError("it reads shifted values: put front ends before all other layers")
    return given.source


def convert_magnitude(layer: Any, given: Calibration) -> Converted:
    """Make the node; the shift, for lengths beyond the range of a value, comes from calibration."""
    source = source_of(given)
    units = source.scale[layer.first : layer.first + layer.count].reshape(layer.vectors, -1)
    if np.ptp(units, axis=1).max() > 1e-6 * units.max():
        raise CompressError("values of a vector have scales of their own: put it first")
    top = np.abs(layer.real(given)[..., -layer.vectors :]).max(axis=(0, 1)) / units[:, 0]
    shift = max(0, math.ceil(math.log2(max(float(top.max()), 1.0) / symmetric_max(source.bits))))
    node = nodes.Magnitude(
        given.name, layer.inputs, source.bits, layer.first, layer.vectors, layer.group,
        int(layer.keep), shift,
    )  # fmt: skip
    kept = source.scale if layer.keep else source.scale[:0]
    return layer.converted(node, np.concatenate([kept, units[:, 0] * 2.0**shift]), given)


def convert_difference(layer: Any, given: Calibration) -> Converted:
    """Make the node; differences have the unit of what they are of."""
    source = source_of(given)
    node = nodes.Difference(
        given.name, layer.inputs, source.bits, layer.first, layer.count, int(layer.keep)
    )
    kept = source.scale if layer.keep else source.scale[:0]
    return layer.converted(node, np.concatenate([kept, layer.part(source.scale)]), given)


def convert_gravity(layer: Any, given: Calibration) -> Converted:
    """Make the node."""
    source = source_of(given)
    node = nodes.Gravity(
        given.name, layer.inputs, source.bits, layer.first, layer.count, layer.rate
    )
    return layer.converted(node, np.concatenate([source.scale, layer.part(source.scale)]), given)


def convert_biquad(layer: Any, given: Calibration) -> Converted:
    """Make the node."""
    source, sos = source_of(given), layer.sos.numpy()
    node = biquad_of(given.name, layer.inputs, source.bits, layer.first, layer.count, sos)
    done = layer.converted(node, source.scale, given)
    if (error := node.error(sos)) < 1:
        return done
    note = f"its outputs are up to {error:.2g} units of the input off the float filter's"
    return Converted(done.node, done.output, notes=(note,))


def one_scale(layers: Sequence[nn.Module], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the input's scales [channels] with those made equal that the first layers add up."""
    scale, channels = scale.copy(), list(range(len(scale)))
    for layer in layers:
        if not isinstance(layer, FrontEnd):
            break
        for group in layer.alike():
            together = [channels[i] for i in group]
            scale[together] = scale[together].max()
        channels = layer.sources(channels)
    return scale


MAGNITUDE = Layer(Magnitude, convert_magnitude, pads=True)
DIFFERENCE = Layer(Difference, convert_difference, pads=True)
GRAVITY = Layer(Gravity, convert_gravity, pads=True)
BIQUAD = Layer(Biquad, convert_biquad, pads=True)

"""Convolutions and pooling over time, with strides, as layers of a chain.

A source has fewer steps behind a convolution without padding, a stream has a step for each sample.
So many first steps are noted (`Point.skip`), and left out by a `Decimate` where a layer has a
memory, or where a stride counts from the first. A recurrent layer may read several steps at a time,
side by side.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from edgeflow.cells.pool import MovingMax, MovingMean
from edgeflow.cells.rate import Decimate
from edgeflow.cells.sample_stack import SampleStack, unstack
from edgeflow.cells.taps import DelayLine, dense_kernel
from edgeflow.errors import CompressError
from edgeflow.importers.points import Map

if TYPE_CHECKING:
    from edgeflow.importers.assembly import Assembly

#: Layers that read one step at a time, and keep nothing of it, beside functions of single values.
WITHOUT_MEMORY = (nn.Linear, nn.LayerNorm)


def add_conv(
    chain: "Assembly", name: str, weight: ArrayLike, bias: ArrayLike | None, dilation: int,
    left: int, right: int, stride: int, groups: int,
) -> None:  # fmt: skip
    """Add a convolution; arguments as of `Assembly.conv`."""
    w = dense_kernel(torch.from_numpy(np.array(weight, np.float64)), groups).numpy()
    outputs, inputs, taps = w.shape
    maker = chain.point.maker
    before, after = chain.point.padding or (0, 0)
    left, right, past = before + left, after + right, (taps - 1) * dilation
    chain.point = replace(chain.point, padding=None)
    if not (left in (0, past) or (left < past and right == 0)):
        raise CompressError(
            f"{name}: padding {(left, right)} reads the future: pad {past} zeros on the left only, "
            f"with nn.functional.pad(x, ({past}, 0)) and padding=0, or with padding={past} and the "
            f"last {past} outputs cut off"
        )
    if left:
        begin(chain, name)  # zeros stand before the first step that the source has
    aside = None if left else _set_aside(chain)
    skip, parts = chain.point.skip + past - left, int(taps > 1) + int(stride > 1) + 1
    names = iter([name] if parts == 1 else [f"{name}{k}" for k in range(parts)])
    if taps > 1:
        chain.add(next(names), DelayLine(taps, dilation), taps * inputs, skips=True)
    chain.point = replace(chain.point, skip=skip)
    if stride > 1:
        begin(chain, next(names), stride)
    if aside is not None:
        gain, shift = (np.tile(v, taps) for v in aside)
        chain.point = chain.point.mapped(gain, shift, maker)
    chain.linear(next(names), w.transpose(0, 2, 1).reshape(outputs, -1), bias)


def add_pool(
    chain: "Assembly", name: str, kind: type[MovingMax] | type[MovingMean], kernel: int, stride: int
) -> None:
    """Add the largest, or the mean, of every `stride` windows of `kernel` steps, without padding.

    A map of the channels that waits for a layer goes on waiting where it keeps the order.
    """
    point = chain.point
    rises = all(part.map is None or (part.map[0] > 0).all() for part in point.parts)
    aside = _set_aside(chain) if rises or kind is MovingMean else None
    skip = point.skip + kernel - 1
    if kernel > 1:
        chain.add(f"{name}0" if stride > 1 else name, kind(kernel), chain.width, skips=True)
    chain.point = replace(chain.point, skip=skip)
    if stride > 1:
        begin(chain, f"{name}1" if kernel > 1 else name, stride)
    if aside is not None:
        chain.point = chain.point.mapped(*aside, point.maker)


def add_stack(chain: "Assembly", name: str, width: int) -> None:
    """Add a stack of steps where a layer reads `width` values, those of several side by side.

    That the source has laid out its samples in this order shows in the check of its outputs.
    """
    samples, rest = divmod(width, chain.width)
    if rest or samples < 2:
        return
    for k, part in enumerate(unstack(SampleStack(samples))):
        chain.add(f"{name}_stack{k}", part, width)


def _set_aside(chain: "Assembly") -> Map | None:
    """Return the map of channels that waits for a layer, and take it from what is read next."""
    point = chain.point
    if 0 in point.reads or (found := point.map_of(None)) is None:
        return None
    chain.point = replace(point, parts=tuple(replace(part, map=None) for part in point.parts))
    return found


def begin(chain: "Assembly", name: str, stride: int = 1) -> None:
    """Leave out the first steps, which the source does not have, and all but every `stride`."""
    skip, maker = chain.point.skip, chain.point.maker
    if not skip and stride == 1:
        return
    chain.point = replace(chain.point, skip=0)
    aside = _set_aside(chain)
    chain.add(name if stride > 1 else f"{name}_first", Decimate(skip, stride), chain.width)
    if aside is not None:
        chain.point = chain.point.mapped(*aside, maker)

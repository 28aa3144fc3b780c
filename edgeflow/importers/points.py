"""Values of an imported graph, as what layers of the chain under construction give."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgeflow.errors import CompressError
from edgeflow.quantization import Floats

#: ``a x + b`` of each channel.
Map = tuple[Floats, Floats]


@dataclass(frozen=True, eq=False)
class Part:
    """What a layer gives, or the samples, and a map of its channels that no layer has yet.

    Parameters
    ----------
    value : int
        0: the samples; k: what the k-th layer gives.
    width : int
    map : (float64 array [width], float64 array [width]), optional
    """

    value: int
    width: int
    map: Map | None = None


@dataclass(frozen=True, eq=False)
class Point:
    """A value: parts side by side.

    Parameters
    ----------
    parts : tuple of Part
    padding : (int, int), optional
        Zeros before and after the samples, for the convolution that reads it.
    maker : str
        What made the last map, for messages.
    skip : int
        First steps that the source does not have: of a convolution without padding.
    """

    parts: tuple[Part, ...]
    padding: tuple[int, int] | None = None
    maker: str = ""
    skip: int = 0

    @property
    def width(self) -> int:
        """Values of a step."""
        return sum(part.width for part in self.parts)

    @property
    def reads(self) -> tuple[int, ...]:
        """Numbers of the values that a layer reads."""
        return tuple(part.value for part in self.parts)

    @property
    def settled(self) -> bool:
        """Whether it is what layers give, with nothing that waits for another layer."""
        return self.padding is None and all(part.map is None for part in self.parts)

    def mapped(self, a: Floats, b: Floats, maker: str) -> "Point":
        """Return ``a x + b`` of its channels."""
        parts, start = list[Part](), 0
        for part in self.parts:
            at = slice(start, start := start + part.width)
            scale, shift = part.map or (np.ones(part.width), np.zeros(part.width))
            parts.append(replace(part, map=(a[at] * scale, a[at] * shift + b[at])))
        return replace(self, parts=tuple(parts), maker=maker)

    def map_of(self, samples: Map | None) -> Map | None:
        """Return the map of all channels, None if it changes nothing.

        `samples` is the map that the samples have already, as part of their normalisation.
        """
        maps = [_behind(part, samples) for part in self.parts]
        if not any(maps):
            return None
        filled = [
            found or (np.ones(part.width), np.zeros(part.width))
            for found, part in zip(maps, self.parts, strict=True)
        ]
        return np.concatenate([a for a, _ in filled]), np.concatenate([b for _, b in filled])


def _behind(part: Part, samples: Map | None) -> Map | None:
    """Return a part's map, of samples behind the map that is part of their normalisation."""
    if part.value or samples is None:
        return part.map
    a, b = part.map or (np.ones(part.width), np.zeros(part.width))
    scale = a / samples[0]
    shift = b - scale * samples[1]
    same = np.allclose(scale, 1, atol=0) and np.allclose(shift, 0, atol=1e-9 * np.abs(b).max())
    return None if same else (scale, shift)


def side_by_side(points: Sequence[Point], name: str) -> Point:
    """Return several values as one."""
    if any(point.padding for point in points):
        raise CompressError(
            f"the samples are padded in front of {name}: pad in front of convolutions only"
        )
    makers = [point.maker for point in points if point.maker]
    parts = tuple(part for point in points for part in point.parts)
    skip = max(point.skip for point in points)
    return Point(parts, maker=makers[-1] if makers else "", skip=skip)

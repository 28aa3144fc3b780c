"""Magnitude of vectors, such as those of an accelerometer: free of the sensor's orientation."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints, clip, largest_magnitude
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.front import FrontEnd


@dataclass(frozen=True, eq=False, repr=False)
class Magnitude(FrontEnd):
    r"""Length of each group of values, rounded to the nearest.

    With S the sum of a group's squares:

    .. math:: m = clip(\lfloor \sqrt{S} / 2^{shift} + 1/2 \rfloor)

    exactly: the root is found bit by bit. y are the lengths or, with `keep`, x and the lengths.

    Parameters
    ----------
    name : str
    size, bits, first, count
        As of every front end.
    group : int
        Values of a vector; S stays below 2^32.
    keep : int
        1: x comes first in y.
    shift : int
        0..15.
    """

    group: int
    keep: int = 1
    shift: int = 0

    op_type = "Magnitude"
    int_fields = {
        **FrontEnd.int_fields, "group": (1, MAX_SIZE), "keep": (0, 1), "shift": (0, 15),
    }  # fmt: skip
    unrolled_fields = ("keep",)
    c_struct = "ef_magnitude"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.group * largest_magnitude(self.bits) ** 2 < 1 << 32,
            f"the squares of {self.group} values of {self.bits} bits leave 32 bits",
        )

    @property
    def outputs(self) -> int:
        return self.keep * self.size + self.count

    @property
    def worked(self) -> int:
        return self.count * self.group

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        groups = self.chosen(x).reshape(-1, self.count, self.group)
        root, rest = square_root((groups * groups.astype(np.int64)).sum(axis=-1))
        # a root that was cut is nearer to the next number if S > root^2 + root, and never between
        nearest = root + (rest > root).astype(np.int64)
        half = (1 << self.shift) >> 1
        # of a cut root the shift rounds as of the root itself
        lengths = clip(np.where(half == 0, nearest, (root + half) >> self.shift), self.bits)
        return np.concatenate([x, lengths], axis=1) if self.keep else lengths, {}


def square_root(value: Ints) -> tuple[Ints, Ints]:
    """Return ``root = floor(sqrt(value))`` and ``value - root^2``, for values below 2^32."""
    root, rest = value * 0, value
    for bit in range(15, -1, -1):
        more = (2 * root + (1 << bit)) << bit  # (root + 2^bit)^2 - root^2
        fits = rest >= more
        rest = np.where(fits, rest - more, rest)
        root = np.where(fits, root + (1 << bit), root)
    return root, rest

"""What nodes before the first layer share: a range of values, and the first sample as the past."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node


@dataclass(frozen=True, eq=False, repr=False)
class FrontEnd(Node):
    """A node that works on some of its inputs, next to each other, and passes the others.

    Parameters
    ----------
    name : str
    size : int
        Values per sample.
    bits : int
        Their width, and that of y, 2..16.
    first : int
        The first value that it works on.
    count : int
        How many values or vectors, at least 1.
    """

    size: int
    bits: int
    first: int
    count: int

    x_field = ("size", "bits")
    y_field = ("outputs", "bits")
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE), "bits": (2, 16), "first": (0, MAX_SIZE), "count": (1, MAX_SIZE),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.first + self.worked <= self.size,
            f"it works on values {self.first}..{self.first + self.worked - 1} of {self.size}",
        )
        self.require(
            self.outputs <= MAX_SIZE,
            f"it gives {self.outputs} values: at most {MAX_SIZE} fit",
        )

    @property
    def worked(self) -> int:
        """Values that it works on."""
        return self.count

    def chosen(self, x: Ints) -> Ints:
        """Return the values that it works on, [n, worked]."""
        return x[:, self.first : self.first + self.worked]

    def placed(self, x: Ints, values: Ints) -> Ints:
        """Return x with `values` in the place of those that it works on."""
        return np.concatenate([x[:, : self.first], values, x[:, self.first + self.count :]], axis=1)

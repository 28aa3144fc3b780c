"""Layer normalisation: each step's values, less their mean, over their standard deviation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import Ints, narrow, shift_right_round
from edgeflow.program.nodes.base import INT16, Node, State

#: Most values, so that n x - sum(x) stays within 31 bits and its squares within 60.
MAX_VALUES = 1 << 14
#: Largest epsilon: the argument of the square root stays below 2^60.
MAX_EPSILON = 1 << 59
#: Largest bias: as ``gain z < 2^42``, what is clipped fits 32 bits. onnxruntime's Min and Max of
#: int64 are wrong beyond (1.31, x86: they compare the low words as signed).
MAX_BIAS = (1 << 31) - (1 << 23)
#: First guess of 2^30 / sqrt(v / 2^28) for v in [2^28, 2^30): GUESS - 5 v / 8, within 10 %.
GUESS = 69 << 24
#: Fractional bits of a normalised value.
FRACTION = 20


@dataclass(frozen=True, eq=False, repr=False)
class LayerNorm(Node):
    r"""Normalise n values (Ba et al. 2016, arXiv 1607.06450).

    .. math::
        d &= n x - \sum x, \quad R = n \sum x^2 - (\sum x)^2 + \epsilon \\
        z &= round(2^{20} d / \sqrt{R}) \\
        y &= clip((gain\, z + 2^{20} bias + 2^{19 + shift}) >> (20 + shift))

    exactly as in docs/integer-semantics.md: R and the products are of 64 bits, the reciprocal of
    the root is found by three Newton steps, without a table or a division.

    Parameters
    ----------
    name : str
    gain : int16 array [n]
        In units of ``2^-shift`` of y's.
    bias : int32 array [n]
        In the unit of gain; at most `MAX_BIAS`.
    epsilon : int
        Times n^2, in units of x squared; 1..2^59.
    source_bits : int
        Width of x, 2..16.
    state_bits : int
        Width of y, 8..16.
    shift : int
        0..15.
    """

    gain: NDArray[np.int16]
    bias: NDArray[np.int32]
    epsilon: int
    source_bits: int
    state_bits: int
    shift: int

    op_type = "LayerNorm"
    x_field = ("gain.size", "source_bits")
    y_field = ("gain.size", "state_bits")
    array_fields = {"gain": INT16, "bias": (-MAX_BIAS, MAX_BIAS)}
    size_fields = ("size",)
    int_fields = {
        "epsilon": (1, MAX_EPSILON), "source_bits": (2, 16), "state_bits": (8, 16),
        "shift": (0, 15),
    }  # fmt: skip
    c_struct = "ef_layer_norm"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            1 <= self.size <= MAX_VALUES and self.bias.size == self.size,
            f"gain and bias must be of the same size up to {MAX_VALUES}",
        )

    @property
    def size(self) -> int:
        """Number of values, at most 2^14."""
        return self.gain.size

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        n = self.size
        total = x.sum(axis=1, keepdims=True)
        centred = n * x - total
        root = n * (x * x).sum(axis=1, keepdims=True) - total * total + self.epsilon
        down: int | Ints = 44 - FRACTION  # and half the exponent that the root is brought to
        for bits in (16, 8, 4, 2):
            large = root >= 1 << (28 + bits)
            root = np.where(large, root >> bits, root)
            down = np.where(large, down + bits // 2, down)
        for bits in (16, 8, 4, 2):
            small = root < 1 << (30 - bits)
            root = np.where(small, root << bits, root)
            down = np.where(small, down - bits // 2, down)
        inverse = GUESS - (root * 5 >> 3)
        for _ in range(3):
            error = (3 << 30) - (root * (inverse * inverse >> 30) >> 28)
            inverse = inverse * error >> 31
        z = shift_right_round(centred * inverse, down)
        whole = z * self.gain + (self.bias.astype(np.int64) << FRACTION)
        return narrow(whole, FRACTION + self.shift, self.state_bits), {}

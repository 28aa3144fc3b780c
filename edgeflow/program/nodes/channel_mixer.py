"""Two linear layers around a rectification, added to what they read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT16_MAX, Ints, narrow, saturate, symmetric_max
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Node, State


@dataclass(frozen=True, eq=False, repr=False)
class ChannelMixer(Node):
    r"""``y = x + W_2 relu(W_1 x + b_1) + b_2``.

    With ``h = clip(up(x), 0, 2^(hidden_bits - 1) - 1)``, b for state_bits and ``r = down(h)``, in
    units of ``2^-(16 - b)`` of y's:

    .. math:: y = clip((skip \odot x + 2^{b - 1} r + 2^{14}) >> 15, \pm (2^{b - 1} - 1))

    Parameters
    ----------
    name : str
    up : Matrix [hidden, size]
    down : Matrix [size, hidden]
    skip : int16 array [size]
        A unit of x in units of y, Q0.15, not negative.
    hidden_bits, state_bits : int
        Widths of h, 2..16, and of y, 8..16.
    """

    up: Matrix
    down: Matrix
    skip: NDArray[np.int16]
    hidden_bits: int
    state_bits: int

    op_type = "ChannelMixer"
    x_field = ("up.inputs", "up.x_bits")
    y_field = ("down.rows", "state_bits")
    matrix_fields = ("up", "down")
    delta_sources = {"up": "x"}
    array_fields = {"skip": (0, INT16_MAX)}
    size_fields = ("size", "hidden")
    int_fields = {"hidden_bits": (2, 16), "state_bits": (8, 16)}
    c_struct = "ef_channel_mixer"
    c_helpers = ("ef_relu_s16",)

    def __post_init__(self) -> None:
        super().__post_init__()
        size, hidden = self.up.inputs, self.up.rows
        self.require(
            self.down.weight.shape == (size, hidden),
            f"{size} values and {hidden} hidden ones need a second matrix of {size} x {hidden}, "
            f"not {self.down.rows} x {self.down.cols}",
        )
        self.require(self.skip.size == size, f"skip must have one value for each of {size}")
        self.require(
            self.down.input_bits == self.hidden_bits,
            f"the hidden width {self.hidden_bits} must equal what the second matrix reads, "
            f"{self.down.input_bits}",
        )

    @property
    def size(self) -> int:
        """Values of x and of y."""
        return self.outputs

    @property
    def hidden(self) -> int:
        """Values between the two matrices."""
        return self.up.rows

    @property
    def scratch(self) -> int:
        return round_up(self.up.rows) + self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        hidden = saturate(self.product("up", x, state), 0, symmetric_max(self.hidden_bits))
        # both products are at most 2^30: their sum and the half fit 32 bits
        branch = self.down.apply(hidden) << (self.state_bits - 1)
        return narrow(x * self.skip + branch, 15, self.state_bits), {}

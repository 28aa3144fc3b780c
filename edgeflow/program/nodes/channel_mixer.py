"""Two linear layers around a rectification, added to what they read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import (
    INT16_MAX,
    Ints,
    narrow,
    saturate,
    symmetric_max,
)
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Node, Range, State


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

    op_type: ClassVar[str] = "ChannelMixer"
    matrix_fields: ClassVar[tuple[str, ...]] = ("up", "down")
    delta_sources: ClassVar[Mapping[str, str]] = {"up": "x"}
    array_fields: ClassVar[Mapping[str, Range]] = {"skip": (0, INT16_MAX)}
    size_fields: ClassVar[tuple[str, ...]] = ("size", "hidden")
    int_fields: ClassVar[Mapping[str, Range]] = {"hidden_bits": (2, 16), "state_bits": (8, 16)}
    c_struct: ClassVar[str | None] = "ef_channel_mixer"
    c_function: ClassVar[str | None] = "ef_channel_mixer_step"
    c_helpers: ClassVar[tuple[str, ...]] = ("ef_relu_s16",)

    def __post_init__(self) -> None:
        super().__post_init__()
        size, hidden = self.up.inputs, self.up.rows
        if (self.down.rows, self.down.cols) != (size, hidden):
            raise ProgramError(
                f"layer {self.name}: {size} values and {hidden} hidden ones need a second matrix "
                f"of {size} x {hidden}, not {self.down.rows} x {self.down.cols}"
            )
        if self.skip.size != size:
            raise ProgramError(f"layer {self.name}: skip must have one value for each of {size}")
        if self.down.input_bits != self.hidden_bits:
            raise ProgramError(
                f"layer {self.name}: the hidden width {self.hidden_bits} must equal what the "
                f"second matrix reads, {self.down.input_bits}"
            )

    @property
    def inputs(self) -> int:
        return self.up.inputs

    @property
    def outputs(self) -> int:
        return self.down.rows

    @property
    def size(self) -> int:
        """Values of x and of y."""
        return self.outputs

    @property
    def hidden(self) -> int:
        """Values between the two matrices."""
        return self.up.rows

    @property
    def input_bits(self) -> int:
        return self.up.x_bits

    @property
    def output_bits(self) -> int:
        return self.state_bits

    @property
    def scratch(self) -> int:
        return round_up(self.up.rows) + self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        hidden = saturate(self.product("up", x, state), 0, symmetric_max(self.hidden_bits))
        # both products are at most 2^30: their sum and the half fit 32 bits
        branch = self.down.apply(hidden) << (self.state_bits - 1)
        return narrow(x * self.skip + branch, 15, self.state_bits), {}

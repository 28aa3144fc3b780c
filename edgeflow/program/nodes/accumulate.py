"""Sum over time, with or without a leak."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from edgeflow.program.fixedpoint import Ints, saturate, shift_right_round
from edgeflow.program.nodes.base import Node, State, StateVector

#: The sum stays within this, so that no step leaves 32 bits.
LIMIT = 1 << 30


@dataclass(frozen=True, eq=False, repr=False)
class Accumulate(Node):
    r"""``a' = clip(a - ((a k + 2^14) >> 15) + x, +-2^30)``, ``k = 2^15 - decay``.

    The output is ``sat16((a' + half) >> shift)`` with ``half = 2^shift / 2``, 0 for no shift.

    Parameters
    ----------
    name : str
    size : int
    bits : int
        Width of the input, 2..16.
    decay : int
        Q0.15, 0..32768; 32768 sums without a leak.
    shift : int
        0..15.
    """

    size: int
    bits: int
    decay: int
    shift: int

    op_type: ClassVar[str] = "Accumulate"
    int_fields: ClassVar[tuple[str, ...]] = ("size", "bits", "decay", "shift")
    c_struct: ClassVar[str | None] = "ef_accumulate"
    c_function: ClassVar[str | None] = "ef_accumulate_step"

    def __post_init__(self) -> None:
        self.check_ranges(
            {"size": (1, 65535), "bits": (2, 16), "decay": (0, 32768), "shift": (0, 15)}
        )

    @property
    def inputs(self) -> int:
        return self.size

    @property
    def outputs(self) -> int:
        return self.size

    @property
    def input_bits(self) -> int:
        return self.bits

    @property
    def output_bits(self) -> int:
        return 16

    @property
    def states(self) -> Mapping[str, StateVector]:
        return {"sum": StateVector(self.size, 32)}

    @property
    def c_sizes(self) -> tuple[int, ...]:
        return ()

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        leak = shift_right_round(state["sum"] * ((1 << 15) - self.decay), 15)
        total = saturate(state["sum"] - leak + x, -LIMIT, LIMIT)
        half = (1 << self.shift) >> 1
        return saturate((total + half) >> self.shift), {"sum": total}

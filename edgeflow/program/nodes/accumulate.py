"""Sum over time, with or without a leak."""

from dataclasses import dataclass

from edgeflow.program.fixedpoint import Ints, saturate, shift_right_round
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import Node, State

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

    op_type = "Accumulate"
    x_field = ("size", "bits")
    y_field = ("size", 16)
    size_fields = ()
    int_fields = {
        "size": (1, MAX_SIZE), "bits": (2, 16), "decay": (0, 1 << 15), "shift": (0, 15),
    }  # fmt: skip
    state_fields = {"sum": ("size", 32)}
    c_struct = "ef_accumulate"

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        leak = shift_right_round(state["sum"] * ((1 << 15) - self.decay), 15)
        total = saturate(state["sum"] - leak + x, -LIMIT, LIMIT)
        half = (1 << self.shift) >> 1
        return saturate((total + half) >> self.shift), {"sum": total}

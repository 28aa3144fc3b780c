"""Liquid time-constant cell: fused solver with a reciprocal from a table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import (
    INT16_MAX,
    Ints,
    clip,
    interpolate,
    lookup,
    nodes_of,
    saturate,
    shift_right_round,
)
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import INT16, Node, State

#: Most solver steps per sample.
MAX_UNFOLDS = 12
#: Denominators are Q2.30 numbers from here...
MIN_DENOMINATOR = 1 << 16
#: ...to below here, for every input; numerators are below it, too.
MAX_SUM = 1 << 30
#: Offsets are in units of 2^(OFFSET_SHIFT - 12), so that they reach +-32: a synapse may open far
#: from where its source usually is.
OFFSET_SHIFT = 2
_SYNAPSE = ("slope", "offset", "weight", "reversal")


def quotient(numerator: Ints, denominator: Ints) -> Ints:
    """Return ``numerator / denominator`` in Q0.15, within +-32767.

    Both are scaled by the power of two that brings the denominator to [2^29, 2^30); its
    reciprocal comes from a table of 257 nodes. The error is below 1.2e-4.

    Parameters
    ----------
    numerator : int array
        Clipped to +-denominator.
    denominator : int array
        In [2^16, 2^30).
    """
    doublings = (denominator < 1 << 17).astype(np.int64)
    for e in range(18, 30):
        doublings = doublings + (denominator < 1 << e)
    scale = 1 << doublings
    n = saturate(numerator, -denominator, denominator) * scale
    m = ((denominator * scale) >> 14) - (1 << 15)
    reciprocal = interpolate(nodes_of("reciprocal", m), m, 7)
    product = shift_right_round(n, 15) * reciprocal
    return saturate(shift_right_round(product, 14), -INT16_MAX, INT16_MAX)


@dataclass(frozen=True, eq=False, repr=False)
class LTC(Node):
    r"""LTC cell (Hasani et al. 2021, arXiv 2006.04439), constant time steps.

    A synapse from source i to unit j conducts :math:`s_{ij} = \sigma(slope_{ij} x_i +
    offset_{ij})`. Each sample, with the sums over the inputs and, in each of `unfolds` solver
    steps, over the units of the step before:

    .. math::
        v_j' = \frac{capacity_j v_j + leak_j + \sum_i reversal_{ij} s_{ij}}
                    {rest_j + \sum_i weight_{ij} s_{ij}}

    The state is Q0.15. Conductances are scaled for each unit such that numerator and denominator
    stay below 1 in Q30.

    Parameters
    ----------
    name : str
    sensory_slope, sensory_offset, sensory_weight, sensory_reversal : int16 array [hidden * inputs]
        Of the inputs' synapses; the arguments of the sigmoid are in Q3.12, offsets in Q5.10,
        conductances in Q0.15.
    slope, offset, weight, reversal : int16 array [hidden * hidden]
        Of the synapses between units.
    capacity : int16 array [hidden]
        Q0.15.
    leak, rest : int32 array [hidden]
        Q0.30.
    unfolds : int
        Solver steps per sample, 1..`MAX_UNFOLDS`.
    source_bits : int
        Width of the input, 2..16.
    motors : int
        The first units, which are the output.
    sensory_shift, shift : int
        One unit of a slope is ``2**-shift``, 1..15.
    """

    sensory_slope: NDArray[np.int16]
    sensory_offset: NDArray[np.int16]
    sensory_weight: NDArray[np.int16]
    sensory_reversal: NDArray[np.int16]
    slope: NDArray[np.int16]
    offset: NDArray[np.int16]
    weight: NDArray[np.int16]
    reversal: NDArray[np.int16]
    capacity: NDArray[np.int16]
    leak: NDArray[np.int32]
    rest: NDArray[np.int32]
    unfolds: int
    source_bits: int
    motors: int
    sensory_shift: int
    shift: int

    op_type = "LTC"
    x_field = ("inputs", "source_bits")
    y_field = ("motors", 16)
    array_fields = {
        "sensory_slope": INT16, "sensory_offset": INT16, "sensory_weight": (0, INT16_MAX),
        "sensory_reversal": INT16, "slope": INT16, "offset": INT16, "weight": (0, INT16_MAX),
        "reversal": INT16, "capacity": (0, INT16_MAX), "leak": (-MAX_SUM, MAX_SUM),
        "rest": (MIN_DENOMINATOR, MAX_SUM),
    }  # fmt: skip
    size_fields = ("inputs", "hidden")
    int_fields = {
        "unfolds": (1, MAX_UNFOLDS), "source_bits": (2, 16), "motors": (1, MAX_SIZE),
        "sensory_shift": (1, 15), "shift": (1, 15),
    }  # fmt: skip
    unrolled_fields = ("unfolds",)
    tables = ("sigmoid", "reciprocal")
    output_state = "v"
    state_fields = {"v": ("hidden", 16)}
    c_struct = "ef_ltc"

    def __post_init__(self) -> None:
        super().__post_init__()
        hidden, motors = self.hidden, self.motors
        fits = 1 <= motors <= hidden and self.sensory_slope.size % hidden == 0
        self.require(fits, f"{motors} outputs of {hidden} units are impossible")
        for field, array in self.arrays().items():
            size = {"sensory": hidden * self.inputs}.get(field.split("_")[0], hidden * hidden)
            size = hidden if field in ("capacity", "leak", "rest") else size
            self.require(array.size == size, f"{field} must have {size} values")
        reach = INT16_MAX * (self._total(self.weight) + self._total(self.sensory_weight))
        reach = reach + self._total(self.rest)
        self.require(reach < MAX_SUM, "a denominator could leave [2^16, 2^30)")
        pull = self._total(self.reversal) + self._total(self.sensory_reversal)
        pull = INT16_MAX * (pull + self._total(self.capacity)) + self._total(self.leak)
        self.require(pull < MAX_SUM, "a numerator could reach 2^30")

    def _total(self, values: NDArray[Any]) -> Ints:
        return np.abs(values.astype(np.int64)).reshape(self.hidden, -1).sum(axis=1)

    @property
    def hidden(self) -> int:
        """Number of units."""
        return self.capacity.size

    @property
    def inputs(self) -> int:
        return self.sensory_slope.size // self.hidden

    @property
    def scratch(self) -> int:
        return self.hidden

    @property
    def scratch32(self) -> int:
        return 2 * self.hidden

    def macs(self) -> int:
        return 2 * (self.inputs + self.unfolds * self.hidden) * self.hidden

    def taken_macs(self) -> int:
        sensory = np.count_nonzero(self.sensory_weight | self.sensory_reversal)
        return 2 * int(sensory + self.unfolds * np.count_nonzero(self.weight | self.reversal))

    def _sums(self, prefix: str, x: Ints, shift: int) -> tuple[Ints, Ints]:
        slope, offset, weight, reversal = (
            getattr(self, prefix + field).astype(np.int64).reshape(self.hidden, -1)
            for field in _SYNAPSE
        )
        value = shift_right_round(x[:, None] * slope, shift) + offset * (1 << OFFSET_SHIFT)
        s = lookup("sigmoid", saturate(value))
        return (s * reversal).sum(axis=-1), (s * weight).sum(axis=-1)

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        sensory_numerator, sensory_denominator = self._sums("sensory_", x, self.sensory_shift)
        pull, rest = sensory_numerator + self.leak, sensory_denominator + self.rest
        v = clip(state["v"], 16)
        for _ in range(self.unfolds):
            numerator, denominator = self._sums("", v, self.shift)
            v = quotient(numerator + pull + self.capacity * v, denominator + rest)
        return v[:, : self.motors], {"v": v}

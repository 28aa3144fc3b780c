"""Spiking Legendre Memory Unit, of neurons with or without synaptic current."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import INT16_MAX, Ints
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Node, Range, State, StateField
from edgeflow.program.nodes.lif import (
    RESETS,
    check_neurons,
    filtered,
    fire,
)


@dataclass(frozen=True, eq=False, repr=False)
class L2MU(Node):
    r"""Legendre Memory Unit of three spiking populations (equations: ``edgeflow.cells.l2mu``).

    With ``P(i)`` the step of integrate-and-fire neurons, ``edgeflow.program.nodes.lif.LIF``, for
    the current i, and :math:`m^{(k)}` the `order` spikes of memory k:

    .. math::
        e' &= P(encode([x, h, m])) \\
        m'^{(k)} &= P(transition([m^{(k)}, e'_k])) \\
        h' &= P(update([x, h, m']))

    Parameters
    ----------
    name : str
    encode : Matrix [memory_size, inputs + hidden + memory_size * order]
    transition : Matrix [order, order + 1]
        A and B of all memories; reads spikes, so its input has 2 bits.
    update : Matrix [hidden, inputs + hidden + memory_size * order]
        `encode` and `update` read x beside spikes, at x's width; with 2 bits all are spikes.
    beta : int16 array [memory_size + memory_size * order + hidden]
        Q0.15, not negative, of e, m, h.
    threshold : int16 array, as beta
        Not negative.
    reset : int
        Position in ``edgeflow.program.nodes.lif.RESETS``.
    alpha : int16 array, as beta, optional
        Q0.15, not negative; with it there are synaptic currents j.
    """

    encode: Matrix
    transition: Matrix
    update: Matrix
    beta: NDArray[np.int16]
    threshold: NDArray[np.int16]
    reset: int = 0
    alpha: NDArray[np.int16] | None = None

    op_type: ClassVar[str] = "L2MU"
    matrix_fields: ClassVar[tuple[str, ...]] = ("encode", "transition", "update")
    array_fields: ClassVar[Mapping[str, Range]] = {
        "alpha": (0, INT16_MAX), "beta": (0, INT16_MAX), "threshold": (0, INT16_MAX),
    }  # fmt: skip
    size_fields: ClassVar[tuple[str, ...]] = ()
    int_fields: ClassVar[Mapping[str, Range]] = {"reset": (0, len(RESETS) - 1)}
    output_state: ClassVar[str | None] = "h"
    state_fields: ClassVar[Mapping[str, StateField]] = {
        "j": ("currents", 16), "u": ("neurons", 16), "e": ("encoders", 2),
        "m": ("memory_values", 2), "h": ("hidden", 2),
    }  # fmt: skip
    c_struct: ClassVar[str | None] = "ef_l2mu"
    c_function: ClassVar[str | None] = "ef_l2mu_step"
    c_helpers: ClassVar[tuple[str, ...]] = ("ef_lif_step",)

    def __post_init__(self) -> None:
        super().__post_init__()
        order, cols = self.transition.rows, self.encode.cols
        if (self.transition.cols, self.transition.input_bits) != (order + 1, 2):
            raise ProgramError(
                f"layer {self.name}: the transition of {order} values must be {order} x "
                f"{order + 1} for 2-bit spikes, not {order} x {self.transition.cols} for "
                f"{self.transition.input_bits} bits"
            )
        if self.update.cols != cols or self.update.input_bits != self.encode.input_bits:
            raise ProgramError(
                f"layer {self.name}: encode and update must read the same, not {cols} values of "
                f"{self.encode.input_bits} bits and {self.update.cols} of {self.update.input_bits}"
            )
        if self.inputs < 1:
            raise ProgramError(
                f"layer {self.name}: {cols} columns leave no input beside {self.outputs} units "
                f"and {self._sizes[1]} memory neurons"
            )
        check_neurons(self, self.neurons)

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """Neurons of e, m, h."""
        return self.encoders, self.memory_values, self.update.rows

    @property
    def encoders(self) -> int:
        """Neurons of e, one for each memory."""
        return self.encode.rows

    @property
    def memory_values(self) -> int:
        """Neurons of m."""
        return self.encoders * self.transition.rows

    @property
    def neurons(self) -> int:
        """Neurons of e, m and h."""
        return sum(self._sizes)

    @property
    def currents(self) -> int:
        """Synaptic currents: none without alpha."""
        return 0 if self.alpha is None else self.neurons

    @property
    def inputs(self) -> int:
        return self.encode.cols - self._sizes[1] - self._sizes[2]

    @property
    def outputs(self) -> int:
        return self.update.rows

    @property
    def input_bits(self) -> int:
        return self.encode.input_bits

    @property
    def output_bits(self) -> int:
        return 2

    @property
    def scratch(self) -> int:
        largest = max(self.encode.rows, self.transition.rows, self.update.rows)
        return round_up(self.encode.cols) + round_up(self.transition.cols) + largest

    def macs(self) -> int:
        size, order = self.encode.rows, self.transition.rows
        return super().macs() + (size - 1) * order * (order + 1)

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        size, order = self.encode.rows, self.transition.rows
        inner = size + size * order
        bounds = (0, size, inner, inner + self.update.rows)
        membranes: list[Ints] = []
        currents: list[Ints] = []

        def population(k: int, current: Ints, s: Ints) -> Ints:
            mine = (..., slice(bounds[k], bounds[k + 1]))
            if self.alpha is not None:
                current = filtered(current, state["j"][mine], self.alpha[mine])
                currents.append(current)
            beta, threshold = self.beta[mine], self.threshold[mine]
            u, s = fire(current, state["u"][mine], s, beta, threshold, self.reset)
            membranes.append(u)
            return s

        h, m = state["h"], state["m"]
        e = population(0, self.encode.apply(np.concatenate([x, h, m], axis=1)), state["e"])
        pairs = np.concatenate([m.reshape(-1, size, order), e[..., None]], axis=2)
        m = population(1, self.transition.apply(pairs).reshape(-1, size * order), m)
        h = population(2, self.update.apply(np.concatenate([x, h, m], axis=1)), h)
        new = {"j": np.concatenate(currents, axis=1)} if currents else {}
        return h, new | {"u": np.concatenate(membranes, axis=1), "e": e, "m": m, "h": h}

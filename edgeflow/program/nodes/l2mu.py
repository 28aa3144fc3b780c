"""Spiking Legendre Memory Unit, of neurons with or without synaptic current."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import State
from edgeflow.program.nodes.lif import Spiking, filtered, fire


@dataclass(frozen=True, eq=False, repr=False)
class L2MU(Spiking):
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

    op_type = "L2MU"
    x_field = ("inputs", "encode.input_bits")
    y_field = ("update.rows", 2)
    matrix_fields = ("encode", "transition", "update")
    size_fields = ()
    output_state = "h"
    state_fields = {
        "j": ("currents", 16), "u": ("neurons", 16), "e": ("encoders", 2),
        "m": ("memory_values", 2), "h": ("hidden", 2),
    }  # fmt: skip
    c_struct = "ef_l2mu"
    c_helpers = ("ef_lif_step",)

    def __post_init__(self) -> None:
        super().__post_init__()
        order, cols = self.transition.rows, self.encode.cols
        self.require(
            (self.transition.cols, self.transition.input_bits) == (order + 1, 2),
            f"the transition of {order} values must be {order} x {order + 1} for 2-bit spikes, not "
            f"{order} x {self.transition.cols} for {self.transition.input_bits} bits",
        )
        self.require(
            self.update.cols == cols and self.update.input_bits == self.encode.input_bits,
            f"encode and update must read the same, not {cols} values of {self.encode.input_bits} "
            f"bits and {self.update.cols} of {self.update.input_bits}",
        )
        self.require(
            self.inputs > 0,
            f"{cols} columns leave no input beside {self.outputs} units and {self.memory_values} "
            "memory neurons",
        )
        self.check_neurons()

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
        return self.encoders + self.memory_values + self.update.rows

    @property
    def inputs(self) -> int:
        return self.encode.cols - self.memory_values - self.update.rows

    @property
    def scratch(self) -> int:
        largest = max(self.encode.rows, self.transition.rows, self.update.rows)
        return round_up(self.encode.cols) + round_up(self.transition.cols) + largest

    def calls(self, product: str) -> int:
        return self.encode.rows if product == "transition" else 1

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

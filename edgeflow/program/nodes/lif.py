"""Leaky integrate-and-fire neurons, with or without recurrence and synaptic current."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT16_MAX, Ints, saturate, shift_right_round, switch
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import Node, State

Shorts = NDArray[np.int16]
#: Effect of a spike on the membrane; the position is the value of `reset`.
RESETS = ("subtract", "zero", "refractory")


def fire(
    current: Ints, u: Ints, s: Ints, beta: Shorts, threshold: Shorts, reset: int
) -> tuple[Ints, Ints]:
    """Return the next membrane and spikes (`LIF`), given the current."""
    decayed = shift_right_round(u * beta, 15)
    u = switch(
        reset,
        lambda: saturate(decayed + current - s * threshold),
        lambda: saturate((1 - s) * decayed + current),
        lambda: (1 - s) * saturate(decayed + current),
    )
    return u, (u > threshold).astype(np.int64)


def filtered(current: Ints, j: Ints, alpha: Shorts) -> Ints:
    """Return the next synaptic current."""
    return saturate(shift_right_round(j * alpha, 15) + current)


class Spiking(Node):
    """A layer of integrate-and-fire neurons, with or without synaptic current."""

    # fields of the sub-classes, each of which has its own order
    beta: Shorts
    threshold: Shorts
    reset: int
    alpha: Shorts | None

    array_fields = dict.fromkeys(("alpha", "beta", "threshold"), (0, INT16_MAX))
    int_fields = {"reset": (0, len(RESETS) - 1)}

    @property
    def neurons(self) -> int:
        """Neurons of all populations."""
        return self.hidden

    @property
    def currents(self) -> int:
        """Synaptic currents: none without alpha."""
        return 0 if self.alpha is None else self.neurons

    def check_neurons(self) -> None:
        """Raise a ProgramError unless there are decays and thresholds for each neuron."""
        for field, array in self.arrays().items():
            self.require(
                array.size == self.neurons,
                f"{field} must have one value for each of {self.neurons} neurons",
            )


@dataclass(frozen=True, eq=False, repr=False)
class LIF(Spiking):
    r"""Integrate-and-fire layer (equations: ``edgeflow.cells.lif``).

    With ``i = input(x) + recurrent(s)`` in units of the membrane, ``d(v, f) = (v f + 2^14) >> 15``:

    .. math::
        j' &= sat16(d(j, \alpha) + i) \quad \text{(else } j' = i \text{)} \\
        u' &= sat16(d(u, \beta) + j' - s\, threshold) \quad \text{(reset 0)} \\
        u' &= sat16((1 - s) d(u, \beta) + j') \quad \text{(reset 1)} \\
        u' &= (1 - s)\, sat16(d(u, \beta) + j') \quad \text{(reset 2)} \\
        s' &= 1 \text{ where } u' > threshold \text{, else } 0

    Parameters
    ----------
    name : str
    input : Matrix [hidden, inputs]
    beta : int16 array [hidden]
        Q0.15, not negative.
    threshold : int16 array [hidden]
        Not negative.
    reset : int
        Position in `RESETS`.
    recurrent : Matrix [hidden, hidden], optional
        Reads spikes, so its input has 2 bits.
    alpha : int16 array [hidden], optional
        Q0.15, not negative; with it there is a synaptic current j.
    """

    input: Matrix
    beta: NDArray[np.int16]
    threshold: NDArray[np.int16]
    reset: int = 0
    recurrent: Matrix | None = None
    alpha: NDArray[np.int16] | None = None

    op_type = "LIF"
    y_field = ("input.rows", 2)
    matrix_fields = ("input", "recurrent")
    output_state = "s"
    state_fields = {"j": ("currents", 16), "u": ("hidden", 16), "s": ("hidden", 2)}
    c_struct = "ef_lif"

    def __post_init__(self) -> None:
        hidden, matrix = self.input.rows, self.recurrent
        super().__post_init__()
        self.check_neurons()
        if matrix:
            self.require(
                (matrix.rows, matrix.cols, matrix.input_bits) == (hidden, hidden, 2),
                f"recurrent weights must be {hidden} x {hidden} for 2-bit spikes, not "
                f"{matrix.rows} x {matrix.cols} for {matrix.input_bits} bits",
            )

    @property
    def scratch(self) -> int:
        return len(self.matrices()) * self.outputs

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        spikes, new = state["s"], {}
        current = self.input.apply(x)
        if self.recurrent is not None:
            current = current + self.recurrent.apply(spikes)
        if self.alpha is not None:
            new["j"] = current = filtered(current, state["j"], self.alpha)
        u, s = fire(current, state["u"], spikes, self.beta, self.threshold, self.reset)
        return s, new | {"u": u, "s": s}

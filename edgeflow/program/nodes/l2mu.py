"""Spiking Legendre Memory Unit, of neurons with or without synaptic current."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import INT16_MAX, Ints
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Node, Range, State, StateField
from edgeflow.program.nodes.lif import (
    RESETS,
    check_neurons,
    filtered,
    filtered_onnx,
    fire,
    fire_onnx,
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
        n, size, order = len(x), self.encode.rows, self.transition.rows
        ends = np.cumsum(self._sizes)[:-1]
        arrays = {
            name: np.split(array.astype(np.int64), ends) for name, array in self.arrays().items()
        }
        u = np.split(state["u"], ends, axis=1)
        j = np.split(state["j"], ends, axis=1) if "j" in state else []

        def population(k: int, current: Ints, s: Ints) -> Ints:
            if j:
                j[k] = current = filtered(current, j[k], arrays["alpha"][k])
            u[k], s = fire(current, u[k], s, arrays["beta"][k], arrays["threshold"][k], self.reset)
            return s

        h, m = state["h"], state["m"]
        e = population(0, self.encode.apply(np.concatenate([x, h, m], axis=1)), state["e"])
        pairs = np.concatenate([m.reshape(n, size, order), e[:, :, None]], axis=2)
        m = population(1, self.transition.apply(pairs).reshape(n, -1), m)
        h = population(2, self.update.apply(np.concatenate([x, h, m], axis=1)), h)
        new = {"j": np.concatenate(j, axis=1)} if j else {}
        return h, new | {"u": np.concatenate(u, axis=1), "e": e, "m": m, "h": h}

    def onnx_function(self) -> onnx.FunctionProto:
        b = fn.Body()
        n = b.op

        def ints(*values: int) -> str:
            return n("Constant", value_ints=list(values))

        size, order, hidden = (n("Shape", f"{field}_bias") for field in self.matrix_fields)
        inner = n("Add", size, n("Mul", size, order))
        bounds = [ints(0), size, inner, n("Add", inner, hidden)]
        membranes, currents = [], []

        def population(k: int, current: str, s: str, name: str) -> None:
            def part(value: str, axis: int) -> str:
                return n("Slice", value, bounds[k], bounds[k + 1], ints(axis))

            if self.alpha is not None:
                current = filtered_onnx(b, current, part("j", 1), part("alpha", 0))
                currents.append(current)
            u, fired = fire_onnx(b, current, part("u", 1), s, part("beta", 0), part("threshold", 0))
            membranes.append(u)
            b.cast(fired, onnx.TensorProto.INT16, name)

        def current(field: str, *parts: str, axis: int = 1) -> str:
            joined = n("Concat", *parts, axis=axis)
            b.nodes.append(fn.matvec(joined, field, f"{field}16"))
            return b.cast(f"{field}16")

        population(0, current("encode", "x", "h", "m"), "e", "e_next")
        memories = n("Reshape", "m", n("Concat", ints(-1), size, order, axis=0))
        driven = current("transition", memories, n("Unsqueeze", "e_next", ints(2)), axis=2)
        population(1, n("Flatten", driven, axis=1), "m", "m_next")
        population(2, current("update", "x", "h", "m_next"), "h", "h_next")
        for name, parts in (("u_next", membranes), ("j_next", currents)):
            if parts:
                b.cast(n("Concat", *parts, axis=1), onnx.TensorProto.INT16, name)
        n("Identity", "h_next", output="y")
        return self.as_function(b)

"""What read-outs that learn on the device have in common: `PrototypeLinear`, `HeadLinear`."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT32_MAX, Ints, requantize, saturate, symmetric_max
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes.base import INT16, Node, State

#: Largest magnitude of the bias of learned rows, and of the sum of their products.
HALF_RANGE = (1 << 29) - 1
#: Bits of what a read-out that learns may read at most.
MOST_BITS = 12
#: Range of the multipliers of learned rows.
MULTIPLIER = (0, INT32_MAX)


@dataclass(frozen=True, eq=False, repr=False)
class AdaptiveLinear(Node):
    r"""A trained read-out ``requantize(W x + b)`` with rows V, c in RAM that labels change.

    With ``active`` of 0, y is that of the trained matrix, bit for bit, as after `forget`; with 1

    .. math:: y = sat_{16}((2 (V x + c) m + 2^{31}) \gg 32)

    for the multiplier m of learned rows. A guard keeps active at 0 where the trained rows do better
    on labelled x. What is learned survives a reset of the state.

    Parameters
    ----------
    name : str
    matrix : Matrix [outputs, inputs]
        The trained rows, which read at most 12 bits.
    base : int16 array [outputs * inputs]
        The trained rows in units of learned ones, row by row.
    base_bias : int32 array [outputs]
        Within +-(2^29 - 1).
    multiplier : int
        Of learned rows: their unit in units of y, times 2^31.
    """

    matrix: Matrix
    base: NDArray[np.int16]
    base_bias: NDArray[np.int32]
    multiplier: int

    #: Function that learns; its file has the one that restores what is derived, too.
    c_learner: ClassVar[str]
    #: Files that it calls besides those of all learners.
    c_learner_helpers: ClassVar[tuple[str, ...]] = ()
    #: Whether rows and guard follow from what is stored alone: of many labels the last says all.
    anew: ClassVar[bool] = False

    x_field = ("matrix.inputs", "matrix.x_bits")
    y_field = ("matrix.rows", 16)
    matrix_fields = ("matrix",)
    array_fields = {"base": INT16, "base_bias": (-HALF_RANGE, HALF_RANGE)}
    size_fields: ClassVar[tuple[str, ...]] = ("inputs", "outputs", "limit")
    state_fields = {"seen": ("inputs", MOST_BITS)}
    derived_fields = {"bias": ("outputs", 32), "weights": ("weights", 16), "active": (1, 2)}
    c_struct = "ef_adaptive"
    kernel_only = True
    c_function = "ef_adaptive_step"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "c_learner" in vars(cls):
            common = ("ef_adaptive_product", "ef_adaptive_right")
            cls.c_helpers = (*common, cls.c_learner, *cls.c_learner_helpers)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            self.input_bits <= MOST_BITS,
            f"a read-out that learns reads at most {MOST_BITS} bits, not {self.input_bits}",
        )
        self.require(
            self.matrix.threshold == 0 and self.matrix.factor is None,
            "a read-out that learns is neither a delta matrix nor of low rank",
        )
        self.require(len(self.base) == self.weights, "base has a value for each weight")
        self.require(len(self.base_bias) == self.outputs, "base_bias has a value for each row")
        self.require(np.abs(self.base.astype(np.int64)) <= self.limit, "base exceeds its limit")

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.outputs * self.inputs

    @property
    def limit(self) -> int:
        """Largest magnitude of learned weights."""
        return weight_limit(self.inputs, self.input_bits)

    @property
    def answer_scratch(self) -> int:
        """Number of int16 values that learning needs as working memory."""
        return self.outputs

    @property
    def master_scratch(self) -> int:
        """Number of int32 values that learning needs besides."""
        return 0

    @property
    @abstractmethod
    def learned_ranges(self) -> Mapping[str, tuple[int, int]]:
        """Least and largest value of each learned vector."""

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        trained = self.product("matrix", x, state)
        active = state["active"]
        if isinstance(active, np.ndarray) and not active.any():
            return trained, {"seen": x}
        y = np.where(active > 0, self._learned_product(x, state), trained)
        return y, {"seen": x}

    def advance(self, x: Ints, state: State) -> tuple[Ints, State]:
        y, following = super().advance(x, state)
        kept = (*self.learned_fields, *self.derived_fields)
        return y, {**following, **{name: state[name] for name in kept if name in state}}

    def _learned_product(self, x: Ints, state: State) -> Ints:
        rows = state["weights"].reshape(-1, self.matrix.rows, self.matrix.cols)
        sums = (rows * x[:, None]).sum(axis=-1) + state["bias"]
        return requantize(sums, self.multiplier, 1)

    # learning: of n streams at a time, each with a label of its own

    def learn(self, state: State, label: Ints) -> State:
        """Return the state after a label for the x that was read last.

        Parameters
        ----------
        state : mapping
            Of int64 arrays [n, size].
        label : int array [n]
            0..outputs - 1; -1: this stream learns nothing.
        """
        return self.restored({**state, **self.taken(state, label)})

    def right(self, state: State, x: Ints, label: Ints | int) -> tuple[Ints, Ints]:
        """Tell whether the trained rows, and the learned ones, decide right on x [n, inputs]."""
        decided = self.product("matrix", x, state), self._learned_product(x, state)
        trained, learned = ((y.argmax(axis=-1) == label).astype(np.int64) for y in decided)
        return trained, learned

    @abstractmethod
    def taken(self, state: State, label: Ints) -> State:
        """Return the learned vectors after a label."""

    @abstractmethod
    def rows_of(self, state: State) -> tuple[Ints, Ints]:
        """Return the weights [n, outputs, inputs] and biases [n, outputs] that were learned."""

    def restored(self, state: State) -> State:
        """Return the state with learned values in range, and what is derived of them."""
        learned = {
            name: saturate(state[name], low, high)
            for name, (low, high) in self.learned_ranges.items()
        }
        whole = {**state, **learned}
        weights, bias = self.rows_of(whole)
        known = whole["count"].any(axis=-1, keepdims=True)
        whole["weights"] = np.where(known, weights.reshape(-1, self.weights), 0)
        whole["bias"] = np.where(known, bias, 0)
        trusted = self.trusted(whole)[:, None]
        return {**whole, "active": (known & trusted).astype(np.int64)}

    @abstractmethod
    def trusted(self, state: State) -> NDArray[np.bool_]:
        """Tell for which of n streams the guard lets the learned rows decide."""

    @cached_property
    def _base_rows(self) -> Ints:
        return self.base.astype(np.int64).reshape(self.outputs, self.inputs)


def weight_limit(inputs: int, bits: int) -> int:
    """Return the largest magnitude of weights whose products with x add up within 2^29.

    Below 2^14: with 16 more bits below, what such a weight moves by still fits.
    """
    return min((1 << 29) // (inputs * symmetric_max(bits)), (1 << 14) - 1)

"""Read-out that is trained on by stochastic gradient descent, on a few stored examples a class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.confidence import ONE, exponential
from edgeflow.program.fixedpoint import Ints, requantize, saturate, shift_right_round, symmetric_max
from edgeflow.program.matrix import round_up
from edgeflow.program.nodes.adaptive_linear import HALF_RANGE, AdaptiveLinear
from edgeflow.program.nodes.base import State

#: Bits of the masters below a unit of the weights.
MASTER_FRACTION = 16
#: Largest magnitude of what an example moves a row by, in units of masters per unit of x.
MOST_MOVE = 1 << 12
#: Fractional bits of probabilities.
PROBABILITY_FRACTION = 15
#: Bits of a constant 1 among the inputs, which the bias is the weight of.
ONE_FRACTION = 11


@dataclass(frozen=True, eq=False, repr=False)
class HeadLinear(AdaptiveLinear):
    r"""Train the rows from the trained ones on the last `keep` examples of each class.

    After each label the masters begin as ``A = base 2^16``, c as base_bias, and for `passes` passes
    over all stored examples x of class k, the oldest slot of each class first, with the rows
    ``V = A >> 16``, y as of `AdaptiveLinear` and p the softmax of y in Q15:

    .. math::
        g_i &= clip(((p_i - [i = k] 2^{15}) rate + 2^{shift - 1}) \gg shift, \pm 2^{12}) \\
        A_i &= A_i - g_i x \qquad c_i = c_i - 2^6 g_i

    with both kept in range. The guard counts which rows are right on more of the stored examples;
    where these are the trained ones, they decide. Gradient of the cross-entropy of a linear
    read-out, as in M. Ren et al., "TinyOL: TinyML with online-learning on microcontrollers", IJCNN
    2021, arXiv 2103.08295.

    Parameters
    ----------
    keep : int
        Examples of a class that are stored, 1..32.
    passes : int
        1..255.
    rate : int
        0..32767.
    shift : int
        1..30.
    exponent : int
        Of `edgeflow.program.confidence.exponent_scale`: units of y to exponents.
    exponent_shift : int
        0..16.
    """

    keep: int
    passes: int
    rate: int
    shift: int
    exponent: int
    exponent_shift: int

    op_type = "HeadLinear"
    int_fields = {
        "multiplier": (0, (1 << 31) - 1), "keep": (1, 32), "passes": (1, 255),
        "rate": (0, (1 << 15) - 1), "shift": (1, 30), "exponent": (0, (1 << 16) - 1),
        "exponent_shift": (0, 16),
    }  # fmt: skip
    size_fields = (*AdaptiveLinear.size_fields, "largest")
    learned_fields = {"examples": ("stored", 16), "count": ("outputs", 16)}
    c_learner = "ef_head_learn"
    c_learner_helpers = ("ef_head_rows",)
    anew = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.stored <= 65535, f"{self.stored} stored values: at most 65535 fit")

    @property
    def stored(self) -> int:
        """Values of all stored examples."""
        return self.keep * self.weights

    @property
    def largest(self) -> int:
        """Largest magnitude of x."""
        return symmetric_max(self.input_bits)

    @property
    def answer_scratch(self) -> int:
        return round_up(self.outputs) + self.inputs

    @property
    def master_scratch(self) -> int:
        return self.weights

    @property
    def learned_ranges(self) -> Mapping[str, tuple[int, int]]:
        return {
            "examples": (-self.largest, self.largest), "count": (0, 2 * self.keep - 1),
        }  # fmt: skip

    def taken(self, state: State, label: Ints) -> State:
        mine = np.arange(self.outputs) == label[:, None]
        count = state["count"]
        slot = np.arange(self.keep) == (count % self.keep)[..., None]
        examples = state["examples"].reshape(-1, self.outputs, self.keep, self.inputs)
        here = (mine[..., None] & slot)[..., None]
        examples = np.where(here, state["seen"][:, None, None], examples)
        count = count + mine
        return {
            "examples": examples.reshape(-1, self.stored),
            "count": np.where(count == 2 * self.keep, self.keep, count),
        }

    def rows_of(self, state: State) -> tuple[Ints, Ints]:
        n, limit = len(state["count"]), self.limit << MASTER_FRACTION
        examples = state["examples"].reshape(n, self.outputs, self.keep, self.inputs)
        masters = np.repeat(self._base_rows[None] << MASTER_FRACTION, n, axis=0)
        bias = np.repeat(self.base_bias.astype(np.int64)[None], n, axis=0)
        for _ in range(self.passes):
            for slot in range(self.keep):
                for label in range(self.outputs):
                    stored = (state["count"][:, label] > slot)[:, None]
                    if not stored.any():
                        continue
                    x = examples[:, label, slot]
                    move = np.where(stored, self._moves(masters, bias, x, label), 0)
                    masters = saturate(masters - move[..., None] * x[:, None], -limit, limit)
                    bias = saturate(
                        bias - (move << 2 * ONE_FRACTION - MASTER_FRACTION), -HALF_RANGE, HALF_RANGE
                    )
        return masters >> MASTER_FRACTION, bias

    def trusted(self, state: State) -> NDArray[np.bool_]:
        examples = state["examples"].reshape(-1, self.outputs, self.keep, self.inputs)
        better = np.zeros(len(examples), np.int64)
        for label in range(self.outputs):
            for slot in range(self.keep):
                trained, learned = self.right(state, examples[:, label, slot], label)
                better += np.where(state["count"][:, label] > slot, learned - trained, 0)
        found: NDArray[np.bool_] = better >= 0
        return found

    def _moves(self, masters: Ints, bias: Ints, x: Ints, label: int) -> Ints:
        """Return [n, outputs] what an example x [n, inputs] of a class moves each row by."""
        sums = ((masters >> MASTER_FRACTION) * x[:, None]).sum(axis=-1) + bias
        y = requantize(sums, self.multiplier, 1)
        powers = exponential(y.max(axis=-1, keepdims=True) - y, self.exponent, self.exponent_shift)
        share = (ONE * ONE) // powers.sum(axis=-1, keepdims=True)
        error = (powers * share) >> PROBABILITY_FRACTION
        error[:, label] -= ONE
        return saturate(shift_right_round(error * self.rate, self.shift), -MOST_MOVE, MOST_MOVE)

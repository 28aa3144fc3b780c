"""Read-out whose rows move with the means of what was labelled: adds only, a multiply a weight."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT16_MAX, INT16_MIN, Ints, saturate, shift_right_round
from edgeflow.program.nodes.adaptive_linear import HALF_RANGE, AdaptiveLinear
from edgeflow.program.nodes.base import INT16, State

#: Examples of a class at which their sum and count are halved: older ones count less and less.
FULL = 16
#: Fractional bits of rates, and of the shift of a prototype.
RATE_FRACTION, SHIFT_FRACTION = 14, 4

#: Ends of the guard's score.
MOST_SCORE = 8
#: Largest magnitude of the shift of a prototype's value: examples cannot move it further.
MOST_MOVE = (1 << 16) - 1


@dataclass(frozen=True, eq=False, repr=False)
class PrototypeLinear(AdaptiveLinear):
    r"""Move each row with the mean of its class, from the prototype P of the training data.

    With sum S and count n of the x of a class, and r(n) about ``1 / (n + prior)``:

    .. math::
        d &= clip(((S - n P) r(n) + 2^9) \gg 10, \pm (2^{16} - 1)) \\
        v &= (d \cdot gain + 2^{shift - 1}) \gg shift \\
        V &= base + v \qquad c = base\_bias - (\sum v (32 P + d) \gg 5)

    P + d / 16 is the prototype with a prior of `prior` examples, and V, c are the trained rows plus
    gain times the change of the squared distance: ``2 (p - P) x - (p p - P P)``. The sum is kept
    within int16: at 16 examples it and the count are halved.

    The guard judges both decisions by a label before it is learned, if its class was labelled
    before: the score goes up by one where only the learned rows are right, down where only the
    trained ones are, within +-8; below 0 the trained rows decide.

    Prototypes: J. Snell et al., "Prototypical networks for few-shot learning", NeurIPS 2017, whose
    section 2.3 has the affine form of the distances.

    Parameters
    ----------
    prototypes : int16 array [outputs * inputs]
        P, class by class, within the width of x.
    rates : int16 array [17]
        r(n) for n = 0..16, Q14, not negative.
    gain : int
        0..16384.
    shift : int
        1..30.
    """

    prototypes: NDArray[np.int16]
    rates: NDArray[np.int16]
    gain: int
    shift: int

    op_type = "PrototypeLinear"
    array_fields = {
        **AdaptiveLinear.array_fields, "prototypes": INT16, "rates": (0, 1 << RATE_FRACTION),
    }  # fmt: skip
    int_fields = {"multiplier": (0, (1 << 31) - 1), "gain": (0, 1 << 14), "shift": (1, 30)}
    learned_fields = {"examples": ("weights", 16), "count": ("outputs", 16), "score": (1, 16)}
    c_learner = "ef_prototypes_learn"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(len(self.prototypes) == self.weights, "prototypes has a value for each weight")
        self.require(
            np.abs(self.prototypes.astype(np.int64)) < 1 << (self.input_bits - 1),
            "a prototype exceeds the width of x",
        )
        self.require(len(self.rates) == FULL + 1, f"rates has {FULL + 1} values")

    @property
    def learned_ranges(self) -> Mapping[str, tuple[int, int]]:
        return {
            "examples": (INT16_MIN, INT16_MAX), "count": (0, FULL - 1),
            "score": (-MOST_SCORE, MOST_SCORE),
        }  # fmt: skip

    def taken(self, state: State, label: Ints) -> State:
        mine = np.arange(self.outputs) == label[:, None]
        trained, learned = self.right(state, state["seen"], label)
        # of a class that was not labelled yet the learned rows cannot know
        known = (mine & (state["count"] > 0)).any(axis=-1)
        score = state["score"] + np.where(known, learned - trained, 0)[:, None]
        count = state["count"] + mine
        sums = state["examples"].reshape(-1, self.outputs, self.inputs)
        sums = saturate(sums + mine[..., None] * state["seen"][:, None])
        full = count >= FULL
        sums = np.where(full[..., None], shift_right_round(sums, 1), sums)
        return {
            "examples": sums.reshape(-1, self.weights),
            "count": np.where(full, count >> 1, count),
            "score": saturate(score, -MOST_SCORE, MOST_SCORE),
        }

    def trusted(self, state: State) -> NDArray[np.bool_]:
        return state["score"][:, 0] >= 0

    def rows_of(self, state: State) -> tuple[Ints, Ints]:
        sums = state["examples"].reshape(-1, self.outputs, self.inputs)
        count = state["count"]
        prototypes = self.prototypes.astype(np.int64).reshape(self.outputs, self.inputs)
        away = sums - count[..., None] * prototypes
        rate = self.rates.astype(np.int64)[count][..., None]
        moved = shift_right_round(away * rate, RATE_FRACTION - SHIFT_FRACTION)
        moved = saturate(moved, -MOST_MOVE, MOST_MOVE)
        change = shift_right_round(moved * self.gain, self.shift)
        twice = (prototypes << (SHIFT_FRACTION + 1)) + moved
        fall = (change * twice).sum(axis=-1) >> (SHIFT_FRACTION + 1)
        weights = saturate(self._base_rows + change, -self.limit, self.limit)
        return weights, saturate(self.base_bias - fall, -HALF_RANGE, HALF_RANGE)

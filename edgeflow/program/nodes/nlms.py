"""Forecasts that are corrected by what came: normalised least mean squares, in the step itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import (
    INT32_MAX,
    Ints,
    interpolate,
    nodes_of,
    requantize,
    saturate,
    shift_right_round,
)
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.adaptive_linear import weight_limit
from edgeflow.program.nodes.base import INT16, Node, State

#: Bits of features, and what the constant one among them is.
FEATURE_BITS, ONE = 12, 1 << 10
#: Most features: their squares and `epsilon` add up to less than 2^30.
MOST_FEATURES = 127
#: Bits of masters below a unit of weights; of rates; of the running errors, and their time constant
#: in updates, as a power of two.
MASTER_FRACTION, RATE_FRACTION, ERROR_FRACTION, PACE = 16, 15, 8, 6
#: Largest magnitude of what an update moves a row by, in units of masters per unit of a feature.
MOST_MOVE = 1 << 17
#: Ticks are counted up to this.
MOST_TICKS = 255


@dataclass(frozen=True, eq=False, repr=False)
class Nlms(Node):
    r"""Add to forecasts of changes what a linear filter learns of their errors, as values come.

    x is the forecast p of how much each of `series` values will have changed after `stride`,
    2 `stride`, ... samples, horizon by horizon; then `read` features h, such as the states that
    the forecast was made of; then the present values z. The features of a step are

    .. math::
        f = sat_{12}([h \gg down,\; (z_{t - every\,k} - z_t) \gg lag\_shift,\; 2^{10}])
        \qquad k = lags..1

    and with the masters A, zero at first, and V = A >> 16,

    .. math::
        q = sat_{16}(p + ((2\, V f\, m + 2^{31}) \gg 32))

    is the learned forecast. Every `stride` samples, at a tick, f, z, p and q are kept. In the step
    that is ``k mod stride`` samples after a tick, horizon k = 0, 1, ... learns: what was forecast
    k + 1 ticks before the last one has come, d: the change of z from then to there in units of p,
    plus zero. With f, p and q of then,

    .. math::
        e &= sat_{16}(d - q) \\
        g &= clip((((e\, r + 2^{14}) \gg 15)\, rate + 2^{s-1}) \gg s,\; \pm 2^{17}) \\
        A' &= A + g f \qquad E' = E + ((2^8 \sum |d - q| - E) \gg 6)

    with :math:`r 2^{shift - s}` the reciprocal :math:`2^{44} / (f \cdot f + epsilon)`, by a table
    of 257 nodes, and both A and f within their range. A running error of p is kept as E is: y is q
    where E is at most that, else p, which is the guard. A step of normalised least mean squares
    (J. Nagumo, A. Noda, IEEE Trans. Automatic Control 12(3), 1967; S. Haykin, Adaptive Filter
    Theory, ch. 7), with the error that the forecast had, not one made anew: delayed LMS (G. Long et
    al., IEEE Trans. ASSP 37(9), 1989). What is learned survives a reset.

    Parameters
    ----------
    name : str
    unit : int32 array [horizons * series]
        A unit of z in units of each p, times 2^(32 - unit_shift).
    zero : int16 array [horizons * series]
        What each p is where nothing changes.
    series, horizons, stride, lags, every, read : int
        Sizes as above: 1..64, 1..16, 1..64, 1..32, 1..32 and 0..126.
    unit_shift : int
        1..14.
    down, lag_shift : int
        0..15.
    wait : int
        Ticks after a reset whose forecasts teach nothing, 0..200.
    multiplier : int
        A unit of weights in units of p, times 2^31.
    epsilon : int
        2^16..2^28.
    rate : int
        0..32767; 0: it learns nothing.
    shift : int
        14..30.
    """

    unit: NDArray[np.int32]
    zero: NDArray[np.int16]
    series: int
    horizons: int
    stride: int
    lags: int
    every: int
    read: int
    unit_shift: int
    down: int
    lag_shift: int
    wait: int
    multiplier: int
    epsilon: int
    rate: int
    shift: int

    op_type = "Nlms"
    x_field = ("inputs_of", 16)
    y_field = ("forecasts", 16)
    array_fields = {"unit": (0, INT32_MAX), "zero": INT16}
    size_fields = ("features", "limit")
    int_fields = {
        "series": (1, 64), "horizons": (1, 16), "stride": (1, 64), "lags": (1, 32),
        "every": (1, 32), "read": (0, MOST_FEATURES - 1), "unit_shift": (1, 14), "down": (0, 15),
        "lag_shift": (0, 15), "wait": (0, 200), "multiplier": (0, INT32_MAX),
        "epsilon": (1 << 16, 1 << 28), "rate": (0, (1 << 15) - 1), "shift": (14, 30),
    }  # fmt: skip
    unrolled_fields = ("series", "horizons", "stride", "lags", "every", "read")
    tables = ("reciprocal",)
    state_fields = {
        "past": ("past", 16), "kept": ("kept", 16), "phase": (1, 16), "ticks": (1, 16),
        "errors": ("errors", 32), "masters": ("weights", 32),
    }  # fmt: skip
    kept_fields = ("errors", "masters")
    c_struct = "ef_nlms"
    kernel_only = True

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = {len(self.unit), len(self.zero)}
        self.require(sizes == {self.forecasts}, "unit and zero have a value for each forecast")
        self.require(
            self.features <= MOST_FEATURES,
            f"{self.features} features: at most {MOST_FEATURES} fit",
        )
        largest = max(self.inputs_of, self.past, self.kept, self.weights)
        self.require(largest <= MAX_SIZE, f"a vector of {largest} values: at most {MAX_SIZE} fit")

    @property
    def forecasts(self) -> int:
        """Number of values that are forecast, horizon by horizon."""
        return self.series * self.horizons

    @property
    def inputs_of(self) -> int:
        """Values that a step reads."""
        return self.forecasts + self.read + self.series

    @property
    def features(self) -> int:
        """Number of features."""
        return self.read + self.lags * self.series + 1

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.forecasts * self.features

    @property
    def limit(self) -> int:
        """Largest magnitude of weights."""
        return weight_limit(self.features, FEATURE_BITS)

    @property
    def past(self) -> int:
        """Values of the samples before the present one that are features."""
        return self.lags * self.every * self.series

    @property
    def kept(self) -> int:
        """Values that are kept of the last ticks."""
        return (self.horizons + 1) * self.a_tick

    @property
    def a_tick(self) -> int:
        """Values that are kept of a tick: f, z, p, q."""
        return self.features + self.series + 2 * self.forecasts

    @property
    def errors(self) -> int:
        """Running errors, of p and then of q, horizon by horizon."""
        return 2 * self.horizons

    @property
    def scratch(self) -> int:
        return self.a_tick

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        n, size = self.forecasts, self.a_tick
        forecast, z = x[:, :n], x[:, n + self.read :]
        history = np.concatenate([state["past"], z], axis=1)
        feature = self._features(x[:, n : n + self.read], history, z)
        learned = saturate(forecast + self._corrections(feature, state["masters"]))
        parts = []
        errors, horizons = state["errors"], self.horizons
        for k in range(horizons):
            own = slice(k * self.series, (k + 1) * self.series)
            trained = errors[:, k : k + 1]
            trusted = errors[:, horizons + k : horizons + k + 1] <= trained
            parts.append(np.where(trusted, learned[:, own], forecast[:, own]))
        phase = state["phase"]
        now = np.concatenate([feature, z, forecast, learned], axis=1)
        moved = np.concatenate([state["kept"][:, size:], now], axis=1)
        kept = np.where(phase == 0, moved, state["kept"])
        ticks = np.where(phase == 0, np.minimum(state["ticks"] + 1, MOST_TICKS), state["ticks"])
        rows, before, after = [], [], []
        for k in range(horizons):
            due = (phase == k % self.stride) & (ticks >= k + 2 + self.wait)
            row, one, other = self._taught(k, kept, state, due)
            rows.append(row)
            before.append(one)
            after.append(other)
        following = {
            "past": history[:, self.series :], "kept": kept,
            "phase": np.where(phase == self.stride - 1, 0, phase + 1), "ticks": ticks,
            "errors": np.concatenate([*before, *after], axis=1),
            "masters": np.concatenate(rows, axis=1),
        }  # fmt: skip
        return np.concatenate(parts, axis=1), following

    def restored(self, state: State) -> State:
        """Return a state with learned values in range."""
        most = self.limit << MASTER_FRACTION
        return {
            **state,
            "masters": saturate(state["masters"], -most, most),
            "errors": saturate(state["errors"], 0, self.most_error),
        }

    @property
    def most_error(self) -> int:
        """Largest running error."""
        return self.series << (16 + ERROR_FRACTION)

    def _features(self, h: Ints, history: Ints, z: Ints) -> Ints:
        most = (1 << (FEATURE_BITS - 1)) - 1
        step = self.every * self.series
        parts = [saturate(h >> self.down, -most, most)] if self.read else []
        for k in range(self.lags):
            apart = history[:, k * step : k * step + self.series] - z
            parts.append(saturate(apart >> self.lag_shift, -most, most))
        parts.append(z[:, :1] * 0 + ONE)
        return np.concatenate(parts, axis=1)

    def _corrections(self, feature: Ints, masters: Ints) -> Ints:
        rows = (masters >> MASTER_FRACTION).reshape(-1, self.forecasts, self.features)
        return requantize((rows * feature[:, None]).sum(axis=-1), self.multiplier, 1)

    def _taught(self, k: int, kept: Ints, state: State, due: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the masters of a horizon and its running errors, of p and of q, after a step."""
        features, series, n = self.features, self.series, self.forecasts
        then, last = (self.horizons - 1 - k) * self.a_tick, self.horizons * self.a_tick
        f = kept[:, then : then + features]
        at = then + features
        apart = kept[:, last + features : last + features + series] - kept[:, at : at + series]
        own = slice(k * series, (k + 1) * series)
        change = requantize(apart, self.unit.astype(np.int64)[own], self.unit_shift)
        came = saturate(change + self.zero.astype(np.int64)[own])
        at += series + k * series
        p, q = kept[:, at : at + series], kept[:, at + n : at + n + series]
        norm = (f * f).sum(axis=1, keepdims=True) + self.epsilon
        doublings = (norm < 1 << 17).astype(np.int64)
        for e in range(18, 30):
            doublings = doublings + (norm < 1 << e)
        m = ((norm * (1 << doublings)) >> 14) - (1 << 15)
        reciprocal = interpolate(nodes_of("reciprocal", m), m, 7)
        error = shift_right_round(saturate(came - q) * reciprocal, RATE_FRACTION)
        down = self.shift - doublings
        move = (error * self.rate + (1 << (down - 1))) >> down
        move = saturate(move, -MOST_MOVE, MOST_MOVE)
        begin, size = k * series * features, series * features
        old = state["masters"][:, begin : begin + size]
        step = move.reshape(-1, series, 1) * f[:, None]
        most = self.limit << MASTER_FRACTION
        new = saturate(old + step.reshape(-1, size), -most, most)
        found = []
        for forecast, place in ((p, k), (q, self.horizons + k)):
            running = state["errors"][:, place : place + 1]
            total = np.abs(came - forecast).sum(axis=1, keepdims=True)
            after = running + (((total << ERROR_FRACTION) - running) >> PACE)
            found.append(np.where(due, after, running))
        return np.where(due, new, old), found[0], found[1]

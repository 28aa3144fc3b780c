"""What decides after a model, on streams whose events, repetitions and means are plain to see."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.errors import ProgramError
from edgeflow.program import InputFormat, Program
from edgeflow.program.nodes import Count, Detect, MovingMean, Node, Residual
from edgeflow.program.nodes.moving_mean import reciprocal


def run(node: Node, x: Any) -> np.ndarray:
    """Return the outputs [time, outputs] of a layer alone, for x [time, inputs] or [time]."""
    samples = np.asarray(x, np.int16).reshape(1, len(x), -1)
    ones = np.ones(node.inputs, np.float32)
    form = InputFormat(0 * ones, ones, 16, tuple(f"x{i}" for i in range(node.inputs)))
    return Program((node,), form, 1.0).run(samples)[0]


def detect(
    high: int | list[int] = 10, low: int | list[int] | None = None, **changes: int
) -> Detect:
    """Return one without smoothing."""
    highs = np.atleast_1d(np.array(high, np.int16))
    lows = highs if low is None else np.atleast_1d(np.array(low, np.int16))
    fields = {"relative": 0, "shift": 0, "needed": 1, "steps": 1, "refractory": 0, **changes}
    return Detect("detect", highs, lows, len(highs), **fields)


def events(node: Detect, x: Any) -> list[tuple[int, int]]:
    """Return step and class of each event."""
    return [(int(t), int(k)) for t, k in np.argwhere(run(node, x))]


class TestDetect:
    def test_an_event_is_where_the_score_rises_above_the_threshold(self) -> None:
        assert events(detect(), [0, 10, 11, 12, 11, 3, 11]) == [(2, 0), (6, 0)]

    def test_a_dip_to_within_the_band_is_no_second_event(self) -> None:
        assert events(detect(low=5), [11, 6, 11, 5, 10, 11]) == [(0, 0), (5, 0)]

    def test_m_of_the_last_n(self) -> None:
        x = [11, 0, 11, 0, 0, 11, 11]
        assert events(detect(needed=2, steps=3), x) == [(2, 0), (6, 0)]
        assert events(detect(needed=2, steps=2), x) == [(6, 0)]

    def test_none_within_the_refractory_time_and_what_lasts_comes_after_it(self) -> None:
        x = [[11, 0], [0, 0], [0, 11], [0, 11], [0, 0], [11, 0]]
        assert events(detect([10, 10], refractory=1), x) == [(0, 0), (2, 1), (5, 0)]
        assert events(detect([10, 10], refractory=2), x) == [(0, 0), (3, 1)]

    def test_the_largest_of_several_scores(self) -> None:
        assert events(detect([10, 10], refractory=9), [[12, 13], [12, 0]]) == [(0, 1)]
        assert events(detect([10, 10], refractory=9), [[12, 12]]) == [(0, 0), (0, 1)]

    def test_relative_scores_lead_over_the_others(self) -> None:
        x = [[30, 25], [30, 19], [32767, -32768]]
        assert events(detect([10, 10], relative=1), x) == [(1, 0)]
        assert events(detect([32766, 10], relative=1), x) == [(2, 0)]

    def test_the_highest_threshold_is_never_exceeded(self) -> None:
        assert events(detect(32767), [32767] * 9) == []

    @pytest.mark.parametrize("shift", [1, 3, 6])
    def test_the_mean_follows_a_step_in_its_time_constant(self, shift: int) -> None:
        """It passes 1 - 1/e of a step after about 2^shift samples."""
        ((when, _),) = events(detect(6321, shift=shift), [10000] * 200)
        assert abs(when - 2**shift) <= 1

    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 2**32 - 1), shift=st.integers(0, 15))
    def test_the_mean_stays_between_the_extremes(self, seed: int, shift: int) -> None:
        """It is within what x was, so no score is above a threshold that no x is above."""
        x = np.random.default_rng(seed).choice([-32768, -1, 0, 1, 32767, 500], (60, 2))
        state = {
            name: np.zeros((1, vector.size), np.int64)
            for name, vector in detect([0, 0], shift=shift).states.items()
        }
        for sample in x:
            _, state = detect([0, 0], shift=shift).step(sample[None], state)
            assert np.abs(state["mean"]).max() <= 1 << 30

    @settings(deadline=None, max_examples=25)
    @given(
        seed=st.integers(0, 2**32 - 1), refractory=st.integers(0, 9), steps=st.integers(1, 6),
        data=st.data(),
    )  # fmt: skip
    def test_events_are_apart(self, seed: int, refractory: int, steps: int, data: Any) -> None:
        """By the refractory time, and by a step at which the class was not clear."""
        needed = data.draw(st.integers(1, steps))
        x = np.random.default_rng(seed).integers(-50, 50, (150, 3))
        node = detect([10, 20, 30], [0, 10, 20], needed=needed, steps=steps, refractory=refractory)
        found = events(node, x)
        times = [t for t, _ in found]
        assert np.all(np.diff(np.unique(times)) > refractory)
        for k in range(3):
            mine = [t for t, other in found if other == k]
            up, flags = False, []
            for value in x[:, k]:
                up = bool(value > (node.low[k] if up else node.high[k]))
                flags.append(up)
            clear = [sum(flags[max(0, t - steps + 1) : t + 1]) >= needed for t in range(len(x))]
            assert all(clear[t] for t in mine)
            assert all(not all(clear[a : b + 1]) for a, b in pairwise(mine))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"low": 11}, "a threshold low above high"),
            ({"needed": 2}, "2 of 1 steps are needed"),
            ({"relative": 1}, "one class leads over no other"),
            ({"shift": 16}, "shift 16 is not in 0..15"),
        ],
    )
    def test_refused(self, change: dict[str, int], message: str) -> None:
        with pytest.raises(ProgramError, match=message):
            detect(**change)


class TestCount:
    def test_rises_through_the_band(self) -> None:
        node = Count("count", 2, channel=1, high=10, low=-10, apart=0)
        value = [0, 11, 9, -10, 11, -11, 10, 11, 12, -12]
        assert run(node, [[99, v] for v in value])[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 2, 2, 2]

    def test_none_begins_too_soon(self) -> None:
        node = Count("count", 1, channel=0, high=0, low=0, apart=2)
        assert run(node, [1, -1, 1, -1, 1, 1])[:, 0].tolist() == [1, 1, 1, 1, 2, 2]

    def test_it_stays_at_the_largest_number(self) -> None:
        node = Count("count", 1, channel=0, high=0, low=0, apart=0)
        state = {"count": 32766, "up": 0, "wait": 0}
        arrays = {name: np.full((1, 1), value) for name, value in state.items()}
        for value, expected in ((1, 32767), (-1, 32767), (1, 32767)):
            y, arrays = node.step(np.full((1, 1), value), arrays)
            assert y == expected

    @settings(deadline=None, max_examples=25)
    @given(periods=st.integers(0, 40), length=st.integers(8, 40), noise=st.integers(0, 90))
    def test_periods_of_a_noisy_wave(self, periods: int, length: int, noise: int) -> None:
        """Noise that does not cross the band changes nothing."""
        t = np.arange(periods * length)
        wave = 1000 * np.sin(2 * np.pi * (t / length - 0.25))
        wave += np.random.default_rng(length).uniform(-noise, noise, len(t))
        node = Count("count", 1, channel=0, high=400, low=-400, apart=0)
        y = run(node, np.append(wave, -1000))
        assert y[-1, 0] == periods

    @pytest.mark.parametrize(
        ("change", "message"), [({"channel": 2}, "channel 2 of 2"), ({"low": 11}, "low 11 is abo")]
    )
    def test_refused(self, change: dict[str, int], message: str) -> None:
        fields = {"size": 2, "channel": 0, "high": 10, "low": 0, "apart": 0}
        with pytest.raises(ProgramError, match=message):
            Count("count", **{**fields, **change})


def residual(weight: tuple[int, ...] = (1 << 14,), **changes: int) -> Residual:
    """Return one without smoothing, delay and learning, whose limit is 100."""
    fields = {
        "up": 0, "horizon": 0, "change": 0, "shift": 0, "learn": 0, "wait": 0, "gain": 0, "threshold": 100,
        "keep": 1 << 15, **changes,
    }  # fmt: skip
    return Residual("residual", np.array(weight, np.int16), len(weight), **fields)


class TestResidual:
    def test_the_score_is_the_weighted_error(self) -> None:
        node = residual((1 << 14, 1 << 13), up=2)
        assert run(node, [[10, 20, 5, 0], [10, 20, 2, 5]]).tolist() == [[10, 0], [1, 0]]

    def test_a_forecast_is_compared_when_its_time_has_come(self) -> None:
        x = [[40, 0], [60, 0], [0, 40], [0, 60], [0, 0]]
        assert run(residual(horizon=2), x)[:, 0].tolist() == [0, 0, 0, 0, 0]
        assert run(residual(horizon=1), x)[:, 0].tolist() == [0, 20, 10, 30, 0]

    def test_a_forecast_may_be_of_the_change(self) -> None:
        x = [[8, 100], [4, 102], [0, 103], [0, 103]]
        node = residual((32767,), up=2, horizon=1, change=1)
        assert run(node, x)[:, 0].tolist() == [400, 0, 0, 0]

    def test_an_anomaly_lasts_until_the_score_is_well_below_the_limit(self) -> None:
        x = [[0, v] for v in (200, 202, 160, 101, 100, 202)]
        flags = run(residual(keep=1 << 14), x)[:, 1]
        assert flags.tolist() == [0, 1, 1, 1, 0, 1]

    def test_the_offset_of_the_first_steps_is_no_error(self) -> None:
        """What the forecasts are off while learning is taken away; later shifts are seen."""
        noise = np.random.default_rng(0).normal(0, 20, 300)
        came = 500 + noise + 400 * (np.arange(300) >= 200)
        node = residual((32767,), shift=3, learn=100, wait=20, gain=2 << 12, threshold=0)
        y = run(node, np.stack([0 * came, came], axis=1))
        assert not y[:200, 1].any() and y[210:, 1].all()
        assert y[100:200, 0].mean() < 20 and abs(y[250:, 0].mean() - 400) < 10

    def test_the_limit_is_a_multiple_of_the_largest_score_while_learning(self) -> None:
        x = [[0, v] for v in (900, 60, -60, 0, 780, 795)]
        node = residual((32767,), learn=4, wait=1, gain=3 << 11, threshold=0)
        # offsets 900, 480, 210, 157: steps of 1, 1/2, 1/2, 1/4 towards what comes
        assert run(node, x).T.tolist() == [[0, 420, 270, 157, 623, 638], [0, 0, 0, 0, 0, 1]]

    def test_nothing_is_an_anomaly_while_it_learns(self) -> None:
        node = residual(learn=32767, gain=0, threshold=0)
        assert not run(node, [[0, 30000], [0, -30000]] * 20)[:, 1].any()

    def test_time_stops_at_the_largest_number(self) -> None:
        node = residual(learn=32767)
        state = {k: np.zeros((1, v.size), np.int64) for k, v in node.states.items()}
        state["seen"] += 32766
        flags = []
        for _ in range(3):
            y, state = node.step(np.array([[0, 30000]]), state)
            flags.append(int(y[0, 1]))
        assert flags == [0, 1, 1] and state["seen"] == 32767

    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 2**32 - 1), shift=st.integers(0, 15), up=st.integers(0, 15))
    def test_means_and_offsets_fit(self, seed: int, shift: int, up: int) -> None:
        """States that are kept in 32 bits stay within 2^30, so no sum leaves 32 bits."""
        node = residual((20000, 12000), shift=shift, up=up, learn=40)
        x = np.random.default_rng(seed).choice([-32768, 0, 32767], (60, 1, 4))
        state = {k: np.zeros((1, v.size), np.int64) for k, v in node.states.items()}
        for sample in x:
            y, state = node.step(sample, state)
            assert np.abs(state["mean"]).max() <= 1 << 30 >= np.abs(state["bias"]).max()
            assert 0 <= y.min() <= y.max() <= 32767

    @pytest.mark.parametrize(
        ("weight", "change", "message"),
        [
            ((20000, 20000), {}, "weights add up to 40000"),
            ((-1,), {}, "weight must be int16 values in 0..32767"),
            ((1,), {"horizon": 256}, "horizon 256 is not in 0..255"),
            ((1,), {"learn": 32768}, "learn 32768 is not in"),
        ],
    )
    def test_refused(self, weight: tuple[int, ...], change: dict[str, int], message: str) -> None:
        with pytest.raises(ProgramError, match=message):
            residual(weight, **change)


class TestMovingMean:
    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 2**32 - 1), steps=st.integers(2, 50), extreme=st.booleans())
    def test_it_is_the_rounded_mean(self, seed: int, steps: int, extreme: bool) -> None:
        rng = np.random.default_rng(seed)
        ends = [-32767, 32767]
        x = rng.choice(ends, (120, 2)) if extreme else rng.integers(-99, 99, (120, 2))
        y = run(MovingMean("mean", 2, 16, steps, reciprocal(steps)), x)
        before = np.concatenate([np.zeros((steps - 1, 2)), x])
        exact = np.lib.stride_tricks.sliding_window_view(before, steps, axis=0).mean(axis=-1)
        assert np.abs(y - exact).max() <= 0.5 + 1e-4

    @pytest.mark.parametrize("steps", [2, 3, 7, 1000, 16384])
    @pytest.mark.parametrize("value", [-32768, -1, 0, 5, 32767])
    def test_equal_values_are_their_mean(self, steps: int, value: int) -> None:
        node = MovingMean("mean", 1, 16, steps, reciprocal(steps))
        state = {"past": np.full((1, steps), value), "sum": np.full((1, 1), steps * value)}
        assert node.step(np.full((1, 1), value), state)[0] == value

    def test_refused(self) -> None:
        with pytest.raises(ProgramError, match="multiplier 131072 is not that of 3 steps"):
            MovingMean("mean", 1, 16, 3, 1 << 17)
        with pytest.raises(ProgramError, match="the last 16384 steps of 9 values: at most"):
            MovingMean("mean", 9, 16, 16384, 1 << 17)

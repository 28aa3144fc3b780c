"""Recordings at another rate: what is kept, what is removed, and how long they become."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.data import from_arrays
from edgeflow.data.resample import ratio_of, resample, resampled
from edgeflow.errors import DataError


def _sine(hz: float, rate: float, seconds: float = 8.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([np.sin(2 * np.pi * hz * time), np.cos(2 * np.pi * hz * time)], 1).astype(
        np.float32
    )


def _inside(x: np.ndarray) -> np.ndarray:
    """Without the eighth at either end, where the filter sees past the recording."""
    return x[len(x) // 8 : -len(x) // 8]


@pytest.mark.parametrize(
    ("hz", "from_hz", "to_hz"),
    [(2, 50, 25), (8, 50, 25), (3, 25, 50), (5, 100, 50), (3, 50, 20), (4, 31.25, 50), (7, 52, 50),
     (5, 49.87, 50), (10, 104.3, 52)],
)  # fmt: skip
def test_a_sine_below_both_nyquists_is_kept(hz: float, from_hz: float, to_hz: float) -> None:
    found = resample(_sine(hz, from_hz), from_hz, to_hz)
    expected = _sine(hz, to_hz)
    n = min(len(found), len(expected))
    assert abs(len(found) - len(expected)) <= 1
    assert np.abs(_inside(found[:n]) - _inside(expected[:n])).max() < 0.01


@pytest.mark.parametrize(
    ("hz", "from_hz", "to_hz"), [(20, 50, 25), (40, 100, 50), (15, 50, 20), (30, 104.3, 50)]
)
def test_a_sine_above_the_new_nyquist_is_removed(hz: float, from_hz: float, to_hz: float) -> None:
    found = resample(_sine(hz, from_hz), from_hz, to_hz)
    assert np.abs(_inside(found)).max() < 0.01
    # every second sample alone would fold it into the band
    assert np.abs(_sine(hz, from_hz)[::2]).max() > 0.9


@pytest.mark.parametrize("to_hz", [25.0, 100.0, 33.3])
def test_offsets_and_lines_stay_to_the_edges(to_hz: float) -> None:
    line = np.linspace([9.81, -3.0], [9.81, 5.0], 101).astype(np.float32)
    found = resample(line, 50.0, to_hz)
    time = np.arange(len(found)) * 50 / to_hz
    expected = np.stack([np.full(len(found), 9.81), -3 + 8 * time / 100], 1)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@given(
    n=st.integers(1, 300),
    channels=st.integers(1, 3),
    from_hz=st.floats(0.5, 400),
    to_hz=st.floats(0.5, 400),
)
@settings(max_examples=25, deadline=None)
def test_duration_is_kept(n: int, channels: int, from_hz: float, to_hz: float) -> None:
    x = np.random.default_rng(n).normal(size=(n, channels)).astype(np.float32)
    found = resample(x, from_hz, to_hz)
    ratio = ratio_of(from_hz, to_hz)
    assert abs(ratio / (to_hz / from_hz) - 1) < 2e-5
    assert found.shape == (math.ceil(n * ratio), channels)
    assert found.dtype == np.float32 and np.isfinite(found).all()


def test_equal_rates_change_nothing() -> None:
    x = _sine(3, 50)
    assert resample(x, 50.0, 50.0) is x


@pytest.mark.parametrize(("rates", "whole"), [((50, 25), (1, 2)), ((31.25, 50), (8, 5)), ((104, 52), (1, 2))])  # fmt: skip
def test_ratios_are_small_whole_numbers(rates: tuple[float, float], whole: tuple[int, int]) -> None:
    assert ratio_of(*rates).as_integer_ratio() == whole


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "message"),
    [
        (0.0, 25.0, "resampling to 0.0 Hz: a rate must be a positive number of Hz"),
        (50.0, math.nan, "resampling to nan Hz: a rate must be a positive number of Hz"),
        (50.0, 1e6, "from 50 to 1e\\+06 Hz: the rates differ more than 1000-fold"),
    ],
)
def test_impossible_rates_are_refused(from_hz: float, to_hz: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        resample(np.zeros((10, 1), np.float32), from_hz, to_hz)


def test_samples_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="a sample is not finite"):
        resample(np.array([[0.0], [np.nan]], np.float32), 50.0, 25.0)


def test_a_data_set_keeps_its_seconds() -> None:
    x = np.random.default_rng(0).normal(size=(4, 100, 2)).astype(np.float32)
    data = from_arrays(x, [0, 1, 0, 1], classes=["a", "b"], channels=["p", "q"], rate_hz=50.0)
    found = resampled(data, 25.0)
    assert (found.rate_hz, found.window) == (25.0, 50)
    assert found.notes == ("resampled from 50 to 25 Hz, anti-aliased",)
    for old, new in zip(data.recordings, found.recordings, strict=True):
        assert (new.label, new.person) == (old.label, old.person)
        np.testing.assert_array_equal(new.x, resample(old.x, 50.0, 25.0))
    assert resampled(found, 25.0) is found

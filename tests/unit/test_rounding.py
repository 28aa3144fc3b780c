"""Rounding that makes up for its own errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.quantization import Affine, Signal
from edgeflow.quantization.rounding import round_compensated, second_moment


def reads(rng: np.random.Generator, n: int, cols: int) -> np.ndarray:
    """Return correlated values whose mean is not zero, as spikes are."""
    mixed = rng.normal(size=(n, 3)) @ rng.normal(size=(3, cols)) + rng.normal(size=(n, cols))
    return (mixed > 0.3).astype(float)


@given(seed=st.integers(0, 2**32 - 1), cols=st.integers(1, 12), limit=st.sampled_from([1, 7, 127]))
def test_results_are_whole_within_limits_and_keep_zeros(seed: int, cols: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.uniform(-limit, limit, (5, cols)) * (rng.random((5, cols)) < 0.7)
    x = reads(rng, 30, cols) * rng.choice([0.0, 1.0], cols)  # some columns are never read
    found = round_compensated(weight, second_moment(x), limit)
    assert np.array_equal(found, np.round(found))
    assert np.abs(found).max() <= limit
    assert not found[weight == 0].any()


@given(seed=st.integers(0, 2**32 - 1))
def test_whole_weights_stay_as_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (4, 9)).astype(float)
    moment = second_moment(reads(rng, 50, 9))
    assert np.array_equal(round_compensated(weight, moment, 127), weight)


@pytest.mark.parametrize("seed", range(5))
def test_errors_of_products_are_smaller_than_of_plain_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight, x = rng.uniform(-20, 20, (64, 48)), reads(rng, 4000, 48)
    seen, unseen = x[:3000], x[3000:]
    error = unseen @ (round_compensated(weight, second_moment(seen), 127) - weight).T
    plain = unseen @ (np.round(weight) - weight).T
    assert np.square(error).mean() < 0.7 * np.square(plain).mean()


def test_a_compensated_matrix_is_nearer_to_its_weights_on_what_it_reads() -> None:
    rng = np.random.default_rng(0)
    weight, x = rng.normal(size=(64, 48)), reads(rng, 4000, 48)
    source = Signal(np.zeros(48), np.ones(48), 2, x.reshape(100, 40, 48).astype(np.float32))
    errors = []
    for compensate in (False, True):
        affine = Affine(weight, np.zeros(64), source, 2**-9, compensate)
        real = affine.dequantize(affine.quantize())
        errors.append(np.square(x @ (real - weight).T).mean())
    assert errors[1] < 0.6 * errors[0]

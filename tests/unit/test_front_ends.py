"""Front ends against their definitions: exact roots, filters within the bounds that nodes state.

It alone would catch a bound of an error that a filter does not keep, and a proof of overflow that
lets a sum wrap; parity tests compare bits only.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.nodes import Biquad, Difference, Gravity, Magnitude, Node
from edgeflow.program.nodes.base import zeros
from edgeflow.program.nodes.biquad import LIMIT, biquad_of
from edgeflow.program.nodes.magnitude import square_root
from tests.random_nodes.front import random_biquad

RATE = 50.0


def stream(node: Node, x: np.ndarray) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Return outputs [time, outputs] of x [time, inputs] and the states, from a reset."""
    state = {name: zeros(1, vector.size) for name, vector in node.states.items()}
    outputs, states = [], []
    for sample in x.astype(np.int64):
        y, state = node.step(sample[None], state)
        outputs.append(y[0])
        states.append(state)
    return np.array(outputs), states


def walk(seed: int, time: int, bits: int, channels: int = 3) -> np.ndarray:
    """Return a random walk with an offset, full scale both ways in between."""
    rng = np.random.default_rng(seed)
    top = (1 << (bits - 1)) - 1
    x = np.cumsum(rng.normal(0, 0.05 * top, (time, channels)), axis=0) + 0.3 * top
    x[time // 3 : time // 2] = top * np.sign(rng.normal(size=(time // 2 - time // 3, channels)))
    return np.round(np.clip(x, -top, top)).astype(np.int64)


@given(st.integers(0, 2**32 - 1))
def test_square_root_is_exact(value: int) -> None:
    for v in (value, math.isqrt(value) ** 2, max(math.isqrt(value) ** 2 - 1, 0)):
        root, rest = square_root(np.array([v]))
        assert (int(root[0]), int(rest[0])) == (math.isqrt(v), v - math.isqrt(v) ** 2)


@given(st.lists(st.integers(-32768, 32767), min_size=3, max_size=3), st.integers(0, 15))
def test_magnitude_rounds_to_the_nearest(x: list[int], shift: int) -> None:
    node = Magnitude("m", 4, 16, 1, 1, 3, keep=0, shift=shift)
    (y,), _ = stream(node, np.array([[9, *x]]))
    squares = sum(v * v for v in x)
    # |2 y - 2 sqrt(S) / 2^shift| <= 1, in integers
    high, low = (2 * int(y[0]) + 1) << shift, (2 * int(y[0]) - 1) << shift
    assert y[0] == 32767 or 4 * squares < high * high
    assert y[0] == 0 or 4 * squares >= low * low


def test_magnitude_of_some_channels() -> None:
    x = np.array([[1, 30, 40, 5, 12, -7]])
    y, _ = stream(Magnitude("m", 6, 12, 1, 2, 2), x)
    assert y.tolist() == [[1, 30, 40, 5, 12, -7, 50, 13]]


def test_difference_begins_at_zero() -> None:
    x = np.array([[100, 5], [90, -2047], [90, 2047]])
    y, _ = stream(Difference("d", 2, 12, 0, 2), x)
    assert y.tolist() == [[100, 5, 0, 0], [90, -2047, -10, -2047], [90, 2047, 0, 2047]]
    alone, _ = stream(Difference("d", 2, 12, 1, 1, keep=0), x)
    assert alone.tolist() == [[0], [-2047], [2047]]


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("rate", [1, 62, 1214, 32767])
def test_gravity_is_a_one_pole_filter(bits: int, rate: int) -> None:
    x = walk(1, 1000, bits)
    y, states = stream(Gravity("g", 3, bits, 0, 3, rate), x)
    k = rate / 32768
    start = (1 - k) * x[:1].astype(float)
    slow, _ = scipy.signal.lfilter([k], [1, k - 1], x.astype(float), axis=0, zi=start)
    # half a unit of 2^-15 in each step, forgotten as the filter forgets
    assert np.abs(y[:, 3:] - slow).max() <= 0.5 + 0.5 / k / 32768 + 1e-9
    np.testing.assert_array_equal(y[:, :3], np.clip(x - y[:, 3:], *limits(bits)))
    assert all(np.abs(state["slow"]).max() <= LIMIT for state in states)


def test_gravity_settles_where_it_should() -> None:
    x = np.concatenate([np.zeros((1, 1)), np.full((6_000, 1), 3)]).astype(np.int64)
    y, _ = stream(Gravity("g", 1, 12, 0, 1, 40), x)
    assert y[-1].tolist() == [0, 3]


def limits(bits: int) -> tuple[int, int]:
    top = (1 << (bits - 1)) - 1
    return -top, top


FILTERS = {
    "highpass": (2, 0.3, "highpass"),
    "lowpass": (4, 5.0, "lowpass"),
    "bandpass": (4, [0.5, 10.0], "bandpass"),
    "slow": (2, 0.05, "lowpass"),
    "steep": (9, 20.0, "lowpass"),
}


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("kind", FILTERS)
def test_filters_keep_their_stated_error(kind: str, bits: int) -> None:
    order, corner, band = FILTERS[kind]
    sos = scipy.signal.butter(order, corner, band, fs=RATE, output="sos")
    node = biquad_of("b", 3, bits, 0, 3, sos)
    x = walk(2, 1500, bits)
    y, _ = stream(node, x)
    start = scipy.signal.sosfilt_zi(sos)[..., None] * x[0].astype(float)
    real, _ = scipy.signal.sosfilt(sos, x.astype(float), axis=0, zi=start)
    away = np.abs(np.clip(real, *limits(bits)) - y).max()
    assert away <= node.error(sos)
    if kind != "slow":
        assert node.error(sos) < 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([8, 12, 16]), st.booleans())
def test_sections_stay_below_their_bound(seed: int, bits: int, extreme: bool) -> None:
    """Also for the worst input: the sign of the impulse response, backwards."""
    node = random_biquad(np.random.default_rng(seed), "b", 1, 1, bits, 12, extreme)
    assert isinstance(node, Biquad)
    impulse, _ = scipy.signal.sosfilt(
        np.insert(node.coefficients.reshape(-1, 5) / 2.0**28, 3, 1.0, axis=1),
        np.eye(1, 200)[0], zi=np.zeros((node.sections, 2)),
    )  # fmt: skip
    worst = np.where(impulse[::-1] < 0, -1, 1) * largest_magnitude(bits)
    for x in (worst, -worst, walk(seed, 60, bits, 1)[:, 0]):
        _, states = stream(node, x.clip(-largest_magnitude(bits), (1 << (bits - 1)) - 1)[:, None])
        assert max(np.abs(state["past"]).max() for state in states) < LIMIT


SOS = scipy.signal.butter(2, 0.3, "highpass", fs=RATE, output="sos")


@pytest.mark.parametrize(
    "change,message",
    [
        ({"fraction": 20}, r"could reach 2\^3\d\.\d: at most 2\^30 is safe"),
        ({"steady": np.array([5], np.int32)}, "a steady gain is not that of the sections"),
        ({"sections": 2}, "2 sections need 10 coefficients and 2 gains, not 5 and 1"),
        ({"count": 4}, r"it works on values 0\.\.3 of 3"),
        ({"coefficients": np.array([0, 0, 0, 0, 1 << 28], np.int32)}, "not stable"),
    ],
)
def test_a_filter_that_is_not_proven_is_refused(change: dict[str, object], message: str) -> None:
    node = biquad_of("b", 3, 12, 0, 3, SOS)
    with pytest.raises(ProgramError, match=f"layer b: .*{message}"):
        replace(node, **change)


@pytest.mark.parametrize(
    "sos,message",
    [
        (np.ones((1, 5)), "sections"),
        (np.full((1, 6), np.nan), "finite"),
        (scipy.signal.butter(2, 1e-6, fs=RATE, output="sos"), "too near to the unit circle"),
        (np.array([[1e6, 0, 0, 1, 0, 0.0]]), r"a coefficient of 1e\+06: they are below 8"),
    ],
)
def test_a_filter_that_does_not_fit_is_refused(sos: np.ndarray, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        biquad_of("b", 3, 12, 0, 3, sos)


def test_a_vector_too_long_is_refused() -> None:
    with pytest.raises(ProgramError, match="squares of 4 values of 16 bits leave 32 bits"):
        Magnitude("m", 4, 16, 0, 1, 4)
    with pytest.raises(ProgramError, match="at most 65535 fit"):
        Gravity("g", 40000, 12, 0, 40000, 5)

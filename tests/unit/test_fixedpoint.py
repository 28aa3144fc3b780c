"""The primitives against exact rational arithmetic."""

import re
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.program import fixedpoint as fp
from edgeflow.resources import resource

int16 = st.integers(-(2**15), 2**15 - 1)


@given(shift=st.integers(1, 15), multiplier=st.integers(0, 2**31 - 1), data=st.data())
def test_requantize_rounds_the_exact_product(
    shift: int, multiplier: int, data: st.DataObject
) -> None:
    limit = (2**31 - 1) >> shift
    acc = data.draw(st.integers(-limit, limit))
    exact = Fraction(acc * 2**shift * multiplier, 2**32)
    expected = max(-32768, min(32767, floor(exact + Fraction(1, 2))))
    assert int(fp.requantize(acc, multiplier, shift)) == expected


@given(acc=st.integers(-(2**29), 2**29), multiplier=st.integers(0, 2**31 - 1))
def test_requantize_is_vqrdmulh(acc: int, multiplier: int) -> None:
    # Arm: sat32((2 * a * b + 2**31) >> 32), here on acc << (shift - 1) with shift = 2
    a = acc << 1
    helium = (2 * a * multiplier + (1 << 31)) >> 32
    assert int(fp.requantize(acc, multiplier, 2)) == max(-32768, min(32767, helium))


@given(value=st.integers(-(2**40), 2**40), bits=st.integers(1, 31))
def test_shift_right_round(value: int, bits: int) -> None:
    expected = floor(Fraction(value, 2**bits) + Fraction(1, 2))
    assert int(fp.shift_right_round(value, bits)) == expected


@pytest.mark.parametrize(
    "name,function", [("sigmoid", lambda v: 1 / (1 + np.exp(-v))), ("tanh", np.tanh)]
)
def test_lookup_is_close_and_never_falls(name: str, function: object) -> None:
    value = np.arange(-(2**15), 2**15)
    y = fp.lookup(name, value)
    assert np.diff(y).min() >= 0
    assert y.min() >= -32767
    assert y.max() <= 32767
    # linear interpolation over 1/16 of tanh: at most h^2 / 8 * max|f''| = 3.8e-4
    assert np.abs(y / 2**15 - function(value / 2**12)).max() < 4.2e-4  # type: ignore[operator]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "decay", "log_sigmoid", "reciprocal", "log2"])
def test_c_tables_are_the_python_tables(name: str) -> None:
    text = (resource("firmware") / "kernels" / f"ef_table_{name}.c").read_text()
    body = text[text.index("{") :]
    values = [int(v) for v in re.findall(r"-?\d+", body)]
    np.testing.assert_array_equal(values, fp.table(name))

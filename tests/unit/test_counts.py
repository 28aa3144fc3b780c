"""A sensor's counts become integers without a float: against exact rational arithmetic."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.codegen.quantizer import counts_per_unit, missing_counts
from edgeflow.data import load_dataset
from edgeflow.errors import DataError, ProgramError
from edgeflow.program.counts import CountsFormat
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.input_format import InputFormat
from tests.random_programs import random_program

_INT32 = 2**31
_INT64 = 2**63


@st.composite
def forms(draw: st.DrawFn) -> tuple[InputFormat, list[float]]:
    """An input of 1 to 3 channels, and a sensor whose counts reach a part of its range, or far more."""
    n, bits = draw(st.integers(1, 3)), draw(st.integers(2, 16))
    scale = [draw(st.floats(1e-6, 1e3)) for _ in range(n)]
    offset = [s * draw(st.floats(-40_000, 40_000)) for s in scale]
    # one count is from 2^-14 to 2^6 units of the input
    per_unit = [2.0 ** draw(st.floats(-6, 14)) / s for s in scale]
    per_unit = [min(max(k, 1e-6), 1e9) for k in per_unit]
    names = tuple(f"x{i}" for i in range(n))
    form = InputFormat(np.array(offset, np.float32), np.array(scale, np.float32), bits, names)
    return form, per_unit


def exact(form: InputFormat, per_unit: list[float], c: int, i: int) -> Fraction:
    """The input of a count before rounding."""
    value = Fraction(c) / Fraction(per_unit[i]) - Fraction(float(form.offset[i]))
    return value / Fraction(float(form.scale[i]))


counts = st.one_of(st.integers(-32768, 32767), st.sampled_from([-32768, -1, 0, 1, 32767]))


@given(forms(), st.lists(counts, min_size=1, max_size=20))
def test_it_is_the_affine_map(given_form: tuple[InputFormat, list[float]], cs: list[int]) -> None:
    form, per_unit = given_form
    try:
        found = CountsFormat.of(form, per_unit)
    except ProgramError as error:
        assert "one count of the sensor" in str(error)
        return
    limit, n = symmetric_max(form.bits), len(per_unit)
    x = found.quantize(np.array([[c] * n for c in cs], np.int16))
    for c, row in zip(cs, x, strict=True):
        for i in range(n):
            m, b, shift = (int(a[i]) for a in (found.multiplier, found.bias, found.shift))
            total = c * m + b
            assert -(_INT64 if found.wide else _INT32) <= total < (_INT64 if found.wide else _INT32)
            assert row[i] == max(-limit, min(limit, total >> shift)), "halves are rounded up"
            value = exact(form, per_unit, c, i)
            if abs(value) <= limit + 1:
                approximate = Fraction(total, 2**shift) - Fraction(1, 2) * (shift > 0)
                assert abs(approximate - value) <= found.error + 1e-9 < 0.91
            nearest = max(-limit, min(limit, round(value)))
            assert abs(int(row[i]) - nearest) <= 1


@given(forms(), st.lists(counts, min_size=1, max_size=50))
def test_within_one_unit_of_the_floats(
    given_form: tuple[InputFormat, list[float]], cs: list[int]
) -> None:
    form, per_unit = given_form
    try:
        found = CountsFormat.of(form, per_unit)
    except ProgramError:
        return
    c = np.array([[c] * len(per_unit) for c in cs], np.int16)
    raw = (c / np.asarray(per_unit)).astype(np.float32)
    difference = found.quantize(c).astype(int) - form.quantize(raw).astype(int)
    assert np.abs(difference).max() <= 1


def test_sums_of_32_bits_do_for_an_accelerometer() -> None:
    """12 bits over +-4 g of a sensor of +-8 g: hardly any sample differs from the float path."""
    form = InputFormat(
        np.array([0.1, -0.5, 9.8], np.float32), np.full(3, 4 * 9.81 / 2047, np.float32), 12,
        ("ax", "ay", "az"),
    )  # fmt: skip
    found = CountsFormat.of(form, [4096 / 9.80665] * 3)
    assert not found.wide and found.error < 0.05
    c = np.random.default_rng(0).integers(-32768, 32768, (20_000, 3)).astype(np.int16)
    raw = (c / (4096 / 9.80665)).astype(np.float32)
    difference = found.quantize(c).astype(int) - form.quantize(raw)
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 0.02


def test_wide_sums_where_32_bits_do_not() -> None:
    """A sensor far from zero: gravity on every sample, and a fine input."""
    form = InputFormat(np.array([300_000.0], np.float32), np.ones(1, np.float32), 16, ("p",))
    found = CountsFormat.of(form, [0.07])
    assert found.wide and found.error < 1e-3
    c = np.array([[21_000], [21_001], [-32768], [32767]], np.int16)
    assert found.quantize(c).tolist() == [[0], [14], [-32767], [32767]]


def test_wrong_counts_are_refused() -> None:
    form = InputFormat(np.zeros(2, np.float32), np.ones(2, np.float32), 8, ("a", "b"))
    for wrong in ([1.0], [0.0, 1.0], [np.nan, 1.0], [1e10, 1.0]):
        with pytest.raises(ProgramError, match="counts per unit"):
            CountsFormat.of(form, wrong)
    with pytest.raises(ProgramError, match="channel 'b': one count of the sensor is more"):
        CountsFormat.of(form, [1.0, 1e-3])
    with pytest.raises(ProgramError, match="must be int16"):
        CountsFormat.of(form, [1.0, 1.0]).quantize([[1, 2]])


def test_a_file_says_its_counts(tmp_path: Path) -> None:
    file, rng = tmp_path / "mine.npz", np.random.default_rng(0)
    content = {
        "x": rng.normal(size=(12, 30, 2)).astype(np.float32), "y": np.arange(12) % 2,
        "person": np.array(list("aabbccddeeff")), "rate_hz": 10.0, "units": np.array(["g", "dps"]),
    }  # fmt: skip
    np.savez(file, **content, counts_per_unit=np.array([8192, 16.4]))
    assert load_dataset(file).counts == [8192.0, 16.4]
    np.savez(file, **content)
    assert load_dataset(file).counts == []
    for wrong in ([1.0], [1.0, 0.0], ["a", "b"]):
        np.savez(file, **content, counts_per_unit=np.array(wrong))
        with pytest.raises(
            DataError, match="'counts_per_unit' is .* a positive number for each of 2"
        ):
            load_dataset(file)


def test_units_say_which_sensor() -> None:
    program = random_program(1, 3, [4], 2, 12, 12)
    program = replace(program, metadata={"units": ["m/s^2", "m/s²", "dps"]})
    known = {"m/s2": 835.0, "°/s": 16.4}
    assert counts_per_unit(program, known) == (835.0, 835.0, 16.4)
    assert counts_per_unit(program, {"m/s2": 835.0}) is None
    assert "there are channels in dps, too" in missing_counts(program, {"m/s2": 835.0})
    raw = replace(program, metadata={"units": ["counts"] * 3})
    assert counts_per_unit(raw, {}) == (1.0, 1.0, 1.0)
    own = replace(program, metadata={**program.metadata, "counts_per_unit": [1, 2, 3]})
    assert counts_per_unit(own, known) == (835.0, 835.0, 16.4) and counts_per_unit(own, {}) == (
        1,
        2,
        3,
    )
    assert counts_per_unit(own, {"m/s2": 835.0}) is None, "what is given is not mixed with others"
    unknown = replace(program, metadata={})
    assert counts_per_unit(unknown, known) is None
    assert "does not know the units" in missing_counts(unknown, known)

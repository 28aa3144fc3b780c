"""Conductances of programmed devices: their distributions at every time, and what a chip keeps.

Tier: unit. It alone would catch a wrong number or formula in a device's file (against numbers made
with aihwkit, closed forms, a numerical integral, and the sources' polynomials written out here), a
chip that is another one at another time, and draws that depend on the target.
"""

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from edgeflow.errors import ImcError
from edgeflow.imc.conductance import Programmed, program
from edgeflow.imc.device import Device, device_names, load_device

DEVICES = 400_000
HOUR, DAY, YEAR = 3600, 86_400, 31_536_000
TIMES = (1, HOUR, DAY, YEAR)
ONE_PERCENT = 0.01
PCM, IDEAL = load_device("pcm"), load_device("ideal")
GOLDENS, EXACT = (
    tomllib.loads((Path(__file__).parent / f"aihwkit{kind}.toml").read_text(encoding="utf-8"))
    for kind in ("", "-exact")
)


def devices(name: str | Device, g: float, count: int = DEVICES) -> Programmed:
    device = load_device(name) if isinstance(name, str) else name
    return program(device, np.full(count, g), np.random.default_rng(7))


def moments(values: np.ndarray | None) -> tuple[float, float]:
    assert values is not None
    return float(values.mean()), float(values.std())


def read(chip: Programmed, seconds: float) -> tuple[float, float]:
    """Mean and sd of one reading of all devices."""
    return moments(chip.at(seconds, np.random.default_rng(11)))


# --- PCM: aihwkit's formulas, written out from its documentation ---------------------------------


def pcm(r: np.ndarray | float) -> tuple[Any, Any, Any]:
    """Sd of programming in µS, and mean and sd of nu, of r = g / 25 µS."""
    return (
        0.26348 + 1.9650 * r - 1.1731 * r**2,
        np.clip(-0.0155 * np.log(r) + 0.0244, 0.049, 0.1),
        np.clip(-0.0125 * np.log(r) - 0.0059, 0.008, 0.045),
    )


def read_share(r: np.ndarray | float, seconds: float) -> Any:
    """Sd of a reading as a share of the conductance."""
    growth = math.sqrt(math.log((seconds + 20 + 250e-9) / (2 * 250e-9)))
    return np.minimum(0.0088 / np.maximum(r, 1e-9) ** 0.65, 0.2) * growth


def pcm_closed_form(r: float, seconds: float) -> tuple[float, float]:
    """Mean and sd of g(t) in µS, of a normal nu: right where folding and clipping hardly matter."""
    sd, mu, s = pcm(r)
    span = math.log((seconds + 20) / 20)
    mean = 25 * r * math.exp(-mu * span + (s * span) ** 2 / 2)
    square = ((25 * r) ** 2 + sd**2) * math.exp(-2 * mu * span + 2 * (s * span) ** 2)
    square *= 1 + read_share(r, seconds) ** 2
    return mean, math.sqrt(square - mean**2)


def pcm_integral(r: float, seconds: float) -> tuple[float, float]:
    """Mean and sd of g(t) in µS, by integrals over the errors of programming and the folded nu."""
    z = np.linspace(-9, 9, 20_001)
    weights = norm.pdf(z) * (z[1] - z[0])
    sd, mu, s = pcm(r)
    left = ((seconds + 20) / 20) ** -np.abs(mu + s * z)
    g = np.maximum(25 * r + sd * z, 0)
    q = read_share(g / 25, seconds)  # a reading is max(1 + q z, 0) of the conductance
    once = norm.cdf(1 / q) + q * norm.pdf(1 / q)
    twice = (1 + q**2) * norm.cdf(1 / q) + q * norm.pdf(1 / q)
    mean = (weights @ (g * once)) * (weights @ left)
    square = (weights @ (g**2 * twice)) * (weights @ left**2)
    return mean, math.sqrt(square - mean**2)


@pytest.mark.parametrize("r", [0.2, 0.5, 1.0])
def test_pcm_follows_its_closed_forms(r: float) -> None:
    chip = devices("pcm", 25 * r)
    sd, mu, s = pcm(r)
    assert moments(chip.at(0)) == pytest.approx((25 * r, sd), rel=ONE_PERCENT)
    assert moments(chip.nu) == pytest.approx((mu, s), rel=ONE_PERCENT)
    for seconds in TIMES:
        assert read(chip, seconds) == pytest.approx(pcm_closed_form(r, seconds), rel=ONE_PERCENT)


@pytest.mark.parametrize("r", [0.04, 0.2])
def test_pcm_follows_the_integral_of_its_law(r: float) -> None:
    chip = devices("pcm", 25 * r)
    for seconds in TIMES:
        assert read(chip, seconds) == pytest.approx(pcm_integral(r, seconds), rel=ONE_PERCENT)


def test_the_exponent_of_a_weak_pcm_device_is_folded() -> None:
    z = np.linspace(-9, 9, 20_001)
    weights = norm.pdf(z) * (z[1] - z[0])
    _, mu, s = pcm(0.04)
    nu = np.abs(mu + s * z)
    mean = weights @ nu
    expected = (mean, math.sqrt(weights @ nu**2 - mean**2))
    chip = devices("pcm", 1.0)
    assert moments(chip.nu) == pytest.approx(expected, rel=ONE_PERCENT)
    assert chip.nu is not None and chip.nu.min() >= 0


# --- all models that aihwkit has ------------------------------------------------------------------


@pytest.mark.parametrize("g", GOLDENS["pcm"])
def test_pcm_is_distributed_as_in_aihwkit(g: str) -> None:
    chip = devices("pcm", float(g))
    for key, expected in GOLDENS["pcm"][g].items():
        if key == "nu":
            got = moments(chip.nu)
        else:
            got = read(chip, float(key[3:])) if key.startswith("at_") else moments(chip.at(0))
        assert got == pytest.approx(expected, rel=ONE_PERCENT), key


class SameNumber(np.random.Generator):
    """Draws one number, always."""

    def __init__(self, number: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.number = number

    def standard_normal(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return np.full(size, self.number)


@pytest.mark.parametrize(("name", "number"), [(name, z) for name in EXACT for z in EXACT[name]])
def test_formulas_are_those_of_aihwkit(name: str, number: str) -> None:
    golden, rng = EXACT[name][number], SameNumber(float(number))
    device, g = load_device(name), np.array(golden["target"])
    chip = program(device, g, rng)
    if "nu" in golden:
        assert chip.nu == pytest.approx(golden["nu"], rel=1e-6)
    if name == "cmo":
        after = program(just_programmed(device), g, rng).at(1)
    else:
        after = chip.at(device.first_s or 0)
    assert after == pytest.approx(golden["programmed"], rel=1e-6)
    for key in golden:
        if key.startswith("at_"):
            got = chip.at(float(key.removeprefix("at_")), rng)
            # of cmo, aihwkit takes the noise of a reading at the relaxed conductance
            rel = 1e-3 if name == "cmo" else 1e-6
            assert got == pytest.approx(golden[key], rel=rel, abs=1e-9), key


def just_programmed(device: Device) -> Device:
    """A device without what comes after programming."""
    return device.model_copy(update={"relaxation": None, "read": None})


# --- RRAM: the sources' polynomials ---------------------------------------------------------------

WAN = {
    1: [-16.815, 45.393, -43.853, 16.030, 0.348],
    DAY: [-16.458, 47.095, -50.773, 22.086, 0.701],
    2 * DAY: [-11.934, 37.062, -43.507, 20.274, 0.782],
}


@pytest.mark.parametrize("seconds", WAN)
@pytest.mark.parametrize("g", [14, 20, 26, 33, 40])
def test_wan_by_aihwkit(g: float, seconds: int) -> None:
    expected = (g, np.polyval(WAN[seconds], g / 40))
    assert read(devices("rram-wan", g), seconds) == pytest.approx(expected, rel=ONE_PERCENT)


@pytest.mark.parametrize("g", [10, 15, 20, 30, 39.26])
def test_wan_by_crosssim(g: float) -> None:
    sd = np.polyval([1.536e-4, -1.167e-2, 2.374e-1, 1.053], g)
    assert read(devices("rram-wan-crosssim", g), 1) == pytest.approx((g, sd), rel=ONE_PERCENT)


@pytest.mark.parametrize("g", [50, 100, 150, 200, 225])
def test_milo(g: float) -> None:
    expected = (g, 4.782321 - 0.009107 * g)
    assert read(devices("rram-milo", g), 0) == pytest.approx(expected, rel=ONE_PERCENT)


@pytest.mark.parametrize("g", [9, 30, 50, 70, 88])
def test_cmo(g: float) -> None:
    device = load_device("cmo")
    sd = 0.00081107 + 0.00106879 * g
    after = devices(just_programmed(device), g).at(1)
    assert moments(after) == pytest.approx((g, sd), rel=ONE_PERCENT)
    chip = devices(device, g)
    for seconds in TIMES:
        t = math.log(seconds)
        relaxed = (g - 0.08900206 * t, math.hypot(sd, 0.04201137 * t + 0.41183342))
        assert moments(chip.at(seconds)) == pytest.approx(relaxed, rel=ONE_PERCENT)


def test_readings_of_cmo_have_noise_in_microsiemens() -> None:
    chip = devices("cmo", 50)
    noise = chip.at(HOUR, np.random.default_rng(1)) - chip.at(HOUR)
    sd = 0.0277316483 * math.log10(50) * math.sqrt(math.log((HOUR + 1e-6) / 2e-6))
    assert moments(noise) == (pytest.approx(0, abs=0.001), pytest.approx(sd, rel=ONE_PERCENT))


def test_readings_of_the_nl_adcs_rram_have_their_own_noise() -> None:
    chip = devices("nl-rram", 100)
    assert moments(chip.at(0)) == pytest.approx((100, 2.7), rel=ONE_PERCENT)
    assert read(chip, 0) == pytest.approx((100, math.hypot(2.7, 3.5)), rel=ONE_PERCENT)


# --- what a chip keeps ----------------------------------------------------------------------------


def some_times(device: Device) -> list[float]:
    first = device.first_s or 0
    last = YEAR if device.last_s is None else device.last_s
    return list(device.times_s) or [first, (first * last) ** 0.5 if first else last / 2, last]


@pytest.mark.parametrize("name", device_names())
def test_a_chip_is_the_same_at_every_time(name: str) -> None:
    device = load_device(name)
    g = np.random.default_rng(0).uniform(device.g_min, device.g_max, (30, 20))
    one, two = (program(device, g, np.random.default_rng(3)) for _ in range(2))
    before = g.copy()
    late = one.at(some_times(device)[-1], np.random.default_rng(5))
    for seconds in some_times(device):
        assert (one.at(seconds) == two.at(seconds)).all()
        now = one.at(seconds, np.random.default_rng(5))
        assert now.shape == g.shape and now.dtype == np.float64 and (now >= 0).all()
    assert (one.at(some_times(device)[-1], np.random.default_rng(5)) == late).all()
    assert (g == before).all()
    other = program(device, g, np.random.default_rng(4)).at(some_times(device)[0])
    assert device.ideal or (other != one.at(some_times(device)[0])).mean() > 0.7


@pytest.mark.parametrize("name", device_names())
def test_draws_depend_on_shape_and_seed_alone(name: str) -> None:
    device = load_device(name)
    states = []
    for other in (device, IDEAL):
        rng = np.random.default_rng(9)
        chip = program(other, np.full((7, 3), other.g_min), rng)
        rng_read = np.random.default_rng(2)
        chip.at(some_times(other)[-1], rng_read)
        states.append((rng.random(), rng_read.random(), chip.first.tolist()))
    assert states[0] == states[1]


@given(st.integers(0, 1000), st.floats(0, 25), st.floats(0, 1e8), st.floats(1, 1e8))
def test_pcm_falls_with_time(seed: int, g: float, seconds: float, more: float) -> None:
    chip = program(PCM, np.full(50, g), np.random.default_rng(seed))
    assert (chip.at(seconds + more) <= chip.at(seconds)).all()


@given(st.floats(0, 25), st.floats(0, 1e10))
def test_the_ideal_device_keeps_its_target_to_the_bit(g: float, seconds: float) -> None:
    target = np.full((3, 4), g)
    chip = program(IDEAL, target, np.random.default_rng(0))
    assert (chip.at(seconds, np.random.default_rng(1)) == target).all()


@pytest.mark.parametrize(
    ("on", "off"), [(0.1, 0.2), (0.0, 0.3), (0.3, 0.0), (0.0, 1.0), (0.6, 0.4)]
)
def test_stuck_devices_stay_at_an_end(on: float, off: float) -> None:
    device = load_device("cmo").model_copy(update={"stuck_on": on, "stuck_off": off})
    chip = devices(device, 50)
    for seconds in (1, YEAR):
        g = chip.at(seconds, np.random.default_rng(int(seconds)))
        assert (g == device.g_max).mean() == pytest.approx(on, abs=0.005)
        assert (g == device.g_min).mean() == pytest.approx(off, abs=0.005)
    assert (chip.at(1) == chip.at(YEAR)).mean() == pytest.approx(on + off, abs=0.005)


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("pcm", 25.1, "a target of 25.1 µS is outside of device 'pcm': 0 to 25 µS"),
        ("rram-milo", 49, "a target of 49 µS is outside of device 'rram-milo': 50 to 225 µS"),
        ("pcm", float("nan"), "a target of nan µS"),
    ],
)
def test_a_target_outside_of_the_range_is_an_error(name: str, bad: float, message: str) -> None:
    target = np.full((2, 3), 60.0 if name == "rram-milo" else 5.0)
    target[1, 2] = bad
    with pytest.raises(ImcError, match=message):
        program(load_device(name), target, np.random.default_rng(0))


def test_a_target_may_be_off_by_its_rounding() -> None:
    device = load_device("cmo")
    program(device, np.array([device.g_max * (1 + 1e-15)]), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("rram-wan", HOUR), ("rram-wan-crosssim", 2), ("rram-milo", 1), ("cmo", 0.5), ("nl-rram", 1)],
)
def test_a_time_that_nobody_published_is_an_error(name: str, seconds: float) -> None:
    device = load_device(name)
    chip = program(device, np.array([device.g_max]), np.random.default_rng(0))
    with pytest.raises(ImcError, match=rf"device '{name}' has no data of {seconds:g} s"):
        chip.at(seconds)

"""Files of analog devices: what is in those that come with EdgeFlow, and which are refused.

Tier: unit. It alone would catch a device without a source, a curve whose pieces are taken in the
wrong order, a name that is no device, and a wrong file that is answered by more than one line.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.errors import ImcError
from edgeflow.imc.curve import LEAST, Curve
from edgeflow.imc.device import device_names, load_device
from edgeflow.resources import resource

NAMES = [
    "cmo",
    "hermes-1",
    "hermes-2",
    "ideal",
    "nl-rram",
    "pcm",
    "rram-milo",
    "rram-wan",
    "rram-wan-crosssim",
]
#: A small file that is right; the errors below each change one thing.
RIGHT = """
name = "mine"
about = "a test"
g_min = 1
g_max = 10
valid_s = [1, 100]
stuck_on = 0.5
unverified = ["programming.pieces: a guess"]
sources = ["a paper"]
[programming]
of = "r"
pieces = [{ below = 0.5, poly = [0.1] }, { poly = [0.2, 0.1] }]
[relaxation]
mean = [0, -0.1]
sd = [0.4, -0.05]
[read]
relative = true
[read.sd]
of = "r"
pieces = [{ power = [0.01, -0.5], max = 0.02 }]
"""


def test_every_device_has_a_source_and_its_files_name() -> None:
    assert device_names() == NAMES
    for name in NAMES:
        device = load_device(name)
        assert device.name == name and all(device.sources) and device.about, name
        assert device.ideal == (name == "ideal")
        assert 0 <= device.g_min < device.g_max <= 225


@pytest.mark.parametrize(
    ("name", "g", "times", "devices"),
    [
        ("pcm", (0, 25), (None, None), 1),
        ("hermes-1", (0, 10.35), (None, None), 1),
        ("hermes-2", (0, 20.7), (None, None), 2),
        ("rram-wan", (0, 40), (1, 172_800), 1),
        ("rram-wan-crosssim", (0, 39.26), (1, 1), 1),
        ("rram-milo", (50, 225), (0, 0), 1),
        ("cmo", (9, 88.2), (1, 3.15576e8), 1),
        ("nl-rram", (0, 150), (0, 0), 1),
    ],
)
def test_ranges_are_those_of_the_sources(
    name: str, g: tuple[float, float], times: tuple[float | None, float | None], devices: int
) -> None:
    device = load_device(name)
    assert (device.g_min, device.g_max) == pytest.approx(g)
    assert (device.first_s, device.last_s) == times
    assert device.devices_per_side == devices


@pytest.mark.parametrize(
    ("name", "t0_s", "pulse_s"),
    [
        ("pcm", 20, 250e-9),
        ("hermes-1", 200, 512e-9),
        ("hermes-2", 300, 512e-9),
        ("cmo", None, 1e-6),
        ("nl-rram", None, None),
    ],
)
def test_times_that_hardly_show_in_a_distribution(
    name: str, t0_s: float | None, pulse_s: float | None
) -> None:
    device = load_device(name)
    assert (device.drift and device.drift.t0_s) == t0_s
    assert device.read is not None and device.read.pulse_s == pulse_s


def test_what_is_from_memory_is_said() -> None:
    fields = {line.split(":")[0] for line in load_device("nl-rram").unverified}
    assert {"g_max", "programming", "read"} <= fields


@pytest.mark.parametrize(
    ("name", "seconds", "message"),
    [
        ("rram-wan", 3600, "'rram-wan' has no data of 3600 s after programming: only of 1, 86400, 172800 s"),
        ("rram-wan", 0, "only of 1, 86400, 172800 s"),
        ("rram-wan-crosssim", 86400, "only of 1 s"),
        ("rram-milo", 1, "only of 0 s"),
        ("nl-rram", 1, "only of 0 s"),
        ("cmo", 0, "of 1 s to 3.15576e+08 s"),
        ("cmo", 3.2e8, "of 1 s to 3.15576e+08 s"),
        ("pcm", -1, "from 0 on, not -1"),
        ("ideal", float("nan"), "from 0 on, not nan"),
        ("pcm", float("inf"), "from 0 on, not inf"),
    ],
)  # fmt: skip
def test_a_time_without_data_is_an_error(name: str, seconds: float, message: str) -> None:
    with pytest.raises(ImcError) as error:
        load_device(name).check_time(seconds)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_times_with_data_are_not() -> None:
    for name, times in {
        "rram-wan": (1, 86400, 172_800),
        "cmo": (1, 3600, 3.1e8),
        "rram-milo": (0,),
        "pcm": (0, 1, 3.1e8),
    }.items():
        for seconds in times:
            load_device(name).check_time(seconds)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(RIGHT)
    for place in (path, str(path)):
        device = load_device(place)
        assert device.name == "mine" and not device.ideal and device.last_s == 100


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('sources = ["a paper"]', "", "sources: Field required"),
        ('"a paper"', "", "sources: List should have at least 1 item"),
        ("g_min = 1", "gmin = 1", "g_min: Field required"),
        ("g_min = 1", "g_min = 1\nwires = 2", "wires: Extra inputs are not permitted"),
        ("max = 0.02", "most = 0.02", "read.sd.pieces.0.most: Extra inputs"),
        ("g_min = 1", "g_min = 10", "g_min is not below g_max"),
        ("g_min = 1", "g_min = nan", "g_min: "),
        ("g_max = 10", "g_max = inf", "g_max: "),
        ("valid_s = [1, 100]", "valid_s = [100, 1]", "the first time is after the last"),
        ("valid_s = [1, 100]", "", "relaxation needs valid_s"),
        ("[1, 100]", "[0, 100]", "relaxation needs valid_s, from a time above 0 s on"),
        ("[1, 100]", "[1, 1e4]", "relaxation.sd: below 0 within valid_s"),
        ("stuck_on = 0.5", "stuck_on = 0.5\nstuck_off = 0.6", "stuck_on and stuck_off"),
        ("programming.pieces: a", "prog: a", "unverified: 'prog: a guess' is not 'field: why'"),
        ("below = 0.5, ", "", "programming: below must rise"),
        ("{ poly = [0.2, 0.1] }", "{ below = 0.4, poly = [0.2] }, { poly = [1] }", "below must rise"),
        ("{ poly = [0.2, 0.1] }", "{ below = 0.9, poly = [0.2] }", "the last piece has none"),
        ("poly = [0.1] }", "poly = [0.1], log = [1, 2] }", "a piece is one of poly, log and power"),
        ("poly = [0.1] }", "max = 1 }", "a piece is one of poly, log and power"),
        ("poly = [0.1] }", "poly = [0.1], min = 2, max = 1 }", "min is above max"),
        ("poly = [0.1] }", "poly = [nan] }", "programming.pieces.0.poly.0: "),
        ("poly = [0.2, 0.1]", "poly = [0.5, -0.9]", "programming: not a number from 0 on at 5.57"),
        ("power = [0.01, -0.5], max = 0.02", "power = [0.01, -900]", "read.sd: not a number from 0"),
        ('of = "r"', 'of = "x"', "programming.of: Input should be 'r' or 'g'"),
        ("[read]", "[[spread]]\nseconds = 1\nsd = { of = 'r', pieces = [{ poly = [1] }] }\n[read]",
         "spread takes the place of"),
        ("[read]", "[drift]\nt0_s = 20\nnu_sd = { of = 'g', pieces = [{ poly = [1] }] }\n"
         "nu_mean = { of = 'g', pieces = [{ poly = [-1] }] }\n[read]", "drift.nu_mean: not a number"),
        ("[read]", "[read", "not a TOML file"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_an_error_of_one_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in RIGHT
    path = tmp_path / "mine.toml"
    path.write_text(RIGHT.replace(old, new, 1))
    with pytest.raises(ImcError) as error:
        load_device(path)
    assert str(path) in str(error.value) and message in str(error.value)
    assert "\n" not in str(error.value)


def test_times_of_a_spread_rise(tmp_path: Path) -> None:
    text = (resource("calibration") / "imc" / "rram-wan.toml").read_text(encoding="utf-8")
    path = tmp_path / "x.toml"
    path.write_text(text.replace("seconds = 86400", "seconds = 1"))
    with pytest.raises(ImcError, match="spread: seconds must rise"):
        load_device(path)


def test_what_is_no_device(tmp_path: Path) -> None:
    with pytest.raises(
        ImcError, match=r"no device 'pcn'; did you mean 'pcm'\? known: cmo, .*\.toml"
    ):
        load_device("pcn")
    for name in ("", "../imc/pcm", "/etc/passwd", "PCM"):
        with pytest.raises(ImcError, match="no device"):
            load_device(name)
    with pytest.raises(ImcError, match=r"x\.toml: cannot be read"):
        load_device(tmp_path / "x.toml")


def test_pieces_hold_below_their_limits() -> None:
    curve = Curve.model_validate(
        {
            "of": "r",
            "pieces": [
                {"below": 0.2, "poly": [1.0]},
                {"below": 0.6, "log": [2.0, 1.0], "max": 1.4},
                {"power": [3.0, 2.0], "min": 1.5},
            ],
        }
    )
    r = np.array([0.0, 0.1999, 0.2, 0.4, 0.5999, 0.6, 1.0])
    expected = [1, 1, 2 + np.log(0.2), 2 + np.log(0.4), 1.4, 1.5, 3]
    assert curve.at(r * 50, 50) == pytest.approx(expected)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=5), st.floats(0, 200), st.floats(1, 200)
)  # fmt: skip
def test_polynomials_are_of_g_or_of_its_share(poly: list[float], g: float, g_max: float) -> None:
    for of, x in (("g", g), ("r", g / g_max)):
        curve = Curve.model_validate({"of": of, "pieces": [{"poly": poly}]})
        expected = sum(c * x**n for n, c in enumerate(poly))
        assert curve.at(np.array([g]), g_max)[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_logarithms_and_powers_have_a_value_at_0() -> None:
    for formula in ({"log": [0.0, 1.0]}, {"power": [1.0, -0.65]}):
        curve = Curve.model_validate({"of": "r", "pieces": [formula]})
        at_0, at_least = curve.at(np.array([0.0, LEAST]), 1.0)
        assert at_0 == at_least and np.isfinite(at_0)

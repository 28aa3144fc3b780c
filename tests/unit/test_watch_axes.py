"""Axes and units of a model's channels on a watch (tier unit).

It alone would catch a sign or a unit that turns a model's world upside down, and a channel that is
guessed where it is not known.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.errors import ExportError, OutputError
from edgeflow.exporting import FORMATS, Options, check_export, export
from edgeflow.exporting.sensors import channel_axes
from edgeflow.exporting.watches import WATCHES, notes
from edgeflow.program import InputFormat, Program
from tests.random_programs import random_program


def program(
    channels: tuple[str, ...], units: list[str] | None = None, rate_hz: float = 50.0
) -> Program:
    n = len(channels)
    form = InputFormat(np.zeros(n, np.float32), np.ones(n, np.float32), 12, channels)
    made = replace(random_program(1, n, [4], 3, 12, 12), input=form, rate_hz=rate_hz, window=10)
    return replace(made, metadata={} if units is None else {"units": units})


@pytest.mark.parametrize(
    ("channel", "unit", "axis", "factor"),
    [
        ("acc_x", "g", "acc_x", 1.0),
        ("ay", "m/s²", "acc_y", 9.80665),
        ("Accelerometer Z", "m/s^2", "acc_z", 9.80665),
        ("accel.x", "mg", "acc_x", 1000.0),
        ("acceleration_z", "m/s2", "acc_z", 9.80665),
        ("gyr_x", "rad/s", "gyr_x", 1.0),
        ("gz", "deg/s", "gyr_z", 57.29578),
        ("GyroY", "dps", "gyr_y", 57.29578),
    ],
)
def test_names_and_units_say_the_axis(channel: str, unit: str, axis: str, factor: float) -> None:
    (found,) = channel_axes(program((channel,), [unit]), "it", ("acc", "gyr"))
    assert (found.name, found.sign) == (axis, 1)
    assert found.factor == pytest.approx(factor)


def test_given_axes_win() -> None:
    made = program(("acc_x", "north"), ["g", ""])
    given = {"acc_x": "-acc_y", "north": "gyr_z:deg/s"}
    for form in (given, "acc_x=-acc_y, north=gyr_z:deg/s"):
        first, second = channel_axes(made, "it", ("acc", "gyr"), form)
        assert (first.name, first.factor, first.index) == ("acc_y", -1.0, 1)
        assert (second.name, second.index) == ("gyr_z", 5)
        assert second.factor == pytest.approx(57.29578)
    with pytest.raises(ExportError, match="axes is 3: give a mapping"):
        channel_axes(made, "it", ("acc", "gyr"), 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("channels", "units", "given", "message"),
    [
        (("acc_x", "gyr_x"), ["g", "rad/s"], "", "gives apps no gyroscope, which the model's channels gyr_x need: train a model of acc_x alone"),
        (("gyr_x",), ["rad/s"], "", "choose another device"),
        (("acc_x",), ["g"], {"acc_x": "up"}, "--axes acc_x=up: write --axes CHANNEL=AXIS"),
        (("gravity_x",), ["g"], "", "the name of channel 'gravity_x' does not say which axis"),
        (("acc_x",), ["furlong"], "", "is in 'furlong', which is no unit of accelerometers, there are g, mg, m/s2"),
        (("acc_x",), None, "", "has no unit; of accelerometers, there are g, mg, m/s2: say it with --axes acc_x=acc_x:UNIT"),
        (("acc_x",), ["g"], "acc_y=acc_y", "the model has no such channel, but acc_x"),
        (("acc_x",), ["g"], "acc_x", "write --axes CHANNEL=AXIS"),
        (("acc_x",), ["g"], "acc_x=acc_w", "write --axes CHANNEL=AXIS"),
        (("acc_x",), ["g"], "acc_x=-acc_y:rad/s", "is in 'rad/s', which is no unit of accelerometers"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_an_error_of_one_line(
    channels: tuple[str, ...], units: list[str] | None, given: str | dict[str, str], message: str
) -> None:
    with pytest.raises(ExportError) as caught:
        channel_axes(program(channels, units), "The watch", ("acc",), given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_watch_needs_the_rate(tmp_path: Path) -> None:
    made = program(("acc_x",), ["g"], rate_hz=0.0)
    with pytest.raises(ExportError, match="does not know its sampling rate"):
        export(made, "pebble", tmp_path / "app")
    with pytest.raises(ExportError, match="onnx has no option 'axes'; it is for pebble"):
        export(made, "onnx", tmp_path / "app", axes="acc_x=acc_x")
    assert not (tmp_path / "app").exists()


def test_the_watch_is_asked_for_enough_samples() -> None:
    pebble = WATCHES["pebble"]
    assert [pebble.rate(rate) for rate in (5, 10, 12.5, 50, 51, 400)] == [10, 10, 25, 50, 100, 100]
    slow = program(("acc_x",), ["g"], rate_hz=200.0)
    (note,) = notes(slow, Options(to="pebble"))
    assert "Pebble gives 100 samples per second, the model was trained on 200" in note
    assert notes(program(("acc_x",), ["g"]), Options(to="pebble")) == []


def test_an_app_is_a_folder_that_is_not_its_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for to in WATCHES:
        assert FORMATS[to].folder and not FORMATS[to].several
        with pytest.raises(OutputError, match="notes.txt"):
            check_export(to, tmp_path, None, {})


def test_the_package_has_no_firmware_to_profile(tmp_path: Path) -> None:
    from edgeflow.codegen.package import Package
    from edgeflow.errors import TargetError

    files = export(program(("acc_x",), ["g"]), "pebble", tmp_path / "app", name="gait")
    assert all(file.is_file() for file in files)
    assert not (tmp_path / "app" / "profile").exists()
    with pytest.raises(TargetError, match="an export of several programs, for a watch"):
        Package.load(tmp_path / "app")

"""What spoils a training is found in recordings, and nothing where there is nothing (tier: unit).

It alone would catch a check that does not see a clipped sensor, or calls a sound one bad.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.data import load_dataset
from edgeflow.data.dataset import Dataset, Recording
from edgeflow.data.quality import Quality, check, spectrum
from edgeflow.errors import DataError
from edgeflow.profiling.quality_report import render
from tests.conftest import SHARED_DATA

RATE = 50.0


def sound(subjects: int = 6, seconds: float = 20.0, unit: str = "g") -> Dataset:
    """Two activities of some subjects: gravity, a slow movement, a little noise."""
    rng, size = np.random.default_rng(0), round(seconds * RATE)
    time = np.arange(size) / RATE
    gravity = {"g": 1.0, "m/s2": 9.81, "mg": 1000.0}[unit]
    recordings = []
    for person in range(subjects):
        for label in range(2):
            x = rng.normal(0, 0.002, (size, 4))
            x += 0.2 * np.sin(2 * np.pi * (1 + label) * time + rng.uniform(0, 6))[:, None]
            x[:, 2] += 1
            x[:, :3] *= gravity
            recordings.append(Recording(x.astype(np.float32), label, f"p{person}"))
    return Dataset(
        "own", ["rest", "walk"], ["acc_x", "acc_y", "acc_z", "pulse"], [unit] * 3 + [""], RATE,
        recordings, {"train": [], "val": [], "test": []}, 100,
    )  # fmt: skip


def changed(dataset: Dataset, change: Any) -> Quality:
    """Return what is found once each recording's samples went through a function."""
    recordings = [replace(r, x=change(r.x.copy(), r)) for r in dataset.recordings]
    return check(replace(dataset, recordings=recordings))


def only(quality: Quality, pattern: str) -> None:
    assert len(quality.findings) == 1 and re.search(pattern, quality.findings[0]), quality.findings


@pytest.mark.parametrize("unit", ["g", "m/s2", "mg"])
def test_sound_recordings(unit: str) -> None:
    found = check(sound(unit=unit))
    assert found.findings == []
    assert found.gravity[0]["unit"] == {"m/s2": "m/s²"}.get(unit, unit)
    assert found.seconds["p0"] == {"rest": 20.0, "walk": 20.0}


@given(st.floats(0.4, 0.9), st.sampled_from([-1, 1]), st.integers(0, 2))
def test_clipping(share: float, sign: int, channel: int) -> None:
    def clip(x: np.ndarray, _: Recording) -> np.ndarray:
        middle = np.median(x[:, channel])
        end = middle + sign * share * np.abs(x[:, channel] - middle).max()
        x[:, channel] = (np.minimum if sign > 0 else np.maximum)(x[:, channel], end)
        return x

    one = sound(1, 60)
    one = replace(one, recordings=one.recordings[:1])
    lines = changed(one, clip).findings
    assert sum(line.startswith(f"clipped samples, at an end of the range: acc_{'xyz'[channel]} ") for line in lines) == 1  # fmt: skip


def test_a_direction_ends_at_one() -> None:
    """Vectors of unit length often have an axis at 1, and nothing is clipped."""
    data = sound()

    def unit(x: np.ndarray, _: Recording) -> np.ndarray:
        x[:, :3] /= np.linalg.norm(x[:, :3], axis=1, keepdims=True)
        x[200:300, :3] = [0, 0, 1]
        return x

    assert not [line for line in changed(data, unit).findings if "clipped" in line]


def test_a_channel_of_one_value() -> None:
    def still(x: np.ndarray, _: Recording) -> np.ndarray:
        x[:, 3] = 7
        return x

    only(changed(sound(), still), "^pulse 7: one value throughout")


def test_a_sensor_that_stalls() -> None:
    def stall(x: np.ndarray, recording: Recording) -> np.ndarray:
        if recording.person == "p1":
            x[100:300, 3] = x[100, 3]
        return x

    found = changed(sound(), stall)
    only(found, r"^samples that stay the same for 1 s and more: pulse 3\.3%")


def test_movements_near_half_of_the_rate() -> None:
    def fast(x: np.ndarray, _: Recording) -> np.ndarray:
        x[:, 3] = np.sin(2 * np.pi * 23 * np.arange(len(x)) / RATE)
        return x

    only(changed(sound(), fast), r"pulse 23\.\d Hz, near half of the rate \(25 Hz\)")


@pytest.mark.parametrize(("factor", "words"), [(9.81, "said to be in g, .* is in m/s²"), (0.4, "in none of m/s², g and mg")])  # fmt: skip
def test_gravity_of_another_unit(factor: float, words: str) -> None:
    def scaled(x: np.ndarray, _: Recording) -> np.ndarray:
        x[:, :3] *= factor
        return x

    only(changed(sound(), scaled), words)


def test_a_subject_whose_sensor_is_turned() -> None:
    def turn(x: np.ndarray, recording: Recording) -> np.ndarray:
        if recording.person == "p3":
            x[:, :3] *= [1, -1, -1]
        return x

    only(changed(sound(), turn), "^acc of subject p3 points the other way .*cosine -1.00")


def test_labels() -> None:
    data = sound()
    short = [r if r.label else replace(r, x=r.x[:100]) for r in data.recordings]
    only(check(replace(data, recordings=short)), "^10 times as much of 'walk' .* as of 'rest'")
    few = [r for r in data.recordings if r.label or r.person == "p0"]
    more, alone = check(replace(data, recordings=few)).findings
    assert more.startswith("6 times as much") and alone.startswith("'rest' is recorded of p0 alone")
    lines = check(sound(1)).findings
    assert len(lines) == 1 and lines[0].startswith("1 subject: a split by subject")


@given(st.floats(1, 24), st.integers(40, 2000))
def test_the_power_of_a_sine_is_at_its_frequency(frequency: float, size: int) -> None:
    x = np.sin(2 * np.pi * frequency * np.arange(size) / RATE)
    frequencies, power = spectrum([x], RATE)
    assert abs(frequencies[power.argmax()] - frequency) <= frequencies[1]


def test_a_report() -> None:
    data = replace(sound(3), name="<own>", notes=("a note",))
    html = render(check(data), data)
    assert html.count("<svg") == 4 and "&lt;own&gt;" in html and "<own>" not in html
    assert "mathdefault" not in html and "Nothing was found." in html


def test_a_file_that_is_being_recorded(tmp_path: Path) -> None:
    """One subject and one label are enough to look at, and not to train on."""
    path = tmp_path / "a.csv"
    rows = [f"ann,rest,{np.sin(i / 9):.3f}" for i in range(60)]
    path.write_text("\n".join(["# rate_hz: 50", "person,label,pulse", *rows]))
    with pytest.raises(DataError, match="only one label"):
        load_dataset(path)
    found = check(load_dataset(path, partial=True))
    assert [line[:9] for line in found.findings] == ["1 subject", "one label"]
    assert found.recordings == 1 and found.seconds == {"ann": {"rest": 1.2}}


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="needs the data sets of EDGEFLOW_TEST_DATA")
def test_wisdm_is_clipped() -> None:
    """The watch's accelerometer ends at 2 g: known, and seen."""
    data = load_dataset("wisdm-watch-hand", root=SHARED_DATA)
    few = [r for r in data.recordings if r.person in data.people["val"]]
    found = check(replace(data, recordings=few))
    assert any(line.startswith("clipped samples") and "acc_x" in line for line in found.findings)
    assert found.gravity[0]["unit"] == "m/s²"

"""More training subjects from another data set.

It alone would catch classes that are matched by their place instead of their name, and a subject
who trains under a name that also tests.
"""

import wave
from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import load_dataset
from edgeflow.errors import DataError


def write(folder: Path, label: str, person: str, level: int, rate: int = 8000) -> None:
    """Write a clip of a second, of one level."""
    (folder / label).mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / label / f"{person}_0.wav"), "wb") as file:
        file.setparams((1, 2, rate, rate, "NONE", ""))
        file.writeframes(np.full(rate, level, "<i2").tobytes())


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return a data set of three subjects and classes, and one of the last two classes alone."""
    for i, person in enumerate(("ann", "bob", "cem")):
        for j, label in enumerate(("low", "mid", "top")):
            write(tmp_path / "own", label, person, 100 * j + i)
    for person in ("v1", "v2"):
        write(tmp_path / "more", "mid", person, 1000)
        write(tmp_path / "more", "top", person, 2000)
    return tmp_path / "own", tmp_path / "more"


def test_subjects_of_another_data_set_train(folders: tuple[Path, Path]) -> None:
    own, more = folders
    alone, both = load_dataset(own), load_dataset(own, more=more)
    assert both.people == {**alone.people, "train": [*alone.people["train"], "v1", "v2"]}
    assert both.classes == alone.classes
    by_name = {
        (one.person, both.classes[one.label]): round(float(one.x[0, 0]) * 32768)
        for one in both.recordings[len(alone.recordings) :]
    }
    levels = {"mid": 1000, "top": 2000}
    assert by_name == {(who, name): levels[name] for who in ("v1", "v2") for name in levels}
    assert both.notes[-1] == "4 recordings of 'more' train, too"
    for split in ("val", "test"):
        np.testing.assert_array_equal(both.windows(split).x, alone.windows(split).x)


def test_what_does_not_fit_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    own, more = folders
    with pytest.raises(DataError, match="'ann' is a subject of 'own' and of --more 'own'"):
        load_dataset(own, more=own)
    (tmp_path / "table.csv").write_text("# rate_hz: 50\nperson,label,x,y\n" + "v1,mid,1,2\n" * 9)
    with pytest.raises(DataError, match="has other channels than 'own': x, y, not audio"):
        load_dataset(own, more=tmp_path / "table.csv")
    with pytest.raises(DataError, match="there is no data set 'nothing'"):
        load_dataset(own, more="nothing")
    write(tmp_path / "fast", "mid", "v1", 1, rate=16000)
    with pytest.raises(DataError, match="has other Hz than 'own': 16000.0, not 8000.0"):
        load_dataset(own, more=tmp_path / "fast")
    write(more, "new", "v1", 1)
    with pytest.raises(DataError, match="has the class 'new': 'own' has low, mid, top"):
        load_dataset(own, more=more)

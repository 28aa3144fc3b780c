"""Recordings that users bring: CSV and .npz, right and wrong."""

from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import load_dataset
from edgeflow.errors import DataError

RATE = "# rate_hz: 10\n"
HEADER = "person,recording,label,ax,ay\n"


def rows(person: str, recording: int, label: str, n: int = 25) -> str:
    return "".join(f"{person},{recording},{label},{i},{-i}\n" for i in range(n))


GOOD = "".join(rows(p, r, label) for p in "abc" for r, label in enumerate(["sit", "run"]))


def csv_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    return path


def test_csv(tmp_path):
    data = load_dataset(csv_file(tmp_path, RATE + HEADER + GOOD))
    assert data.name == "mine" and data.rate_hz == 10 and data.window == 20
    assert data.classes == ["run", "sit"] and data.channels == ["ax", "ay"]
    assert data.people == {"train": ["a"], "val": ["b"], "test": ["c"]}
    assert len(data.recordings) == 6
    assert [r.label for r in data.recordings] == [1, 0] * 3
    assert np.array_equal(data.recordings[3].x, np.array([[i, -i] for i in range(25)], np.float32))


def test_csv_columns_in_any_order_with_declared_classes_and_window(tmp_path):
    text = "ay,label,person,ax,recording\n" + "".join(
        f"{-i},sit,{p},{i},1\n" for p in "abc" for i in range(9)
    )
    text = "# rate_hz: 10\n# classes: sit, run\n# window: 5\n" + text
    data = load_dataset(csv_file(tmp_path, text))
    assert data.classes == ["sit", "run"] and data.channels == ["ay", "ax"] and data.window == 5
    assert np.array_equal(data.recordings[0].x[3], [-3, 3])


def test_a_recording_ends_where_its_label_or_person_changes(tmp_path):
    """Under one name, too: its samples would else take the first label."""
    parts = [("a", 1, "sit"), ("a", 1, "run"), ("b", 1, "run"), ("b", 2, "run"), ("c", 2, "run")]
    data = load_dataset(csv_file(tmp_path, RATE + HEADER + "".join(rows(*p) for p in parts)))
    found = [(r.person, data.classes[r.label], len(r.x)) for r in data.recordings]
    assert found == [(person, label, 25) for person, _, label in parts]


def test_rate_and_people_from_the_caller(tmp_path):
    path = csv_file(tmp_path, HEADER + GOOD)
    people = {"train": ["c"], "val": ["b"], "test": ["a"]}
    data = load_dataset(path, rate_hz=5, people=people, window=7)
    assert data.rate_hz == 5 and data.people == people and data.window == 7
    with pytest.raises(DataError, match=r"mine.csv: no recordings of z; there are a, b, c"):
        load_dataset(path, rate_hz=5, people={"train": ["c"], "val": ["b"], "test": ["z"]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (RATE, "empty"),
        (RATE + HEADER, "no recordings"),
        (RATE + "person,recording,ax,ay\n", "line 2: no column 'label'"),
        (RATE + "person,recording,label,ax,ax\n", "line 2: the header must name"),
        (HEADER + GOOD, "no sampling rate: add a comment line '# rate_hz: 50'"),
        ("# rate_hz: fast\n" + HEADER + GOOD, "line 1: rate_hz is 'fast'"),
        ("# rate_hz: 0\n" + HEADER + GOOD, "rate_hz is 0"),
        (RATE + HEADER + "a,0,sit,1\n", "line 3: 4 cells, the header has 5"),
        (RATE + HEADER + "a,0,sit,1,x\n", "line 3: ay is 'x', not a finite number"),
        (RATE + HEADER + "a,0,sit,1,nan\n", "line 3: ay is 'nan'"),
        (RATE + HEADER + "a,0,sit,1,inf\n", "line 3: ay is 'inf'"),
        (RATE + HEADER + GOOD.replace("0,0", "0,1e39", 1), "line 3: ay is '1e39', beyond float32"),
        (RATE + HEADER + "a,0,sit,1,\n", "line 3: ay is ''"),
        (RATE + HEADER + ",0,sit,1,2\n", "line 3: person is empty"),
        ("# classes: sit\n" + RATE + HEADER + GOOD, "line 29: label 'run' is not in"),
        (RATE + HEADER + GOOD.replace("run", "sit"), "only one label"),
        (RATE + HEADER + GOOD.replace("c,", "b,"), r"2 subjects \(a, b\)"),
    ],
)
def test_wrong_csv(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(csv_file(tmp_path, text))
    assert "mine.csv" in str(caught.value)


def test_csv_that_is_not_text(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(DataError, match="not UTF-8"):
        load_dataset(path)
    with pytest.raises(DataError, match="no such file"):
        load_dataset(tmp_path / "other.csv")


def arrays(**changes):
    rng = np.random.default_rng(0)
    content = {
        "x": rng.normal(size=(6, 20, 3)),
        "y": np.array([0, 1] * 3),
        "person": np.array([1, 1, 2, 2, 10, 10]),
        "rate_hz": 10.0,
    }
    content.update(changes)
    return {key: value for key, value in content.items() if value is not None}


def npz_file(tmp_path: Path, **changes) -> Path:
    np.savez(tmp_path / "mine.npz", **arrays(**changes))
    return tmp_path / "mine.npz"


def test_npz_of_windows(tmp_path):
    data = load_dataset(npz_file(tmp_path, classes=["sit", "run"], channels=["x", "y", "z"]))
    assert data.window == 20 and data.classes == ["sit", "run"] and data.channels == ["x", "y", "z"]
    # numbers of people sort by value
    assert data.people == {"train": ["1"], "val": ["2"], "test": ["10"]}
    assert np.array_equal(data.recordings[4].x, arrays()["x"][4].astype(np.float32))


def test_npz_of_recordings_of_unequal_length(tmp_path):
    x = np.arange(150.0).reshape(75, 2)
    data = load_dataset(
        npz_file(
            tmp_path,
            x=x,
            length=np.array([20, 25, 30]),
            y=np.array(["b", "a", "b"]),
            person=np.array(["p", "q", "r"]),
            people_train=["r"],
            people_val=["q"],
            people_test=["p"],
        )
    )
    assert [len(r.x) for r in data.recordings] == [20, 25, 30]
    assert [r.label for r in data.recordings] == [1, 0, 1]
    assert data.people == {"train": ["r"], "val": ["q"], "test": ["p"]}
    assert data.recordings[1].x[0, 0] == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"person": None}, "no array 'person'"),
        ({"x": np.zeros((6, 20))}, r"'x' is \[6, 20\]"),
        ({"x": np.full((6, 20, 3), "a")}, "must hold numbers"),
        ({"x": np.full((6, 20, 3), np.nan)}, "recording 0, sample 1: ch0 is not finite"),
        ({"x": np.zeros((60, 3)), "length": np.array([10] * 5)}, "adds up to 50"),
        ({"x": np.zeros((6, 20, 3)), "length": np.array([20] * 6)}, "with 'length'"),
        ({"y": np.array([0, 1])}, r"'y' is \[2\]"),
        ({"y": np.array([0.0, 1.0] * 3)}, "whole numbers or names"),
        ({"y": np.array([0, 2] * 3), "classes": ["a", "b"]}, "recording 1: label 2 is no index"),
        ({"y": np.array(["a", "c"] * 3), "classes": ["a", "b"]}, "recording 1: label 'c'"),
        ({"channels": ["a", "b"]}, "'channels' has 2 names, 'x' has 3"),
        ({"rate_hz": None}, "no sampling rate"),
        ({"rate_hz": "fast"}, "'rate_hz' must be one number"),
        ({"window": 21}, "recording 0 has 20 samples, fewer than a window of 21"),
        ({"people_train": [1]}, "no key 'val'"),
        ({"person": np.array([{}] * 6)}, "holds Python objects"),
        ({"person": np.array([1.0, 1, 2, 2, 3, np.nan])}, "'person' is of type float64"),
        ({"person": np.array(["a", "a", "b", "b", "c", ""])}, "a name is empty"),
        ({"y": np.array([b"\xff"] * 6)}, "'y' holds bytes that are no UTF-8"),
        ({"window": 9.5}, "'window' is 9.5: it must be a whole"),
    ],
)
def test_wrong_npz(tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(npz_file(tmp_path, **changes))
    assert "mine.npz" in str(caught.value)


def test_npz_names_as_other_tools_save_them(tmp_path):
    """Bytes are text, whole numbers in floats are numbers; a channel that stands still is noted."""
    x = arrays()["x"]
    x[..., 1] = 0
    y, person = np.array([b"sit", b"run"] * 3), np.array([1.0, 1, 2, 2, 10, 10])
    data = load_dataset(npz_file(tmp_path, x=x, y=y, person=person))
    assert data.classes == ["run", "sit"]
    assert data.people == {"train": ["1"], "val": ["2"], "test": ["10"]}
    assert "one value all through each recording: ch1" in data.notes[0]
    data = load_dataset(npz_file(tmp_path, person=np.array([b"a", b"a", b"b", b"b", b"c", b"c"])))
    assert data.people == {"train": ["a"], "val": ["b"], "test": ["c"]}


def test_npz_cut_short(tmp_path):
    path = npz_file(tmp_path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match=r"mine.npz"):
        load_dataset(path)

"""Windows and splits of a data set in memory."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.data import Dataset, Recording
from edgeflow.data.people import check_people, default_split, read_people
from edgeflow.errors import DataError


def dataset(lengths: list[int], window: int = 4) -> Dataset:
    recordings = [
        Recording((100 * i + np.arange(n, dtype=np.float32))[:, None], i % 2, "a")
        for i, n in enumerate(lengths)
    ]
    people = {"train": ["a"], "val": [], "test": []}
    return Dataset("d", ["x", "y"], ["c"], [""], 10.0, recordings, people, window)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
    st.integers(1, 10), st.integers(1, 10), st.integers(0, 5),
)  # fmt: skip
def test_windows_are_runs_of_one_recording(lengths, length, stride, phase):
    data = dataset(lengths)
    count = sum(max(0, (n - phase - length) // stride + 1) for n in lengths)
    if count == 0:
        with pytest.raises(DataError, match="shorter window"):
            data.windows("train", length=length, stride=stride, phase=phase)
        return
    windows = data.windows("train", length=length, stride=stride, phase=phase)
    assert windows.x.shape == (count, length, 1)
    start = windows.x[:, 0, 0].astype(int)
    assert np.array_equal(windows.x[..., 0], start[:, None] + np.arange(length))
    assert ((start % 100 - phase) % stride == 0).all()
    assert np.array_equal(windows.y, start // 100 % 2)


def test_windows_are_a_copy():
    data = dataset([12])
    data.windows("train").x[:] = -1
    assert data.recordings[0].x.min() == 0


def test_wrong_splits_and_lengths():
    data = dataset([12])
    with pytest.raises(DataError, match="no split 'dev'"):
        data.windows("dev")
    with pytest.raises(DataError, match="no subjects in its 'val' split; there are a"):
        data.windows("val")
    with pytest.raises(DataError, match="at least 1"):
        data.windows("train", length=0)


@given(st.sets(st.integers(0, 2000), min_size=3, max_size=40))
def test_default_split_takes_everybody_once(numbers):
    split = default_split([str(n) for n in numbers], "file")
    assert [int(p) for part in split.values() for p in part] == sorted(numbers)
    assert all(split.values()) and len(split["train"]) >= len(split["test"]) == len(split["val"])


def test_default_split_needs_three():
    with pytest.raises(DataError, match=r"file: 2 subjects \(a, b\)"):
        default_split(["b", "a"], "file")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be a JSON object"),
        ({"train": [1], "val": [2]}, "no key 'test'"),
        ({"train": [1], "val": [2], "test": [3], "dev": []}, "unknown key 'dev'"),
        ({"train": 1, "val": [2], "test": [3]}, "'train' must be a list"),
        ({"train": [1.5], "val": [2], "test": [3]}, "'train' must be a list"),
        ({"train": [1], "val": ["1"], "test": [3]}, "subject '1' is in 'train' and again in 'val'"),
    ],
)
def test_wrong_people(value, message):
    with pytest.raises(DataError, match=message):
        check_people(value, "p.json")


def test_people_file(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"train": [1, "b"], "val": [], "test": [3]}))
    assert read_people(path) == {"train": ["1", "b"], "val": [], "test": ["3"]}
    path.write_text("{")
    with pytest.raises(DataError, match=r"p.json: not JSON"):
        read_people(path)
    with pytest.raises(DataError, match=r"q.json: No such file"):
        read_people(tmp_path / "q.json")

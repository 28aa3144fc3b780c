"""Targets of each step in files of one's own, and the loaders whose data are to be forecast.

They alone would catch targets that slip against their samples, and two recordings of one flight
on both sides of a split.
"""

from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import load_dataset
from edgeflow.data.sets.breathing import FIRST
from edgeflow.data.sets.uav import subject_of
from edgeflow.errors import DataError
from edgeflow.tasks import Forecast, Regression, Tagging
from edgeflow.tasks.events import Events


def table(path: Path, header: str = "person,recording,ax,ay,target_force [N],target_k") -> Path:
    rows = ["# rate_hz: 10", "# window: 5", header]
    for person in "abc":
        for t in range(8):
            rows.append(f"{person},1,{t * t % 7}.5,{-t * t % 5},{10 * t},{-t}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_columns_of_targets_are_values_of_each_step(tmp_path: Path) -> None:
    found = load_dataset(table(tmp_path / "mine.csv"))
    assert found.task == Regression(("force", "k"), ("N", ""), steps=True)
    assert found.channels == ["ax", "ay"] and found.classes == []
    for one in found.recordings:
        np.testing.assert_array_equal(one.by_step(), [[10 * t, -t] for t in range(8)])
    forecast = load_dataset(tmp_path / "mine.csv", task="forecast", horizon=(0.2,)).task
    assert isinstance(forecast, Forecast) and forecast.series == ("force", "k")
    chosen = load_dataset(table(tmp_path / "k.csv"), channels=["ax", "target_k"])
    assert chosen.channels == ["ax", "target_k"] and chosen.task.size == 1


def test_a_target_must_be_a_number(tmp_path: Path) -> None:
    path = table(tmp_path / "mine.csv")
    path.write_text(path.read_text().replace(",70,", ",nan,"))
    with pytest.raises(DataError, match="is .nan., not a finite number"):
        load_dataset(path)


def tagged(path: Path, *comments: str, header: str = "person,recording,tag,ax") -> Path:
    """Write streams of three people, in which 'up' begins after three samples, and 'down' never."""
    rows = ["# rate_hz: 10", "# window: 5", *comments, header]
    rows += [
        f"{who},1,{'up' if t > 2 else 'none'},{t * t % 7}.5" for who in "abc" for t in range(8)
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_column_of_tags_is_the_class_of_each_step(tmp_path: Path) -> None:
    found = load_dataset(tagged(tmp_path / "mine.csv"))
    assert found.task == Tagging(("none", "up")) and found.channels == ["ax"]
    assert [one.by_step().tolist() for one in found.recordings] == [[0] * 3 + [1] * 5] * 3
    assert not any("in the split" in note for note in found.notes)
    stated = load_dataset(tagged(tmp_path / "b.csv", "# classes: none, down, up"), task="events")
    assert stated.task == Events(("none", "down", "up"), 10.0)
    assert stated.recordings[0].by_step().tolist() == [0] * 3 + [2] * 5
    assert any("no recordings of down in the split 'train'" in note for note in stated.notes)
    named = tagged(tmp_path / "c.csv", header="person,recording,phase,ax")
    assert load_dataset(named, columns={"tag": "phase"}).task == found.task


@pytest.mark.parametrize(
    ("comments", "header", "match"),
    [
        (("# classes: none, down",), "person,recording,tag,ax", "line 8: tag 'up' is not in"),
        ((), "person,recording,tag,target_k", "a model learns one of them"),
        ((), "person,recording,phase,ax", "no column 'label'"),
    ],
)
def test_tags_that_cannot_be_read(
    comments: tuple[str, ...], header: str, match: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=match):
        load_dataset(tagged(tmp_path / "mine.csv", *comments, header=header))
    text = tagged(tmp_path / "one.csv").read_text().replace("up", "none")
    (tmp_path / "one.csv").write_text(text)
    with pytest.raises(DataError, match="only one tag"):
        load_dataset(tmp_path / "one.csv")


def test_arrays_of_targets_and_tags(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 9, 2)), rng.normal(size=(6, 9, 1))
    base = {"x": x, "person": np.array(list("abcabc")), "rate_hz": 10.0}
    np.savez(tmp_path / "t.npz", target=y, target_names=["v"], target_units=["m/s"], **base)
    found = load_dataset(tmp_path / "t.npz")
    assert found.task == Regression(("v",), ("m/s",), steps=True)
    np.testing.assert_allclose(found.recordings[4].by_step(), y[4], rtol=1e-6)
    tags = rng.integers(0, 2, (6, 9))
    flat = {**base, "x": x.reshape(54, 2), "length": np.full(6, 9)}
    np.savez(tmp_path / "g.npz", tags=tags.reshape(-1), classes=["off", "on"], **flat)
    found = load_dataset(tmp_path / "g.npz", window=9)
    assert found.task == Tagging(("off", "on"))
    np.testing.assert_array_equal(found.windows("test").by_step, tags[[2, 5]])
    for wrong, match in (
        ({"tags": tags}, "2 names or more"), ({"target": y[:, :8]}, "it must be float"),
        ({}, "no array 'y'"), ({"target": y, "target_names": ["a", "b"]}, "'target' has 1 values"),
    ):  # fmt: skip
        np.savez(tmp_path / "w.npz", **base, **wrong)
        with pytest.raises(DataError, match=match):
            load_dataset(tmp_path / "w.npz")


def test_both_forms_of_breathing(tmp_path: Path) -> None:
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    whole = {n: rng.normal(size=(FIRST + 50 * n, 9)) for n in (1, 6, 8)}
    for n, x in whole.items():
        folder = tmp_path / "raw/1. Input time series sequences" / f"Ext markers seq {n}"
        folder.mkdir(parents=True)
        savemat(folder / "data.mat", {"org_data": x.T})
    (tmp_path / "breathing").mkdir()
    np.savez(tmp_path / "breathing/breathing.npz", **{f"seq{n}": x for n, x in whole.items()})
    one, other = (load_dataset("breathing", root=tmp_path / p) for p in ("raw", ""))
    assert [r.person for r in one.recordings] == ["1a", "1", "6a", "6", "8a", "8"]
    for a, b in zip(one.recordings, other.recordings, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
    assert len(one.recordings[0].x) == FIRST and one.people["test"] == ["8", "8a"]
    (tmp_path / "raw/1. Input time series sequences/Ext markers seq 1/data.mat").write_text("no")
    with pytest.raises(DataError, match="no array 'org_data'"):
        load_dataset("breathing", root=tmp_path / "raw")


def test_both_forms_of_flights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    position = np.cumsum(rng.normal(size=(30, 3)), axis=0).astype(np.float32)
    rows = np.concatenate([np.arange(30)[:, None] / 10, position], axis=1).astype(np.float32)
    names = {
        "fpv_uzh/indoor_forward_5_davis_with_gt.txt": " ", "gazebo/C1_df_resampled.csv": ",",
        "fpv_uzh/indoor_forward_10_snapdragon_with_gt.txt": " ",
        "random_traj_100ms/circle_7.txt": " ",
    }  # fmt: skip
    arrays = {}
    for name, separator in names.items():
        path = tmp_path / "raw/trajectories" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = "timestamp,tx,ty,tz\n" if separator == "," else "# timestamp tx ty tz\n"
        lines = (separator.join(f"{value:.9g}" for value in row) for row in rows)
        path.write_text(header + "\n".join(lines) + "\n")
        kind, stem = name.split("/")[0], path.stem
        arrays[stem if kind.startswith("random") else f"{kind}-{stem}"] = rows
    np.savez(tmp_path / "uav.npz", **arrays)
    one, other = (load_dataset("uav", root=tmp_path / p) for p in ("raw", ""))
    people = {"fpv-5", "fpv-10", "gazebo-C1", "circle"}
    assert {r.person for r in one.recordings} == {r.person for r in other.recordings} == people
    for r in (*one.recordings, *other.recordings):
        np.testing.assert_array_equal(r.by_step(), position[1:])
        np.testing.assert_allclose(r.x, 10 * np.diff(position, axis=0), rtol=1e-3, atol=1e-3)


def test_two_sensors_of_a_flight_are_one_subject() -> None:
    of = [subject_of(f"fpv_uzh-indoor_forward_3_{s}_with_gt") for s in ("davis", "snapdragon")]
    assert of == ["fpv-3", "fpv-3"]
    assert subject_of("fpv_uzh-outdoor_45_1_davis_with_gt") == "fpv-outdoor-45-1"
    assert subject_of("lemniscate_12") == subject_of("random_traj_100ms-lemniscate_3")

"""``edgeflow data`` and ``edgeflow train`` as a user runs them."""

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import load_dataset
from edgeflow.digest import read_json
from tests.command import PROGRAM, edgeflow


def environment(cache: Path, **env: str) -> dict[str, str]:
    # other tests may have said where data sets are
    inherited = {name: value for name, value in os.environ.items() if name != "EDGEFLOW_DATA"}
    return {**inherited, "XDG_CACHE_HOME": str(cache), "COLUMNS": "200", **env}


def start(*arguments: str | Path, cache: Path, **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(cache, **env),
    )  # fmt: skip


def run(*arguments: str | Path, cache: Path, code: int = 0, **env: str) -> tuple[str, str]:
    done = edgeflow(*arguments, environment=environment(cache, **env))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture()
def mine(tmp_path: Path) -> Path:
    """Ten seconds of two activities of three people, as CSV."""
    rng = np.random.default_rng(0)
    lines = ["# rate_hz: 10", "person,recording,label,ax,ay,az"]
    for person in ("ann", "bob", "cy"):
        for number, label in enumerate(("slow", "fast", "slow", "fast")):
            phase = np.arange(100) * (0.2 if label == "slow" else 0.9) + rng.uniform(0, 6)
            for p in phase:
                lines.append(f"{person},{number},{label},{np.sin(p):.4f},{np.cos(p):.4f},1")
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_list_and_info(shared_data, tmp_path):
    out, _ = run("data", "list", "--json", cache=tmp_path, EDGEFLOW_DATA=str(shared_data))
    sets = {row["name"]: row for row in json.loads(out)}
    assert set(sets) >= {"seglearn-watch", "wisdm-watch", "wisdm-watch-hand", "motionsense"}
    assert all(row["licence"] and row["path"] for row in sets.values())
    out, _ = run("data", "info", "seglearn-watch", "--root", shared_data, "--json", cache=tmp_path)
    info = json.loads(out)
    assert info["splits"]["test"]["people"] == ["9", "10"]
    assert sum(s["samples"] for s in info["splits"].values()) == 244102
    assert sum(s["recordings"] for s in info["splits"].values()) == 140
    assert info["licence"] == "BSD-3-Clause" and "Burns" in info["citation"]
    out, _ = run("data", "info", "wisdm-watch-hand", "--root", shared_data, cache=tmp_path)
    for words in ("Weiss", "CC BY 4.0", "20 Hz", "1600, 1607"):
        assert words in out


def test_what_is_not_here(tmp_path):
    out, _ = run("data", "info", "wisdm-watch", cache=tmp_path)
    assert "not here: edgeflow data get wisdm-watch" in out
    _, err = run("data", "path", "wisdm-watch", cache=tmp_path, code=2)
    assert "edgeflow data get wisdm-watch" in err
    _, err = run("data", "info", "nothing", cache=tmp_path, code=2)
    assert "no data set 'nothing'" in err
    _, err = run("data", "info", tmp_path / "no.csv", cache=tmp_path, code=2)
    assert "no such file" in err


def test_path(shared_data, tmp_path):
    out, _ = run("data", "path", "motionsense", "--root", shared_data, cache=tmp_path)
    assert Path(out.strip()) == shared_data / "motionsense" / "npz"
    out, _ = run("data", "get", "motionsense", "--json", cache=tmp_path,
                 EDGEFLOW_DATA=str(shared_data))  # fmt: skip
    assert json.loads(out)["path"] == str(shared_data / "motionsense" / "npz")


def test_get_without_an_index(tmp_path):
    _, err = run("data", "get", "seglearn-watch", cache=tmp_path, code=2, PIP_NO_INDEX="1")
    assert "'pip download seglearn==1.2.5' failed" in err and "--root DIR" in err
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.slow
def test_get_from_the_index(shared_data, tmp_path):
    """Needs a package index; the download equals the packed form."""
    out, _ = run("data", "get", "seglearn-watch", cache=tmp_path)
    path = Path(out.strip())
    assert path.name == "watch_dataset.npy" and tmp_path in path.parents
    assert [p.name for p in path.parent.iterdir()] == ["watch_dataset.npy"]
    one = load_dataset("seglearn-watch", root=path.parent)
    other = load_dataset("seglearn-watch", root=shared_data)
    assert one.people == other.people
    for a, b in zip(one.recordings, other.recordings, strict=True):
        assert np.array_equal(a.x, b.x) and (a.label, a.person) == (b.label, b.person)


def test_own_file(mine, tmp_path):
    out, _ = run("data", "info", mine, "--json", cache=tmp_path)
    info = json.loads(out)
    assert info["splits"]["val"]["people"] == ["bob"] and info["window"] == 20
    split = tmp_path / "split.json"
    split.write_text('{"train": ["cy"], "val": ["ann"], "test": ["bob"]}')
    out, _ = run("data", "info", mine, "--people", split, "--json", cache=tmp_path)
    assert json.loads(out)["splits"]["test"]["people"] == ["bob"]
    mine.write_text(mine.read_text().replace("0.", "zero.", 1))
    _, err = run("data", "info", mine, cache=tmp_path, code=2)
    assert "line 3" in err and "zero." in err


def test_train(mine, tmp_path):
    command = ("train", "--data", mine, "--hidden", "8", "--batch", "4",
               "--epochs", "20", "-o", tmp_path / "run")  # fmt: skip
    out, _ = run(*command, "--json", cache=tmp_path)
    found = json.loads(out)
    assert found == read_json(tmp_path / "run" / "metrics.json")
    assert found["test"]["accuracy"] > 0.9
    out, _ = run(*command, cache=tmp_path)
    assert "test subjects" in out and "model.pt" in out
    _, err = run(*command, "--seed", "1", cache=tmp_path, code=2)
    assert "seed 0, not 1" in err and "--restart" in err
    _, err = run("train", "--data", mine, "--cell", "nope", "-o", tmp_path / "x", cache=tmp_path,
                 code=2)  # fmt: skip
    assert "no cell 'nope'" in err


def test_ctrl_c_keeps_what_was_done(mine, tmp_path):
    command = ("train", "--data", mine, "--hidden", "8", "--batch", "1", "--epochs", "200",
               "-o", tmp_path / "run")  # fmt: skip
    process = start(*command, cache=tmp_path)
    while not (tmp_path / "run" / "resume.pt").exists():
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130 and "Traceback" not in err
    assert "resume.pt is kept: run the same command again" in err
    assert (tmp_path / "run" / "resume.pt").exists()


def test_what_files_do_not_say(mine, tmp_path):
    """Columns, paths and clocks by options; what was guessed is on stderr, and in the JSON."""
    lines = [line.split(",") for line in mine.read_text().splitlines()[2:]]
    for person, number, label, *_ in {tuple(line[:3]) for line in lines}:
        path = tmp_path / "folder" / person / f"{label}_{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        own = [line[3:] for line in lines if line[:3] == [person, number, label]]
        samples = [f"{1000 + 100 * i},{','.join(cells)}" for i, cells in enumerate(own)]
        path.write_text("\n".join(["stamp,ax,ay,az", *samples]) + "\n")
    options = ["--pattern", "{person}/{label}_{recording}.csv", "--columns", "time=stamp"]
    out, err = run("data", "info", tmp_path / "folder", *options, "--json", cache=tmp_path)
    info = json.loads(out)
    assert info["classes"] == ["fast", "slow"] and info["rate_hz"] == 10
    assert info["splits"]["test"]["people"] == ["cy"]
    assert sum(s["recordings"] for s in info["splits"].values()) == 12
    assert any("'stamp' is the clock, in ms: 10 Hz" in note for note in info["notes"])
    assert all(f"note: {note}" in err for note in info["notes"])
    again, _ = run(
        "data", "info", tmp_path / "folder", *options, "--resample", "5", "--json", cache=tmp_path
    )
    assert json.loads(again)["rate_hz"] == 5 and json.loads(again)["window"] == 10
    _, err = run("data", "info", tmp_path / "folder", cache=tmp_path, code=2)
    assert "--pattern '{person}/{label}_{recording}.csv'" in err
    _, err = run("data", "info", mine, "--columns", "subject", cache=tmp_path, code=2)
    assert "--columns person=subject" in err


def test_check(mine, tmp_path):
    out, err = run("data", "check", mine, "-o", tmp_path / "q.html", cache=tmp_path)
    assert "recordings:  120 s in 12 recordings of 3 subjects" in out and "q.html" in err
    assert "- az 1: one value throughout; is the sensor connected?" in out
    assert "one value throughout" in (tmp_path / "q.html").read_text()
    out, _ = run("data", "check", mine, "--json", cache=tmp_path)
    assert json.loads(out)["seconds"]["ann"] == {"fast": 20.0, "slow": 20.0}
    _, err = run("data", "check", mine, "-o", mine, cache=tmp_path, code=2)
    assert err.count("\n") == 1 and "is read" in err
    assert mine.read_text().startswith("# rate_hz")

"""``edgeflow search`` on recordings, drivers that are killed, and workers that are."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edgeflow.search.workers import open_workers
from tests.command import edgeflow
from tests.conftest import ROOT
from tests.recordings import write_recordings
from tests.search_world import World, search, told

SPACE = """
[model]
cell = ["gru", "mingru"]
hidden = { low = 4, high = 20 }

[delta]
state = { choices = [0.0, 0.5], when = { "model.cell" = "gru" } }

[widths]
weights = ["int8", "int4"]

[[rungs]]
epochs = 1

[[rungs]]
epochs = 2
seeds = 2

[[start]]
"model.cell" = "gru"
"model.hidden" = 8
"delta.state" = 0.0
"widths.weights" = "int8"
"""


@pytest.fixture
def mine(tmp_path: Path) -> list[str]:
    """Arguments of a small search."""
    write_recordings(tmp_path / "mine.csv")
    (tmp_path / "space.toml").write_text(SPACE)
    return [
        "search", str(tmp_path / "space.toml"), "--data", str(tmp_path / "mine.csv"),
        "--max-instructions", "1200", "--trials", "3",
    ]  # fmt: skip


def without_seconds(value: Any) -> Any:
    """Return a JSON value without times."""
    if isinstance(value, dict):
        return {
            k: without_seconds(v)
            for k, v in value.items()
            if k not in ("seconds", "folder", "model")
        }
    return [without_seconds(one) for one in value] if isinstance(value, list) else value  # fmt: skip


@pytest.mark.board
def test_a_search_from_recordings_to_a_program(mine: list[str], tmp_path: Path) -> None:
    """Fast. Alone catches parts that do not fit: two runs of the command give the same front, the
    program is measured, and test subjects are looked at once.
    """
    told_ = []
    for name in ("one", "other"):
        done = edgeflow(*mine, "-o", tmp_path / name, "--json")
        assert done.returncode == 0, done.stderr
        told_.append(json.loads(done.stdout))
    assert without_seconds(told_[0]) == without_seconds(told_[1])
    found = told_[0]
    assert found["trained"] == 3 and found["front"] and found["cost"]["board"] == "qemu-m4"
    assert found["cost"]["split"] == "test" and found["scores"]["split"] == "test"
    assert len(found["test_looks"]) == 1
    record = json.loads((tmp_path / "one" / "model.json").read_text())
    assert record["search"]["trained"] == 3 and record["search"]["rungs"][1]["seeds"] == 2
    assert (tmp_path / "one" / "front.html").read_text().count("<svg") >= 3
    before = (tmp_path / "one" / "model.json").read_text()
    again = edgeflow("search", "--resume", "-o", tmp_path / "one", "--json")
    assert again.returncode == 0, again.stderr
    assert without_seconds(json.loads(again.stdout)) == without_seconds(found)
    assert (tmp_path / "one" / "model.json").read_text() == before
    other = edgeflow(*mine, "-o", tmp_path / "one", "--seed", "1")
    assert other.returncode == 2 and "another seed 0, not 1" in other.stderr
    compared = edgeflow("compare", tmp_path / "one" / "front", "-o", tmp_path / "c.html", "--json")
    assert len(json.loads(compared.stdout)) == len(found["front"])


def test_dry_run(mine: list[str], tmp_path: Path) -> None:
    """Fast. Alone catches an estimate that starts the search, or knows no limits."""
    done = edgeflow(*mine, "-o", tmp_path / "dry", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0 < found["feasible"] < 1 and found["beyond"]["instructions"] > 0
    assert found["trainings"] == 3 + 2 and found["seconds"] > 0
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search"], "--data: name recordings"),
        (["search", "--resume", "-o", "nothing"], "holds no search"),
        (["search", "--data", "mine.csv", "--workers", "slurm:2"], "--workers slurm:2: use"),
        (["search", "--data", "mine.csv", "--sampler", "luck"], "--sampler luck: use one of"),
        (["search", "--data", "mine.csv", "--max-flash", "much"], "--max-flash much: use bytes"),
        (["search", "--data", "mine.csv", "--objectives", "beauty"], "--objectives beauty: use"),
        (["search", "--data", "mine.csv", "--board", "none"], "none"),
        (["search", "no.toml", "--data", "mine.csv"], "no.toml"),
        (["search", "--data", "mine.csv", "--max-instructions", "10", "--dry-run"], "none of 60"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, tmp_path: Path) -> None:
    """Fast. Alone catches a mistake that is told by a traceback, or after hours."""
    write_recordings(tmp_path / "mine.csv")
    done = edgeflow(*arguments, folder=tmp_path)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def driver(folder: Path, trials: int, kind: str, seconds: float) -> "subprocess.Popen[str]":
    """Start a search without trainings."""
    command = [sys.executable, "-m", "tests.search_world", str(folder), str(trials), kind]
    return subprocess.Popen(
        [*command, str(seconds)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip


def lines(folder: Path) -> list[list[str]]:
    """Return the log of a search without trainings."""
    log = folder / "log"
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_driver_that_is_killed_ends_the_same(kills: int, tmp_path: Path) -> None:
    """Fast and slow. SIGKILL of the driver at moments by chance; alone catches what is written by
    halves, evaluated although its result is there, and workers that outlive their driver.
    """
    trials, rng = 8 + kills, random.Random(kills)
    whole = search(tmp_path / "whole", trials, open_workers("local:1", World()))
    broken, killed = tmp_path / "broken", 0
    broken.mkdir()
    while True:
        process = driver(broken, trials, "local:1", 0.02)
        if killed == kills:
            assert process.communicate()[0] == "done\n"
            break
        seen, wanted = len(lines(broken)), rng.randrange(3)
        while process.poll() is None and len(lines(broken)) <= seen + wanted:
            time.sleep(0.005)
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += 1
    assert told(broken) == whole
    log = lines(broken)
    assert all(kind == "begun" for kind, _, _ in log)
    # each kill costs the evaluation that was on its way, and no other
    assert len(log) - len({name for _, name, _ in log}) <= kills
    time.sleep(1.0)
    assert not [pid for _, _, pid in log if Path(f"/proc/{pid}").exists()]


def test_workers_that_are_killed(tmp_path: Path) -> None:
    """Fast. Local processes, a third of whose tasks die; alone catches a candidate that is lost
    with its worker, or counted twice.
    """
    folder = tmp_path / "killed"
    folder.mkdir()
    workers = open_workers("local:2", World(folder, 0.0, deaths=0.3))
    found = search(folder, 4, workers)
    whys = Counter(t.state for t in found if "rungs" in t.attributes)
    assert sum(whys.values()) == 4
    for trial in found:
        assert trial.state != "failed" or trial.attributes["why"].startswith("lost 3 times")
    log = lines(folder)
    assert all(kind == "begun" for kind, _, _ in log)
    numbers = [trial.number for trial in found]
    assert numbers == list(range(len(found)))

"""``edgeflow budget`` as a user runs it: profiles, programs, and what it refuses."""

import json
from pathlib import Path

import pytest

from tests.command import edgeflow
from tests.unit.test_budget import profiled


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    profiled().save(tmp_path / "profile.json")
    return tmp_path


def refused(*arguments: str | Path) -> str:
    done = edgeflow(*arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_of_a_profile(folder: Path) -> None:
    done = edgeflow("budget", folder, "--battery", "180mAh@3.7V", "--sensor", "lis2dh", "--radio",
                    "ble-advertising:0.5", "--sleep-ua", "2", environment={"COLUMNS": "200"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "estimated, ±49 %" in done.stdout and "--sleep-ua" in done.stdout
    assert "if early exit skipped half of the steps" in done.stdout
    done = edgeflow("budget", folder / "profile.json", "--battery", "180mAh@3.7V", "--rate", "20",
                    "--sleep-ua", "2", "--wake-us", "0", "--sensor", "11", "--radio", "0", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    lines = {line["name"]: line for line in told["lines"]}
    assert lines["active"]["ua"] == pytest.approx(20 * 8.6 / 1.8)
    assert lines["idle"]["ua"] == pytest.approx(2 * (1 - 20 * 200e-6))
    assert lines["sensor"] == {"name": "sensor", "ua": 11.0, "kind": "given", "error_percent": 0.0,
                               "share": pytest.approx(11 / told["mean_ua"]), "source": "--sensor"}  # fmt: skip
    assert told["days"] == pytest.approx(180e3 / told["mean_ua"] / 24)
    assert told["error_percent"] == pytest.approx(49 * lines["active"]["share"])
    assert told["days_least"] < told["days"] and told["rate_hz"] == 20


def test_of_a_program(trained_gru: Path) -> None:
    program = trained_gru / "model.onnx"
    done = edgeflow("budget", program, "--board", "qemu-m4", "--battery", "180mAh@3.7V", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["step_us"]["kind"] == "estimated" and "not run" in told["step_us"]["source"]
    # what a profile counts, docs/mlperf.md: 12,577 cycles
    assert told["step_us"]["value"] * 120 == pytest.approx(12_577, rel=0.28)
    assert "a program has no board" in refused("budget", program, "--battery", "1mAh@3V")
    said = refused("budget", program, "--board", "host", "--battery", "1mAh@3V")
    assert "its supply is not known: say it by --supply-v" in said


def test_refusals(folder: Path) -> None:
    right = ("budget", folder, "--battery", "180mAh@3.7V")
    assert "such as 180mAh@3.7V" in refused("budget", folder, "--battery", "180")
    assert "no sensor 'x'; known:" in refused(*right, "--sensor", "x")
    assert "no radio 'x'; known:" in refused(*right, "--radio", "x")
    assert "is no number of events" in refused(*right, "--radio", "ble-advertising:often")
    assert "ldo or buck" in refused(*right, "--regulator", "none")
    assert "profiled on qemu-m4, not on qemu-m3" in refused(*right, "--board", "qemu-m3")
    assert "more than the 50 µs between" in refused(*right, "--rate", "20000")
    assert "cannot be read" in refused("budget", folder / "no.json", "--battery", "180mAh@3.7V")
    done = edgeflow("budget", folder)
    assert done.returncode == 2 and "--battery" in done.stderr


def test_help() -> None:
    done = edgeflow("budget", "--help")
    assert done.returncode == 0 and "edgeflow budget build --battery 180mAh@3.7V" in done.stdout

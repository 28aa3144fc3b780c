"""``edgeflow energy`` as a user runs it: what it prints, writes and refuses."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edgeflow.profiling.result import ProfileResult, summarize
from tests.command import edgeflow
from tests.power import VOLTS, Board, write_lpm01a_values, write_power_profiler
from tests.unit.test_profile_report import a_result

BOARD = Board(steps=60)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_power_profiler(tmp_path_factory.mktemp("probe") / "ppk.csv", BOARD, 50_000.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A paced run of a GRU, a head and a curve whose energy had been estimated."""
    result = a_result()
    head = result.layers[1]
    layers = [result.layers[0], head, {**head, "name": "curve", "bytes": 0}, result.layers[2]]
    latency = {**summarize(BOARD.edges[:, -1] - BOARD.edges[:, 0]), "kind": "measured"}
    latency = {key: 1e6 * v if isinstance(v, float) else v for key, v in latency.items()}
    estimate = {"mean": 60.0, "kind": "estimated", "model": "a model", "error_percent": 26.0}
    result = dataclasses.replace(
        result, steps=BOARD.steps, layers=layers, latency_us=latency, energy_uj=estimate,
        pace_hz=BOARD.pace_hz,
    )  # fmt: skip
    result.save(tmp_path / "profile.json")
    return tmp_path


def refused(*arguments: str | Path) -> str:
    done = edgeflow(*arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_measures_a_profile(recording: Path, folder: Path) -> None:
    done = edgeflow("energy", recording, "--profile", folder, "--voltage", str(VOLTS))
    assert done.returncode == 0, done.stderr
    assert "60 of 60, by edges of D0" in done.stdout and "the estimate had been" in done.stdout
    true = 1e6 * BOARD.step_j.mean()
    result = ProfileResult.load(folder / "profile.json")
    assert result.energy_uj is not None and result.power is not None
    assert result.energy_uj["kind"] == "measured"
    assert result.energy_uj["mean"] == pytest.approx(true, rel=0.01)
    assert result.power["estimated_uj"]["mean"] == 60.0
    shares = [row["energy_uj"] for row in result.layers]
    assert shares == pytest.approx(1e6 * BOARD.layers_j.mean(axis=0), rel=0.03)
    page = (folder / "report.html").read_text()
    row = page.split("energy per step as estimated before, µJ")[1].split("</tr>")[0]
    assert "estimated" in row and "measured" not in row
    assert "Power, recorded" in page and "µJ, measured" in page and "power-0" in page
    # again: the estimate is still the estimate
    done = edgeflow("energy", recording, "--profile", folder / "profile.json", "--voltage",
                    str(VOLTS), "--marker", "D0", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["estimated_uj"]["mean"] == 60.0 and told["by"] == "edges of D0"
    assert told["energy_uj"]["mean"] == pytest.approx(true, rel=0.01)
    assert [row["name"] for row in told["layers"]] == ["rnn", "head", "curve", "(rest)"]


def test_refusals(recording: Path, folder: Path, tmp_path: Path) -> None:
    before = (folder / "profile.json").read_bytes()
    right = ("energy", recording, "--profile", folder)
    assert "say the supply's by --voltage" in refused(*right)
    volts = ("--voltage", "3")
    assert "no digital line 'D9'; there are: D0, D1" in refused(*right, *volts, "--marker", "D9")
    assert "--column current: say what it is" in refused(*right, *volts, "--column", "current")
    assert "none.csv: cannot be read" in refused("energy", "none.csv", "--profile", folder)
    assert "make it with 'edgeflow profile'" in refused("energy", recording, "--profile",
        tmp_path / "no" / "profile.json")  # fmt: skip
    assert "must be profile.json" in refused("energy", recording, "--profile", "other.json")
    assert "say what was recorded: --profile BUILD" in refused("energy", recording)
    assert "say which line marks the time by --marker" in refused(
        "energy", recording, *volts, "--inferences", "5")  # fmt: skip
    assert "no edges of 'D7'; there are: D0, D1" in refused(
        "energy", recording, *volts, "--inferences", "5", "--marker", "D7")  # fmt: skip
    assert (folder / "profile.json").read_bytes() == before


def test_fewer_edges_than_steps(recording: Path, folder: Path) -> None:
    """What is there is measured; the line says of how many."""
    result = ProfileResult.load(folder / "profile.json")
    dataclasses.replace(result, steps=80).save(folder / "profile.json")
    done = edgeflow("energy", recording, "--profile", folder, "--voltage", "3")
    assert done.returncode == 0, done.stderr
    assert "D0 has whole pulses of 60 of 80 steps: the energy is of these" in done.stderr


def test_joules_per_inference_of_the_energy_mode(tmp_path: Path) -> None:
    """Five windows of 70 inferences, at 911.2 µJ and 21.24 mW, with warm-up and idle around them."""
    joules, each = 911.2e-6, 911.2e-6 / 21.24e-3
    values, events, at = [np.full(3000, 2e-6)], {}, 3000
    for _ in range(5):
        size = round(70 * each * 1000)
        values += [np.full(430, 2.124e-5), np.full(size, 70 * joules / size), np.full(500, 2e-6)]
        events |= {at + 430 - 1: "fal", at + 430 + size - 1: "fal"}
        at += 930 + size
    noisy = np.concatenate(values) * (1 + 0.05 * np.random.default_rng(0).standard_normal(at))
    log = write_lpm01a_values(tmp_path / "log.txt", noisy, 1000.0, "energy", events)
    done = edgeflow("energy", log, "--inferences", "70", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["windows"] == 5
    assert told["uj_per_inference"] == pytest.approx(911.2, rel=0.005)
    assert told["inferences_per_s"] == pytest.approx(1 / each, rel=0.005)
    assert "911" in edgeflow("energy", log, "--inferences", "70").stdout
    text = log.read_text().replace("event 00 fal\n", "", 1)
    log.write_text(text)
    assert "one of a pair is missing" in refused("energy", log, "--inferences", "70")


def test_help() -> None:
    done = edgeflow("energy", "--help")
    assert done.returncode == 0 and "edgeflow energy run.jls --profile build" in done.stdout

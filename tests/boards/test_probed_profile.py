"""A profile with a power probe beside it, and paced: the firmware and a model of a PPK2 at ptys.

Tier boards. Alone holds that the recording and the run become one result, and that a run outlives
a probe that fails.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeflow.device.probes.ppk2 import Calibration, decode
from edgeflow.energy.formats import read_recording
from edgeflow.profiling.result import ProfileResult
from tests import probe_models
from tests.command import edgeflow
from tests.conftest import ROOT
from tests.parity.export.test_profile import on_a_port
from tests.power import Board
from tests.probe_models import METADATA, words_of

STEPS, PACE = 100, 200.0


@pytest.fixture(scope="module")
def build(trained_gru: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probed") / "build"
    done = edgeflow("compile", trained_gru / "model.onnx", "--board", "host", "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


def words_for(board: Board) -> np.ndarray:
    """Words of a PPK2 beside a board: two ranges, the marker at D0 and layers at D1."""
    rate = 100_000.0
    current = board.power(rate) / 3.0
    calibration = Calibration.parse(METADATA)
    adc, ranges = np.arange(0x3FFE), np.where(current > 4e-3, 3, 2)
    found = np.zeros(len(current), int)
    for one in (2, 3):
        table = decode(words_of(adc, np.full(len(adc), one), adc * 0).tobytes(), calibration, 3.0)
        values = table.current_a[np.isfinite(table.current_a)]
        places = np.interp(current, values, adc[: len(values)])
        found = np.where(ranges == one, np.rint(places).astype(int), found)
    lines = board.lines(rate)
    return words_of(found, ranges, lines["D0"] + 2 * lines["D1"])


def profile(build: Path, out: Path, *more: str) -> tuple[ProfileResult, str]:
    with on_a_port(build / "firmware.elf") as port:
        done = edgeflow("profile", build, "--data", "seglearn-watch", "--port", port, "--steps",
                        str(STEPS), "--pace", str(PACE), "-o", out, "--json", *more)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pace_hz"] == PACE
    return ProfileResult.load(out / "profile.json"), done.stderr


def test_measured_energy(build: Path, tmp_path: Path) -> None:
    layers = 2
    times, powers = (400e-6, 800e-6, 100e-6), (20e-3, 32e-3, 18e-3)
    result, _ = profile(build, tmp_path / "plain")
    assert result.energy_uj is None and result.power is None and result.mismatches == 0
    rows = [row for row in result.layers if row["type"] is not None]
    assert len(rows) == layers
    board = Board(steps=result.steps, pace_hz=PACE, layers_s=times, layers_w=powers, jitter=0.01)
    model = probe_models.Ppk2(words_for(board), chunk=10_000)
    result, said = profile(
        build, tmp_path / "out", "--probe", f"ppk2:{model.port}", "--voltage", "3.0"
    )
    model.unplug()
    assert result.energy_uj is not None, said
    assert result.energy_uj["kind"] == "measured"
    assert result.energy_uj["mean"] == pytest.approx(1e6 * board.step_j.mean(), rel=0.01)
    assert result.power is not None and result.power["steps"] == result.steps
    found = [row["energy_uj"] for row in result.layers]
    assert found == pytest.approx(1e6 * board.layers_j.mean(axis=0)[: len(found)], rel=0.03)
    # the recording is kept, and tells the same
    done = edgeflow(
        "energy", tmp_path / "out" / "power.npz", "--profile", tmp_path / "out", "--json"
    )
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)["energy_uj"]["mean"]
    assert again == pytest.approx(result.energy_uj["mean"], rel=1e-6)


def test_probe_that_is_unplugged(build: Path, tmp_path: Path) -> None:
    board = Board(steps=20, pace_hz=PACE)
    words = words_for(board)
    model = probe_models.Ppk2(words, chunk=10_000)
    lost = model._send
    model._send = lambda: (lost(), model.unplug())  # type: ignore[method-assign, func-returns-value]
    result, said = profile(
        build, tmp_path / "out", "--probe", f"ppk2:{model.port}", "--voltage", "3.0"
    )
    assert result.mismatches == 0 and result.complete and result.energy_uj is not None
    assert result.energy_uj["mean"] == pytest.approx(1e6 * board.step_j.mean(), rel=0.02)
    assert "D0 has whole pulses of 20 of 100 steps: the energy is of these" in result.notes
    assert any("the port went away" in note for note in result.notes)
    assert (tmp_path / "out" / "power.npz").is_file() and "the port went away" in said


def test_wrong_probes(build: Path, tmp_path: Path) -> None:
    model = probe_models.Lpm01a([])
    for more, said in (
        (["--probe", "ppk2:/dev/none"], "runs on this computer: it has no power of its own"),
        (["--port", "/dev/none", "--probe", "ppk2"], "no ppk2 was found"),
        (
            ["--port", "/dev/none", "--probe", f"ppk2:{model.port}", "--voltage", "3"],
            "no PPK2 answers",
        ),
        (["--port", "/dev/none", "--probe", "meter"], "no probe 'meter'"),
    ):
        done = edgeflow("profile", build, "--data", "seglearn-watch", "-o", tmp_path / "p", *more)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
        assert said in done.stderr
    model.unplug()


@pytest.mark.slow
def test_a_minute_without_a_lost_sample(build: Path, tmp_path: Path) -> None:
    """100 kS/s of a probe in a process of its own, while a profile runs in this one."""
    seconds, pace = 60, 50.0
    model = subprocess.Popen(
        [sys.executable, "-m", "tests.probe_models", str(seconds)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert model.stdout is not None and model.stdin is not None
    port = model.stdout.readline().strip()
    with on_a_port(build / "firmware.elf") as board:
        done = edgeflow("profile", build, "--data", "seglearn-watch", "--port", board, "--steps",
                        str(int((seconds + 4) * pace)), "--pace", str(pace), "-o", tmp_path / "out",
                        "--probe", f"ppk2:{port}", "--voltage", "3.0")  # fmt: skip
    assert done.returncode == 0, done.stderr
    sent = int(model.stdout.readline())
    model.stdin.close()
    model.wait()
    found = read_recording(tmp_path / "out" / "power.npz")
    assert sent == found.samples == seconds * 100_000 and found.lost == 0

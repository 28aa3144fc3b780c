"""Trainings that are killed, or two in one folder: processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeflow.digest import read_json
from edgeflow.errors import OutputError, TrainError
from edgeflow.files.leftovers import unfinished
from edgeflow.training import train
from tests.unit.test_train import SMALL, same_weights, waves


def child(folder: Path, mode: str) -> subprocess.Popen:
    """Train in another process, which prints a line after each epoch."""
    code = (
        "import sys; from pathlib import Path; from tests.unit.test_train import waves\n"
        "from edgeflow.training import train\n"
        "train(waves(), out=sys.argv[1], mode=sys.argv[2], hidden=8, batch=4, epochs=8, lr=2e-2,\n"
        "      on_epoch=lambda e, n, row: print(e, flush=True))\n"
        "print('done', flush=True)\n"
    )
    root = Path(__file__).resolve().parent.parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), mode], stdout=subprocess.PIPE, text=True,
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["window", pytest.param("streaming", marks=pytest.mark.slow)])
def test_killed_and_started_again_it_ends_the_same(mode, tmp_path):
    """SIGKILL in the middle of epochs, twice; the weights equal an uninterrupted run's bits."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(waves(), out=whole, mode=mode, hidden=8, batch=4, epochs=8, lr=2e-2)
    for last, pause in ((2, 0.01), (5, 0.0)):
        process = child(broken, mode)
        assert process.stdout is not None
        epochs = []
        for line in process.stdout:
            epochs.append(int(line))
            if epochs[-1] == last:
                time.sleep(pause)
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        half = unfinished("resume.pt").replace(f"-{os.getpid()}-", f"-{process.pid}-")
        (broken / half).write_bytes(b"as after a kill while writing")
        assert not (broken / "model.pt").exists() and (broken / "resume.pt").exists()
    with pytest.raises(TrainError, match=r"a training with seed 0, not 1: .*--restart"):
        train(waves(), out=broken, mode=mode, hidden=8, batch=4, epochs=8, lr=2e-2, seed=1)
    process = child(broken, mode)
    lines = process.communicate()[0].split()
    assert lines[-1] == "done" and int(lines[0]) >= 6
    assert same_weights(whole, broken)
    assert {p.name for p in broken.iterdir()} == {".edgeflow", "metrics.json", "model.pt"}
    one, other = (read_json(f / "metrics.json") for f in (whole, broken))
    assert one.pop("seconds") > 0 and other.pop("seconds") > 0
    assert one == other


def test_two_trainings_in_one_folder(tmp_path):
    process = child(tmp_path, "window")
    assert process.stdout is not None
    try:
        process.stdout.readline()
        with pytest.raises(
            OutputError, match=rf"another edgeflow \(pid {process.pid}\) is writing it"
        ):
            train(waves(), out=tmp_path, **SMALL)
    finally:
        process.kill()
        process.communicate()

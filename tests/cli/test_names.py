"""Odd names of classes, channels and subjects from end to end (tier: cli).

Alone it would catch a command or a page that shows a name past the place where names are made
printable, and generated C that such a name breaks.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeflow as ef
from tests.command import edgeflow
from tests.unit.test_names import ODD, RAW

CLASSES = [f"{ODD}1", r"$\bad$", "*/ int x; ??/"]
CHANNELS = [f"{ODD}x", "_y", "<b>z"]


@pytest.mark.board
def test_odd_names_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 20, 3)).astype(np.float32)
    people = [f"{ODD}{i % 5}" if i % 2 else f"$p{i % 5}" for i in range(30)]
    np.savez(
        "d.npz", x=x, y=np.arange(30) % 3, person=np.array(people), classes=np.array(CLASSES),
        channels=np.array(CHANNELS), rate_hz=10.0,
    )  # fmt: skip
    net = torch.nn.GRU(3, 3, batch_first=True)
    program = ef.compress(net, x, classes=CLASSES, channels=CHANNELS, window=20, rate_hz=10.0)
    program.save("model.onnx")
    assert ef.load("model.onnx").classes == tuple(CLASSES)
    for command in (
        ["inspect", "model.onnx"],
        ["compile", "model.onnx", "--board", "host", "-o", "build"],
        ["profile", "build", "--data", "d.npz"],
        ["compare", "build", "-o", "compare.html"],
        ["export", "model.onnx", "--to", "cmake", "--name", "odd", "--data", "d.npz"],
        ["data", "info", "d.npz"],
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            done = edgeflow(*command)
        assert "Traceback" not in done.stderr
        assert not RAW.search(done.stdout) and not RAW.search(done.stderr), command
        assert done.returncode == 0, done.stderr
    pages = [*tmp_path.glob("**/*.html"), *tmp_path.glob("**/*.[ch]"), *tmp_path.glob("**/*.md")]
    assert len(pages) > 5
    for page in pages:
        assert not RAW.search(page.read_text(encoding="utf-8")), page
    assert r"$\bad$" in (tmp_path / "build" / "report.html").read_text(encoding="utf-8")
    kept = json.loads((tmp_path / "build" / "profile.json").read_text(encoding="utf-8"))
    assert kept["metrics"]["overall"]["recall"].keys() == set(CLASSES)

"""The scripts behind the benchmarks of forecasts and counts run, on waves and arcs, quickly learnt.

Alone catches weights of the linear path that stand at the wrong delay once they are compressed, and
a model that is tested on what it was trained on.
"""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT


def printed(
    script: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> list[str]:  # fmt: skip
    monkeypatch.syspath_prepend(ROOT / "scripts")
    options = ["--root", str(folder), "--hidden", "4", "--epochs", "1", *arguments]
    monkeypatch.setattr("sys.argv", [script, *options])
    importlib.import_module(script).main()
    return capsys.readouterr().out.splitlines()


def numbers(line: str) -> list[float]:
    return [float(one) for one in re.findall(r"\d+\.\d+", line)]


def breaths(folder: Path, length: int) -> None:
    """Write sequences of samples, each of a pace of its own."""
    rng = np.random.default_rng(0)
    t = np.arange(length)[:, None] / 10
    sequences = {}
    for number in (1, 2, 6, 8):
        wave = np.sin(2 * np.pi * t / rng.uniform(3, 5))
        own = wave * rng.uniform(1, 5, 9) + 0.2 * rng.standard_normal((length, 9)) + 30
        sequences[f"seq{number}"] = own.astype(np.float32)
    np.savez(folder / "breathing.npz", **sequences)


def test_a_layer_that_learns_to_breathe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Step sizes of zero are the frozen model, which 9 samples are too few for."""
    breaths(tmp_path, 800)
    given = ("--sequences", "8", "--past", "9", "--adapt", "layer", "--cell", "mingru")
    rates = ("--rates", "0", "3e-3", "3e-3")
    frozen, same, learned = numbers(
        printed("breathing", tmp_path, monkeypatch, capsys, *given, *rates)[-1]
    )
    assert same == frozen and learned < 0.97 * frozen


def test_breathing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    breaths(tmp_path, 1000)
    lines = printed("breathing", tmp_path, monkeypatch, capsys, "--sequences", "8")
    in_floats, in_integers, ridge, hold = numbers(lines[-1])
    assert in_floats < 0.3 < hold
    assert in_integers == pytest.approx(in_floats, rel=0.05)
    assert ridge < 0.4
    given = ("--sequences", "8", "--past", "9", "--adapt", "nlms")
    learned = printed("breathing", tmp_path, monkeypatch, capsys, *given)[-1]
    # 9 samples are too few for a period, and it goes on to learn
    assert "frozen" in learned and "at 1 s" in learned
    frozen, *_, in_integers = numbers(learned)[1:-2]
    assert in_integers < 0.9 * frozen
    compared = printed("breathing", tmp_path, monkeypatch, capsys, "--choose")
    assert [line.split(":")[0] for line in compared][:2] == ["strength 0", "strength 0.5"]
    assert all(line.endswith("of sequences 1, 2, 6") for line in compared)


def test_uav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    t = np.arange(150)[:, None] / 10
    flights = {}
    for kind in ("fpv_uzh-indoor_forward_3", "fpv_uzh-indoor_forward_10", "circle"):
        turn = rng.uniform(0.5, 1) * t + np.array([0, 1, 2])
        name = f"{kind}_davis_with_gt" if kind != "circle" else "random_traj_100ms-circle_1"
        flights[name] = np.concatenate([t, 5 * np.sin(turn)], axis=1).astype(np.float32)
    np.savez(tmp_path / "uav.npz", **flights)
    lines = printed("uav", tmp_path, monkeypatch, capsys, "--flights", "fpv-10")
    rows = {line.split(":")[0]: numbers(line) for line in lines if ": RMSE" in line}
    assert rows["float"][2] < 0.3 * rows["hold"][2]
    assert rows["integers"][2] == pytest.approx(rows["float"][2], abs=0.05)


def test_counting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sets of twenty waves, each of a tempo of its own: test subjects are counted if asked for."""
    rng = np.random.default_rng(0)
    x, length = [], []
    for _ in range(6):
        ends = np.cumsum(rng.uniform(0.9, 1.1, 20) * rng.uniform(1.0, 1.4))
        angle = 2 * np.pi * np.interp(np.arange(0, ends[-1], 0.02), [0, *ends], range(21))
        wave = np.stack([np.cos(angle), np.sin(angle), 0 * angle] * 2, axis=1)
        x.append((wave + 0.1 * rng.standard_normal(wave.shape)).astype(np.float32))
        length.append(len(wave))
    np.savez(
        tmp_path / "watch.npz", x=np.concatenate(x), length=np.array(length),
        label=np.arange(6), subject=np.array([1, 2, 7, 8, 9, 10]),
    )  # fmt: skip
    monkeypatch.syspath_prepend(ROOT / "scripts")
    options = ["--root", str(tmp_path), "--hidden", "8", "--updates", "60", "--batch", "16"]
    options += ["-o", str(tmp_path / "build")]
    monkeypatch.setattr("sys.argv", ["counting", *options, "--test"])
    monkeypatch.setenv("EDGEFLOW_SIMULATOR", "numpy")  # a compiler is for other tiers
    importlib.import_module("counting").main()
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if "sets within one repetition" in line]
    assert [line.partition(":")[0] for line in told] == ["val", "test"]
    assert all(": 2 of 2 sets" in line for line in told)

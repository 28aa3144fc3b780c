"""Sound from clips to a board: the commands of docs/front-ends.md on a few spoken digits.

It alone would catch a step of the way that reads the data set in other hops than the model.
"""

import json
from pathlib import Path

import numpy as np

from tests.command import edgeflow

SPEAKERS = ("george", "lucas", "jackson", "nicolas", "yweweler")


def test_spoken_digits_from_clips_to_a_board(shared_data: Path, tmp_path: Path) -> None:
    with np.load(shared_data / "spoken-digits" / "digits.npz") as file:
        parts = np.split(file["x"], np.cumsum(file["length"])[:-1])
        digit, speaker = file["digit"], file["speaker"]
    chosen = [
        i
        for name in SPEAKERS
        for number in range(10)
        for i in np.flatnonzero((speaker == name) & (digit == number))[:2]
    ]
    np.savez(
        tmp_path / "digits.npz",
        x=np.concatenate([parts[i] for i in chosen]),
        length=np.array([len(parts[i]) for i in chosen]),
        digit=digit[chosen],
        speaker=speaker[chosen],
    )
    data = ("--data", "spoken-digits", "--root", tmp_path)
    run, model, build = tmp_path / "run", tmp_path / "model.onnx", tmp_path / "build"
    front = ("--front", "log-mel:hop=32ms,difference", "--hidden", "8", "--epochs", "2")
    for command in (
        ("train", *data, *front, "--batch", "16", "-o", run),
        ("compress", run, *data, "-o", model),
        ("compile", model, "--board", "qemu-m4", "-o", build),
        ("profile", build, *data, "--steps", "300"),
    ):
        done = edgeflow(*command)
        assert done.returncode == 0, done.stderr
    found = json.loads((build / "profile.json").read_text())
    assert found["mismatches"] == 0 and found["steps"] >= 279
    assert [layer["type"] for layer in found["layers"]][:2] == ["LogMel", "Difference"]

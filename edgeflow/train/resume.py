"""``resume.pt``: all that a training run needs to go on as if it had never stopped."""

import hashlib
from pathlib import Path
from typing import Any

import torch

from edgeflow.cells.checkpoint import read_torch
from edgeflow.data.dataset import Dataset
from edgeflow.errors import TrainError
from edgeflow.files import atomic_path


def fingerprint(dataset: Dataset) -> str:
    """Return a hash of the recordings, their labels, and who is in which split."""
    digest = hashlib.sha256(repr((dataset.classes, dataset.channels, dataset.people)).encode())
    for recording in dataset.recordings:
        digest.update(f"{recording.person}\0{recording.label}\0{recording.x.shape}".encode())
        digest.update(recording.x.tobytes())
    return digest.hexdigest()[:16]


def save(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path` in one step."""
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load(path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the state that a run with equal arguments left.

    Raises
    ------
    TrainError
        If the file is damaged, or belongs to a run with other arguments.
    """
    content = read_torch(path, "a resume.pt")
    if not isinstance(content, dict) or "arguments" not in content:
        raise TrainError(f"{path}: not a resume.pt of edgeflow: start again with --restart")
    check_arguments(path.parent, content["arguments"], arguments)
    return content


def check_arguments(folder: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a TrainError that names the first argument that has changed."""
    for key in [*now, *(k for k in then if k not in now)]:
        if then.get(key) != now.get(key):
            raise TrainError(
                f"{folder}: holds a training with {key} {then.get(key)}, not {now.get(key)}: use "
                "another folder, the same arguments, or --restart to begin anew"
            )

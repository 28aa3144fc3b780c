"""``resume.pt``: all that a training run needs to go on as if it had never stopped."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
from torch import Tensor

from edgeflow.cells.checkpoint import read_torch, write_torch
from edgeflow.data.dataset import Dataset
from edgeflow.digest import ChangedError, read_json, sealed_json
from edgeflow.errors import TrainError
from edgeflow.files import write_atomic

#: Values of options that runs older than these options had.
BEFORE_OPTIONS = {"tail": 0.1}


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` and keep it for this run.

    Raises
    ------
    TrainError
        If another run is using it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise TrainError(f"{folder}: another training is writing here: use another -o") from None
    try:
        yield
    finally:
        lock.release()


def tidy(folder: Path, names: Sequence[str], *, restart: bool) -> None:
    """Remove what a run killed while writing left of these files; to restart, the files too."""
    for name in names:
        for half in folder.glob(f".{name}.*"):
            half.unlink()
        if restart:
            (folder / name).unlink(missing_ok=True)


def fingerprint(dataset: Dataset) -> str:
    """Return a hash of the recordings, their labels, and the split of the subjects."""
    digest = hashlib.sha256(repr((dataset.classes, dataset.channels, dataset.people)).encode())
    for recording in dataset.recordings:
        digest.update(f"{recording.person}\0{recording.label}\0{recording.x.shape}".encode())
        digest.update(recording.x.tobytes())
    return digest.hexdigest()[:16]


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Return a hash of named tensors."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name}\0{value.dtype}\0{list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def read_result(path: Path, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Return the JSON that a complete run with equal arguments wrote; None if none is complete.

    Raises
    ------
    TrainError
        If the file is damaged, or belongs to a run with other arguments.
    """
    if (path.parent / "resume.pt").exists() or not path.exists():
        return None
    try:
        found: dict[str, Any] = read_json(path)
        then = dict(found["arguments"])
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror})") from None
    except ChangedError as error:
        raise TrainError(f"{path}: {error}: start again with --restart") from None
    except (ValueError, KeyError, TypeError):
        raise TrainError(f"{path}: damaged: start again with --restart") from None
    # as JSON has them: no tuples
    check_arguments(path.parent, then, json.loads(json.dumps(arguments)))
    return found


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write the JSON of a complete run, whose weights are written already."""
    write_atomic(path, sealed_json(result, 1))
    # last, so that a run killed before this line finishes again
    (path.parent / "resume.pt").unlink(missing_ok=True)


def save(path: Path, content: dict[str, Any]) -> None:
    """Write `content` to `path` in one step."""
    write_torch(content, path)


def load(path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the state that a run with equal arguments left.

    Raises
    ------
    TrainError
        If the file is damaged, or belongs to a run with other arguments.
    """
    content = read_torch(path, "a resume.pt", "start again with --restart")
    if not isinstance(content, dict) or not isinstance(content.get("arguments"), dict):
        raise TrainError(f"{path}: not a resume.pt of edgeflow: start again with --restart")
    check_arguments(path.parent, content["arguments"], arguments)
    return content


def check_arguments(folder: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a TrainError that names the first argument that has changed."""
    then = {key: value for key, value in BEFORE_OPTIONS.items() if key in now} | then
    for key in [*now, *(k for k in then if k not in now)]:
        if not _same(then.get(key), now.get(key)):
            raise TrainError(
                f"{folder}: holds a training with {key} {then.get(key)}, not {now.get(key)}: use "
                "another folder, the same arguments, or --restart to begin anew"
            )


def _same(value: Any, other: Any) -> bool:
    try:
        return bool(value == other)
    except (RuntimeError, ValueError, TypeError):  # an array, in a damaged file
        return False

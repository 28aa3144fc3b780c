"""``resume.pt``: all that a training run needs to go on as if it had never stopped."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from edgeflow.cells.checkpoint import read_torch
from edgeflow.data.dataset import Dataset
from edgeflow.digest import ChangedError, read_json, sealed_json
from edgeflow.errors import TrainError
from edgeflow.files import write_atomic

#: Values of options that runs older than these options had.
BEFORE_OPTIONS = {"tail": 0.1, "keep": "best"}


def earlier(folder: Path, command: str, result: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the files that a run without a mark made in a folder; none if the folder is not one.

    Parameters
    ----------
    folder : Path
    command : str
    result : str
        The JSON of a complete run.
    names : sequence of str
        Of all files of a run.
    """
    if not ((folder / ".lock").exists() and (folder / "resume.pt").exists()):
        try:
            json.loads((folder / result).read_text(encoding="utf-8"))["arguments"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
    return {command: [name for name in (*names, ".lock") if (folder / name).is_file()]}


def fingerprint(dataset: Dataset) -> str:
    """Return a hash of the recordings, their labels, and the split of the subjects."""
    digest = hashlib.sha256(repr((dataset.classes, dataset.channels, dataset.people)).encode())
    for recording in dataset.recordings:
        digest.update(f"{recording.person}\0{recording.label}\0{recording.x.shape}".encode())
        digest.update(recording.x.tobytes())
        if recording.target is not None:
            digest.update(f"{recording.target.shape}".encode() + recording.target.tobytes())
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
    """Write the JSON of a complete run."""
    write_atomic(path, sealed_json(result, 1))


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

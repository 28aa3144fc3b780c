"""``model.pt``: a trained classifier on disk, read without running any code in it."""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgeflow.cells.classifier import SequenceClassifier
from edgeflow.digest import ChangedError, sealed, unsealed
from edgeflow.errors import EdgeFlowError, TrainError
from edgeflow.files import settled, write_atomic
from edgeflow.tasks import OutputFormat, from_json

FORMAT = 1
#: Arguments of a classifier that its attributes repeat; older files have no `_OPTIONAL` ones.
_FIELDS = ("cell", "classes", "channels", "rate_hz", "window", "data", "seed")
_OPTIONAL = ("warmup", "units", "hop")
_KEYS = ("format", "hyper", "state_dict", "mean", "std", *_FIELDS)


#: Types of what messages quote; a list is of texts.
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("hyper", "state_dict"), dict),
    **dict.fromkeys(("cell", "data"), str),
    **dict.fromkeys(("classes", "channels"), list),
    "rate_hz": (int, float),
    **dict.fromkeys(("window", "seed"), int),
}


def _is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    if not isinstance(value, kind):
        return False
    return not isinstance(value, list) or all(isinstance(part, str) for part in value)


def save_model(model: SequenceClassifier, path: str | Path) -> None:
    """Write `model` to `path` in one step."""
    content = {
        "format": FORMAT,
        "hyper": dict(model.hyper),
        "state_dict": {k: v.detach().cpu().clone() for k, v in model.state_dict().items()},
        "mean": model.mean.tolist(),
        "std": model.std.tolist(),
        **{name: getattr(model, name) for name in _FIELDS},
        **{name: value for name in _OPTIONAL if (value := getattr(model, name)) is not None},
        **({} if model.target is None else {"task": model.target.to_json()}),
        **({} if model.output is None else {"output": model.output.to_json()}),
    }
    write_torch(content, path)


def write_torch(content: Mapping[str, Any], path: str | Path) -> None:
    """Write a ``torch.save`` file with a digest, in one step."""
    # to memory first: torch does not tell of a full disk in words of its own
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomic(path, sealed(buffer.getvalue()))


#: For a damaged file.
_REMEDY = "copy it again, or train it again with --restart"


def read_torch(path: Path, what: str, remedy: str = _REMEDY) -> Any:
    """Return the content of a ``torch.save`` file: tensors and plain values only, no code.

    Parameters
    ----------
    what : str
        The kind of file, for messages.
    remedy : str
        For a file that was changed since it was written.

    Raises
    ------
    TrainError
        If the file is missing, damaged or holds anything else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise TrainError(f"{path}: no such file: train a model with 'edgeflow train'") from None
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror or error})") from None
    if record := damaged_record(content):
        raise TrainError(f"{path}: damaged: its record {record} is not what was written: {remedy}")
    try:
        content = unsealed(content)
    except ChangedError as error:
        raise TrainError(f"{path}: damaged: {error}: {remedy}") from None
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # torch raises many unrelated types for damaged files, struct.error too
        raise TrainError(
            f"{path}: damaged, or not {what} of edgeflow (torch.load with weights_only=True "
            "refuses it)"
        ) from None
    if not _are_held(found, len(content)):
        raise TrainError(f"{path}: damaged: it declares a tensor of more than the file: {remedy}")
    return found


def _are_held(content: Any, size: int) -> bool:
    """Tell whether all tensors in a nest have at most `size` bytes.

    One of 10^9 values that are the same four bytes is read in no time, and then never used up.
    """
    waiting, seen = [content], set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, torch.Tensor) and value.numel() * value.element_size() > size:
            return False
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return True


def damaged_record(content: bytes) -> str | None:
    """Return the name of a record of a ``torch.save`` file that differs from its CRC-32.

    torch itself does not compare them. None: all are as they were written, or the file is from
    before torch wrote zip archives.
    """
    if not content.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # torch compresses nothing, so what unpacks to much more was not written by it
            for record in archive.infolist():
                if record.file_size > len(content):
                    return record.filename
            return archive.testzip()
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError,
            EOFError, OSError):  # fmt: skip
        return "of the zip directory"


def load_model(path: str | Path) -> SequenceClassifier:
    """Load a trained classifier, in evaluation mode.

    Parameters
    ----------
    path : str or Path
        ``model.pt``, or the folder that ``edgeflow train -o`` wrote.

    Raises
    ------
    TrainError
        If the file is missing, damaged, of another program or of a newer version.
    """
    path = Path(path)
    if path.is_dir():
        settled(path)
        if not (path / "model.pt").is_file() and (path / "resume.pt").is_file():
            raise TrainError(
                f"{path}: its training has not finished: run the same 'edgeflow train' again"
            )
        path = path / "model.pt"
    content = read_torch(path, "a model.pt")
    if not isinstance(content, dict) or "format" not in content:
        raise TrainError(f"{path}: not a model.pt of edgeflow: make one with 'edgeflow train'")
    if type(content["format"]) is not int:
        raise TrainError(f"{path}: damaged: its format is no number: copy it again")
    if content["format"] != FORMAT:
        raise TrainError(
            f"{path}: format {content['format']}, this edgeflow reads {FORMAT}: use the version "
            "of edgeflow that wrote it"
        )
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise TrainError(f"{path}: no '{missing[0]}' in it: train the model again")
    for key, kind in _TYPES.items():
        if not _is_a(content[key], kind):
            raise TrainError(f"{path}: its '{key}' is damaged: copy the file again")
    if not 0 <= content["window"] < 2**31 or not 0 <= content["rate_hz"] < math.inf:
        raise TrainError(
            f"{path}: windows of {content['window']:.9g} samples at {content['rate_hz']:g} Hz: "
            "damaged: copy the file again"
        )
    _check_head(path, content)
    try:
        model = SequenceClassifier(
            **{name: content[name] for name in _FIELDS},
            **{name: content[name] for name in _OPTIONAL if name in content},
            target=from_json(content["task"]) if "task" in content else None,
            output=OutputFormat.from_json(content["output"]) if "output" in content else None,
            **content["hyper"],
        )
        model.load_state_dict(content["state_dict"])
    except EdgeFlowError as error:
        raise TrainError(f"{path}: {error}") from None
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise TrainError(f"{path}: its parts do not fit together ({reason})") from None
    return model.eval()


def _check_head(path: Path, content: Mapping[str, Any]) -> None:
    """Compare declared sizes with those of the head, before a model of them is made."""
    head, units = content["state_dict"].get("head.weight"), content["hyper"].get("hidden")
    outputs = None if "task" in content else len(content["classes"])
    shape = tuple(head.shape) if isinstance(head, torch.Tensor) else ()
    if type(units) is not int:
        units = None
    if len(shape) != 2 or shape[1] != units or outputs not in (None, shape[0]):
        raise TrainError(
            f"{path}: its parts do not fit together (a head of {list(shape)}, {units} units, "
            f"{outputs} classes): copy it again, or train the model again"
        )

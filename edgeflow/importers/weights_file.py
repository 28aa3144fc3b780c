"""Files of weights, ``torch.save``'s and ``.safetensors``, read without running code in them."""

import contextlib
import io
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from edgeflow.cells.checkpoint import damaged_record
from edgeflow.errors import CompressError
from edgeflow.importers.file_kinds import describe, kind_of
from edgeflow.importers.messages import one_line
from edgeflow.importers.safetensors import read_safetensors

#: Classes that a file may name beside PyTorch's.
MAX_FOREIGN = 500
_UNKNOWN = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")
_BLOCKED = re.compile(r"unsupported GLOBAL (\S+) whose module")
#: What saves weights so that they can be read.
REMEDY = "save the weights alone, torch.save(net.state_dict(), ...)"


class Foreign:
    """Stands in for an object of another class than PyTorch's, which is neither made nor run."""

    name = ""

    def __new__(cls, *arguments: Any, **options: Any) -> "Foreign":
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_weights_file(path: Path) -> Any:
    """Return the content of a file of weights; objects of other classes are `Foreign`.

    Raises
    ------
    CompressError
        If the file cannot be read, is damaged, or is no such file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror}") from error
    kind = kind_of(path)
    if kind == "safetensors":
        try:
            return read_safetensors(content)
        except CompressError as error:
            raise CompressError(f"{path}: {error}") from error
    if kind not in ("torch", "torch-legacy"):
        raise CompressError(f"{path}: not a state_dict: {describe(path, kind)}")
    if record := damaged_record(content):
        raise CompressError(f"{path}: damaged: its record {record} is not what was written")
    return _load(path, content)


def _load(path: Path, content: bytes) -> Any:
    """Load with ``weights_only``, and stand-ins for one unknown class after the other."""
    known: dict[str, Callable[..., Any]] = {}
    while True:
        try:
            with _allowed(known):
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            match = _UNKNOWN.search(str(error))
            name = "" if match is None else match[1]
            name = name if "." in name else f"builtins.{name}"
            if match is None or name in known or len(known) >= MAX_FOREIGN:
                blocked = _BLOCKED.search(str(error))
                raise CompressError(
                    f"{path}: its pickle calls {blocked[1]}, which weights never do: do not load it"
                    if blocked
                    else f"{path}: its pickle is more than weights ({_reason(error)}), and is not "
                    f"run: {REMEDY}"
                ) from error
            known[name] = _stand_in(name)
        except Exception as error:  # torch raises many unrelated types for damaged files
            raise CompressError(
                f"{path}: damaged, or not written by torch.save ({one_line(error)}): {REMEDY}"
            ) from error


def _reason(error: Exception) -> str:
    """Return torch's reason without its advice, which is to run the pickle."""
    return one_line(error).rpartition("WeightsUnpickler error: ")[2].partition(" Check the")[0]


@contextlib.contextmanager
def _allowed(known: dict[str, Callable[..., Any]]) -> Iterator[None]:
    with torch.serialization.safe_globals([(value, name) for name, value in known.items()]):
        yield


def _stand_in(name: str) -> Callable[..., Any]:
    if name == "collections.defaultdict":
        return _plain_dict
    return type("Foreign", (Foreign,), {"name": name})


def _plain_dict(*arguments: Any) -> dict[Any, Any]:
    return {}

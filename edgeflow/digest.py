"""Digests in the files that EdgeFlow writes for itself, so that no changed one passes for whole.

JSON has a field ``sha256`` over its values: spaces and the order of keys are free, values are not.
Other files (archives of torch and numpy, objects, plugins) end with a line of text over all bytes
before it, which their readers skip. A file of an older version has neither, and is read as it is.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Field of JSON.
FIELD = "sha256"
_MARK = b"\nedgeflow sha256 "
_SIZE = len(_MARK) + 64 + 1  # in hexadecimal, and the end of the line
_LINE = re.compile(re.escape(_MARK) + rb"([0-9a-f]{64})\n")
_TEXT = "changed since it was written (its SHA-256 is another)"


class ChangedError(ValueError):
    """A content that is not what its digest was made of."""


def sealed_json(content: Mapping[str, Any], indent: int | None = None) -> str:
    """Return a mapping as the text of a JSON file with its digest, the last field."""
    plain = json.loads(json.dumps(content))
    return json.dumps({**plain, FIELD: _digest(plain)}, indent=indent) + ("\n" if indent else "")


def unsealed_json(text: str | bytes) -> Any:
    """Return the content of a JSON file without its digest.

    Raises
    ------
    ChangedError
        If the values are not those that were written.
    ValueError
        If it is no JSON.
    """
    try:
        content = json.loads(text)
        if isinstance(content, dict) and FIELD in content:
            digest = content.pop(FIELD)
            if digest != _digest(content):
                raise ChangedError(_TEXT)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return content


def read_json(path: str | Path) -> Any:
    """Return the content of a JSON file, as `unsealed_json`.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        As `unsealed_json`.
    """
    return unsealed_json(Path(path).read_bytes())


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _line(digest: str) -> bytes:
    return _MARK + digest.encode() + b"\n"


def seal(path: Path) -> None:
    """Append the digest to a file that was just written."""
    with path.open("rb") as file:
        line = _line(hashlib.file_digest(file, "sha256").hexdigest())
    with path.open("ab") as file:
        file.write(line)


def sealed(content: bytes) -> bytes:
    """Return a file's content with its digest."""
    return content + _line(hashlib.sha256(content).hexdigest())


def is_whole(path: Path) -> bool:
    """Tell whether a file ends with the digest of what is before; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            left = path.stat().st_size - _SIZE
            digest = hashlib.sha256()
            while left > 0:
                part = file.read(min(left, 1 << 20))
                if not part:
                    return False
                digest.update(part)
                left -= len(part)
            return file.read() == _line(digest.hexdigest())
    except OSError:
        return False


def unsealed(content: bytes) -> bytes:
    """Return a file's content without its digest; all of it if it has none.

    Raises
    ------
    ChangedError
        If the content is not what was written.
    """
    found = _LINE.fullmatch(content[-_SIZE:])
    if found is None:
        if _MARK in content[-_SIZE:]:  # cut short
            raise ChangedError(_TEXT)
        return content
    whole = content[:-_SIZE]
    if hashlib.sha256(whole).hexdigest().encode() != found[1]:
        raise ChangedError(_TEXT)
    return whole

"""Parsed tables, kept in the user's cache by content of the file and by how it was read."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgeflow.cache import keeping
from edgeflow.data.arrays import read_npz
from edgeflow.data.source import cache_folder
from edgeflow.data.table import FORM, Table
from edgeflow.digest import is_whole
from edgeflow.errors import DataError

#: Bytes of all copies together; the oldest go first.
MOST = 1 << 30


def kept_table(key: str, parse: Callable[[], Table]) -> Table:
    """Return ``parse()``, or the copy that was kept of it under this key."""
    kept = _folder() / f"{hashlib.sha256(f'{FORM} {key}'.encode()).hexdigest()}.npz"
    if is_whole(kept):
        # another version's copy is only a reason to parse again
        with contextlib.suppress(DataError, ValueError, KeyError, TypeError, AttributeError):
            found = _load(kept)
            with contextlib.suppress(OSError):
                kept.touch()  # used: the last to be dropped
            return found
    table = parse()
    # the cache is a convenience: a full or read-only disk must not stop the work
    with contextlib.suppress(OSError):
        with keeping(kept) as temporary, temporary.open("wb") as file:
            _save(table, file)
        _drop_old()
    return table


def _folder() -> Path:
    return cache_folder().parent / "parsed" / "own"


def _save(table: Table, file: object) -> None:
    about = {
        "names": {name: known for name, (known, _) in table.names.items()},
        "settings": table.settings,
        "notes": table.notes,
    }
    codes = {f"codes{i}": codes for i, (_, codes) in enumerate(table.names.values())}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(file, lines=table.lines, numbers=table.numbers, about=text, **codes)  # type: ignore[arg-type]


def _load(path: Path) -> Table:
    arrays = read_npz(path, ("lines", "numbers", "about"))
    about = json.loads(arrays["about"].tobytes())
    names = {
        name: (list(map(str, known)), arrays[f"codes{i}"].astype(np.int32))
        for i, (name, known) in enumerate(about["names"].items())
    }
    rows = len(arrays["lines"])
    fits = all(len(codes) == rows and codes.max() < len(known) for known, codes in names.values())
    if not fits or len(arrays["numbers"]) != rows:
        raise ValueError("damaged")
    settings = {key: (int(line), str(text)) for key, (line, text) in about["settings"].items()}
    return Table(arrays["lines"], names, arrays["numbers"], settings, tuple(about["notes"]))


def _drop_old() -> None:
    kept = sorted(_folder().glob("*.npz"), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in kept)
    for path in kept[:-1]:
        if total <= MOST:
            return
        total -= path.stat().st_size
        path.unlink(missing_ok=True)

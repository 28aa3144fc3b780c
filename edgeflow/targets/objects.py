"""Objects that were compiled before, kept in the user's cache.

Most sources of an image depend on the board alone. An object is found by what it was made from:
the compiler, its flags, and the text of the source and of all that this includes. Only the
compiler's own headers are taken as fixed as long as the compiler and its C library are.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import platformdirs

from edgeflow.cache import keeping
from edgeflow.digest import ChangedError, unsealed

#: Above as many objects the oldest half goes, when a process first stores one.
MOST_OBJECTS = 4000

_INCLUDE = re.compile(r'^\s*(?:#\s*|\.)include\s*"([^"]+)"', re.M)


def object_key(
    compiler: str, flags: Sequence[str], source: Path, include_dirs: Sequence[Path]
) -> str:
    """Return a digest of everything that decides the object's bytes.

    Parameters
    ----------
    compiler : str
        Path of the compiler.
    flags : sequence of str
        All but those that name folders.
    source : Path
        A C or assembler source.
    include_dirs : sequence of Path
        Folders of quoted includes, after the folder of the file that includes.
    """
    digest = hashlib.sha256()
    for part in ("edgeflow objects 1", _identity(compiler), *flags, source.name):
        digest.update(part.encode() + b"\0")
    for name, text in _texts(source, include_dirs):
        digest.update(f"{name}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()


def fetch(key: str, target: Path) -> bool:
    """Copy the object of that key to `target`; False if there is none that is whole."""
    kept = _folder() / f"{key}.o"
    try:
        content = kept.read_bytes()
        made = unsealed(content)
        if len(made) == len(content):  # of a version without digests
            return False
        target.write_bytes(made)
    except (OSError, ChangedError):
        return False
    with contextlib.suppress(OSError):
        os.utime(kept)  # used: the last to be dropped
    return True


def store(key: str, made: Path) -> None:
    """Keep a copy of an object; a cache that cannot be written to is none."""
    with contextlib.suppress(OSError):
        _drop_old(_folder())
        with keeping(_folder() / f"{key}.o") as temporary:
            shutil.copyfile(made, temporary)


def _folder() -> Path:
    return Path(platformdirs.user_cache_dir("edgeflow")) / "objects"


@cache
def _drop_old(folder: Path) -> None:
    kept = sorted(folder.glob("*.o"), key=lambda path: path.stat().st_mtime)
    if len(kept) > MOST_OBJECTS:
        for path in kept[: len(kept) // 2]:
            path.unlink(missing_ok=True)


@cache
def _identity(compiler: str) -> str:
    """Return a text that changes when the compiler or its C library is replaced."""
    found = subprocess.run(
        [compiler, "-print-file-name=libc.a"], capture_output=True, text=True, check=False
    )
    files = [Path(compiler).resolve(), Path(found.stdout.strip() or ".")]
    stats = [path.stat() for path in files if path.exists()]
    return " ".join([str(files[0]), *(f"{stat.st_size} {stat.st_mtime_ns}" for stat in stats)])


def _texts(source: Path, include_dirs: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield the source and, once each, the files that it includes, with the names they go by."""
    waiting, seen = [(source.name, source)], {source}
    while waiting:
        name, path = waiting.pop()
        text = path.read_bytes()
        yield name, text
        for included in _INCLUDE.findall(text.decode("utf-8", "replace")):
            places = (folder / included for folder in (path.parent, *include_dirs))
            found = next((place for place in places if place.is_file()), None)
            if found is None:
                yield included, b""  # under a condition that is not met, or an error
            elif found not in seen:
                seen.add(found)
                waiting.append((included, found))

"""Names of unfinished files: they say which process writes, so that those of killed ones can go."""

import contextlib
import itertools
import os
import platform
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

#: Seconds after which an unfinished file of another machine, or from before a restart, goes.
FOREIGN_AGE = 86400.0

_FORM = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-(\d+)-\d+~")
_numbers = itertools.count()


def unfinished(name: str) -> str:
    """Return the name under which this process writes what will be called `name`.

    It is hidden, and has a key of the machine, the process's number and its start, and a number.
    """
    short = os.fsencode(name)[:120].decode("utf-8", "ignore")
    pid = os.getpid()
    return f".{short}.{_machine()}-{pid}-{_start(pid) or 0}-{next(_numbers)}~"


def is_unfinished(name: str) -> bool:
    """Tell whether `unfinished` made a name, in any process."""
    return _FORM.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove unfinished files and folders of processes that are gone; others' stay."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _FORM.fullmatch(entry.name)
            if match and _is_left(entry, match):
                remove(Path(entry.path))


@cache
def sweep_once(folder: Path) -> None:
    """Do as `sweep`, when this process first writes into the folder."""
    sweep(folder)


def remove(path: Path) -> None:
    """Remove a file or a folder as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def scratch_folder(what: str) -> Iterator[Path]:
    """Make a folder among the system's temporary ones, and remove it; what others left goes, too.

    Parameters
    ----------
    what : str
        For its name.

    Yields
    ------
    Path
    """
    parent = Path(tempfile.gettempdir())
    sweep_once(parent)
    folder = parent / unfinished(f"edgeflow-{what}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        remove(folder)


def _is_left(entry: "os.DirEntry[str]", match: re.Match[str]) -> bool:
    machine, pid, start = match[1], int(match[2]), int(match[3])
    if machine != _machine():
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > FOREIGN_AGE
    return _start(pid) != (start or True)


@cache
def _machine() -> str:
    """Return a key of this run of the machine and, in a container, of its numbers of processes."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return f"{zlib.crc32(' '.join(parts).encode()):08x}"


def _start(pid: int) -> int | bool | None:
    """Return when a process began, in ticks; True if only that it lives is known; None: gone."""
    try:
        # the name before the last bracket may hold anything
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return True

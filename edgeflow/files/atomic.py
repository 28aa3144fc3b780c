"""Atomic writing: a reader sees the old file or the new one, never half of one."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgeflow.errors import OutputError
from edgeflow.files.leftovers import sweep_once, unfinished

_ATTEMPTS = 100


@contextlib.contextmanager
def atomic_path(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block succeeds.

    A link to a file stays, and the file is replaced; a file that is there keeps its mode and, where
    the system allows it, its owner. Folders on the way are made, and go again if the block fails.

    Parameters
    ----------
    path : str or Path
    durable : bool
        Whether the content is on the disk before the file has its name: not for caches.

    Yields
    ------
    Path
        An empty file.

    Raises
    ------
    OutputError
        If something other than a file is there, such as a device.
    OSError
        With the name of `path`.
    """
    path = Path(path)
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    before = _stat(target)
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise OutputError(
            f"{path}: is a device or a pipe, which no result can replace: name a file"
        )
    made: list[Path] = []
    temporary = target.parent / unfinished(target.name)
    with _naming(path, temporary):
        try:
            made = make_folder(target.parent)
            sweep_once(target.parent.absolute())
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            mode = stat.S_IMODE(temporary.stat().st_mode)
            yield temporary
            temporary.chmod(mode)  # tools make files of their own
            if before is not None:
                inherit(before, temporary)
            if durable:
                synced(temporary)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            drop_folders(made)
            raise


def write_atomic(path: str | Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write `content` to `path` in one step; parameters and errors are those of `atomic_path`."""
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_bytes(data)


def synced(path: Path) -> Path:
    """Wait until a file is on the disk; return it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return path


def inherit(before: os.stat_result, path: Path) -> None:
    """Give a file the mode and, where the system allows it, the owner of another one."""
    now = path.stat()
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(OSError):
            os.chown(path, before.st_uid, before.st_gid)
    if now.st_mode != before.st_mode:
        path.chmod(stat.S_IMODE(before.st_mode))


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were not there, the uppermost first."""
    missing = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        missing.append(one)
    for attempt in range(_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            break
        except (FileExistsError, FileNotFoundError):
            # another process may remove a folder that is empty, at the same moment
            if attempt == _ATTEMPTS - 1 or (os.path.lexists(folder) and not folder.is_dir()):
                raise
    return missing[::-1]


def drop_folders(folders: list[Path]) -> None:
    """Remove folders that `make_folder` made, those that are empty."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Name in errors the file that the user knows."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename) == str(temporary):
            error.filename = str(path)
            error.filename2 = None
        raise

"""One writer at a time: a lock that ends with its process."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeflow.errors import OutputError
from edgeflow.files.atomic import drop_folders, make_folder

if TYPE_CHECKING:
    from filelock import BaseFileLock as FileLock

_POLL = 0.02  # seconds


@contextlib.contextmanager
def held(lock: Path, place: str | Path, *, wait: float = 0.0) -> Iterator[None]:
    """Be the only one who writes to a place.

    Parameters
    ----------
    lock : Path
        File of the lock: made, with its folder, and gone afterwards. The system frees the lock of a
        killed process.
    place : str or Path
        What it is for, for the message.
    wait : float
        Seconds to wait for another writer.

    Raises
    ------
    OutputError
        If another one is still writing.
    """
    found = _taken(lock, place, wait)
    try:
        with contextlib.suppress(OSError):  # on a full disk the message has no number
            lock.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        found.release()


@contextlib.contextmanager
def held_file(path: str | Path) -> Iterator[None]:
    """Be the only one who writes a file, and what goes with it.

    Raises
    ------
    OutputError
        If another one is writing it.
    """
    real = Path(os.path.realpath(path))
    made = make_folder(real.parent)
    try:
        with held(real.parent / f".{real.name}.lock", path):
            yield
    finally:
        drop_folders(made)  # those that are empty


def _taken(lock: Path, place: str | Path, wait: float) -> "FileLock":
    from filelock import FileLock, Timeout

    end = time.monotonic() + wait
    while True:
        make_folder(lock.parent)
        # it tells a file that was deleted, as `held` does, from the one that others will find
        found = FileLock(lock)
        try:
            found.acquire(timeout=max(end - time.monotonic(), 0), poll_interval=_POLL)
        except Timeout:
            raise OutputError(
                f"{place}: another edgeflow{_writer(lock)} is writing it: wait for it"
            ) from None
        except FileNotFoundError:
            continue  # its folder went at this moment
        return found


def _writer(lock: Path) -> str:
    try:
        return f" (pid {int(lock.read_text(encoding='utf-8'))})"
    except (OSError, ValueError):
        return ""

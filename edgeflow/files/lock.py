"""One writer at a time: a lock that ends with its process."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from edgeflow.errors import OutputError

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
    end = time.monotonic() + wait
    while (descriptor := _take(lock)) is None:
        if time.monotonic() >= end:
            raise OutputError(
                f"{place}: another edgeflow{_writer(lock)} is writing it: wait for it"
            )
        time.sleep(_POLL)
    try:
        with contextlib.suppress(OSError):  # on a full disk the message has no number
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


@contextlib.contextmanager
def held_file(path: str | Path) -> Iterator[None]:
    """Be the only one who writes a file, and what goes with it.

    Raises
    ------
    OutputError
        If another one is writing it.
    """
    real = Path(os.path.realpath(path))
    with held(real.parent / f".{real.name}.lock", path):
        yield


def _take(lock: Path) -> int | None:
    """Return the descriptor of the lock; None if another one has it."""
    while True:
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            continue  # its folder went at this moment
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # a lock is deleted when it is let go: this may be one that no other will find
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), lock.stat()):
                    return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _writer(lock: Path) -> str:
    try:
        return f" (pid {int(lock.read_text(encoding='ascii'))})"
    except (OSError, ValueError):
        return ""

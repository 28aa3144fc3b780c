"""One program at a port: a lock that the system lets go of when its holder ends, however it ends.

Serial ports are also locked themselves (pyserial's ``exclusive``), which keeps programs of other
users out. That says nothing of who holds a port, does not know of network ports, and many programs
do not ask: so there is a locked file for each port, and on Linux a look at who has it open.
"""

import contextlib
import os
import socket
import stat
import sys
import warnings
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import IO
from urllib.parse import quote

import platformdirs

from edgeflow.errors import PortBusyError

_PROC = Path("/proc")


class PortLock:
    """The lock of a port, held until `release` or the end of this process.

    Parameters
    ----------
    name : str
        Name of the port in messages.
    key : str
        What is the same for all names of the port: `port_key` or `network_key`.

    Raises
    ------
    PortBusyError
        If another holds it, which it names.
    """

    def __init__(self, name: str, key: str) -> None:
        self._file: IO[str] | None = None
        try:
            import fcntl
        except ImportError:
            return  # Windows opens a serial port once
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a login without such a folder
                folder = platformdirs.user_runtime_path("edgeflow") / "ports"
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / f"{quote(key, safe='')}.lock").open("a+", encoding="utf-8")
        except OSError:
            return  # the session's number still tells two programs apart
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with file:
                file.seek(0)
                raise busy(name, file.read().strip()) from None
        file.truncate(0)
        program = Path(sys.argv[0]).name
        if not program or program.startswith("-"):
            program = Path(sys.executable).name
        file.write(f"{program} (pid {os.getpid()})\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go of the port; may be called again."""
        if self._file is not None:
            self._file.close()
            self._file = None


@contextlib.contextmanager
def held_port(path: str) -> Iterator[None]:
    """Hold a serial port for a program that is started here and opens it.

    Raises
    ------
    PortBusyError
        If another has it.
    """
    lock = PortLock(path, port_key(path))
    try:
        if holder := holder_of(path):
            raise busy(path, holder)
        yield
    finally:
        lock.release()


def port_key(path: str) -> str:
    """Return the same text for all names of a port, such as links in ``/dev/serial/by-id``."""
    return os.path.realpath(path)


def network_key(host: str, number: int) -> str:
    """Return the same text for all names of a network port.

    Raises
    ------
    OSError
        If the host is not known.
    """
    address = str(socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0][4][0])
    with contextlib.suppress(ValueError):
        if ip_address(address.partition("%")[0]).is_loopback:
            address = "localhost"
    return f"tcp:{address}:{number}"


def busy(name: str, holder: str) -> PortBusyError:
    """Return the error that says who holds a port; "": nobody knows."""
    return PortBusyError(
        f"{name}: held by {holder or 'another program'}: stop that, or wait until it is done, then "
        "try again"
    )


def holder_of(path: str) -> str:
    """Return the other process that has a port open, by name and number; "" if none is seen.

    Only Linux tells, and of another user's processes only the administrator. A program at the far
    end of a pseudo-terminal, such as an emulator, does not hold it.
    """
    try:
        device = Path(path).stat()
    except OSError:
        return ""
    for process in _PROC.glob("[0-9]*"):
        if process.name != str(os.getpid()) and _has_open(process, device):
            with contextlib.suppress(OSError):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _has_open(process: Path, device: os.stat_result) -> bool:
    found = False
    for file in _open_files(process):
        try:
            if str(file.readlink()) in ("/dev/ptmx", "/dev/pts/ptmx"):
                if (
                    f"tty-index:\t{os.minor(device.st_rdev)}\n"
                    in (process / "fdinfo" / file.name).read_text()
                ):
                    return False
                continue
            opened = file.stat()
        except OSError:
            continue
        found = found or (stat.S_ISCHR(opened.st_mode) and opened.st_rdev == device.st_rdev)
    return found


def _open_files(process: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (process / "fd").iterdir()

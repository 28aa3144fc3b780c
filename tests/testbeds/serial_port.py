"""A serial port of this machine that a model of a device sits behind: a pseudo-terminal.

A tool that is started with `SerialPort.environment` finds modem lines at it (``modem_lines.c``).
"""

import os
import select
import subprocess
import threading
import tty
from collections.abc import Callable
from pathlib import Path

SOURCE = Path(__file__).with_name("modem_lines.c")


class Unplugged(Exception):
    """The port's far end is gone."""


def build_modem_lines(folder: Path) -> Path:
    """Compile the library that gives pseudo-terminals modem lines."""
    library = folder / "modem_lines.so"
    flags = ["-std=gnu99", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", library, SOURCE, "-ldl"], check=True)
    return library


class SerialPort:
    """A serial port with the model's end of it.

    Parameters
    ----------
    folder : Path
        Where ``port``, the link that tools open, and the FIFO of the modem lines are.
    library : Path
        Of `build_modem_lines`.
    on_lines : callable, optional
        Called with DTR and RTS at each change of theirs, in the model's thread.
    """

    def __init__(
        self, folder: Path, library: Path, on_lines: Callable[[bool, bool], None] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.fifo = folder / "port", folder / "lines"
        for old in (self.path, self.fifo):
            old.unlink(missing_ok=True)
        os.mkfifo(self.fifo)
        self._on_lines = on_lines or (lambda dtr, rts: None)
        self._lines = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        # the slave stays open: without it the master's end reads an error between two programs
        self.master, self._slave = os.openpty()
        tty.setraw(self.master)
        os.set_blocking(self.master, False)
        self.path.symlink_to(os.ttyname(self._slave))
        self.environment = {"LD_PRELOAD": str(library), "EF_MODEM_LINES": str(self.fifo)}
        self._received = bytearray()
        self._closing = os.pipe()
        self._lock, self._unplugged = threading.Lock(), False

    def read(self, count: int, timeout: float | None = None) -> bytes:
        """Return exactly `count` bytes; b"" if `timeout` seconds pass without one.

        Raises
        ------
        Unplugged
            If the port was closed.
        """
        while len(self._received) < count:
            if not self._wait(timeout):
                return b""
        data = bytes(self._received[:count])
        del self._received[:count]
        return data

    def read_waiting(self) -> bytes:
        """Return what has arrived already."""
        return self.read(len(self._received))

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self.master, rest) :]
            except BlockingIOError:
                self._poll(None, self.master)
            except OSError as error:
                raise Unplugged from error

    def flush(self) -> None:
        """Forget what has arrived."""
        self._received.clear()

    def unplug(self) -> None:
        """Take the port away, as a cable that is pulled: programs that have it open read errors."""
        with self._lock:
            if self._unplugged:
                return
            self._unplugged = True
        os.write(self._closing[1], b"x")
        self.path.unlink(missing_ok=True)
        for fd in (self.master, self._slave):
            os.close(fd)

    def _wait(self, timeout: float | None) -> bool:
        """Wait for bytes; tell the model of changes of the modem lines, and what came with them."""
        ready = self._poll(timeout)
        if self._lines in ready:
            for line in os.read(self._lines, 4096).decode().splitlines():
                dtr, rts = line.split()
                self._on_lines(dtr == "1", rts == "1")
        if self.master in ready:
            try:
                self._received += os.read(self.master, 65536)
            except BlockingIOError:
                pass
            except OSError as error:
                raise Unplugged from error
        return bool(ready)

    def _poll(self, timeout: float | None, writable: int | None = None) -> list[int]:
        try:
            readable, able, _ = select.select(
                [self._closing[0], *([] if writable else [self.master, self._lines])],
                [writable] if writable else [],
                [],
                timeout,
            )
        except (OSError, ValueError) as error:
            raise Unplugged from error
        if self._closing[0] in readable:
            raise Unplugged
        return [*readable, *able]


class Model(threading.Thread):
    """A model of a device, in a thread of the test; what it raises, `stop` raises again.

    Parameters
    ----------
    port : SerialPort
    """

    def __init__(self, port: SerialPort) -> None:
        super().__init__(daemon=True)
        self.port = port
        self._error: BaseException | None = None

    def serve(self) -> None:
        """Answer until the port is unplugged."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            self.serve()
        except Unplugged:
            pass
        except BaseException as error:
            self._error = error
            self.port.unplug()

    def stop(self) -> None:
        """Unplug the port and wait for the end of the thread."""
        if self.is_alive():
            self.port.unplug()
            self.join(10)
        if self._error is not None:
            raise self._error

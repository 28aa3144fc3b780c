"""Boards that are processes of this machine: started by flashing, gone when Python is."""

import abc
import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from edgeflow.device.board import Board
from edgeflow.device.transport import SocketTransport, Transport
from edgeflow.errors import DeviceError, EdgeFlowError

_STOP_TIMEOUT = 5.0  # seconds; a profiler plugin writes its results at the end
_BOOT_TIME = 3.0  # seconds
_PR_SET_PDEATHSIG = 1


def _death_with_parent() -> Callable[[], None] | None:
    """Return a function that makes a child die with this process, even if that is killed."""
    if not sys.platform.startswith("linux"):
        return None
    # looked up here: between fork and exec as little as possible may run
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return set_signal


def _messages_file(log: Path | None) -> IO[bytes]:
    if log is not None:
        with contextlib.suppress(OSError):  # a full disk: it runs all the same
            return log.open("a+b")
    return tempfile.TemporaryFile()


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


class Child:
    """A child process that keeps its messages and never outlives this one.

    On Linux the system kills it, too, when the thread that started it ends.

    Parameters
    ----------
    pipes : bool
        True: stdin and stdout are pipes; else stdout is kept like stderr.
    pass_fds : sequence of int
        File descriptors that the child inherits.
    cwd : path, optional
        Where it runs.
    log : path, optional
        File that its messages are added to, where they stay.

    Raises
    ------
    DeviceError
        If the program cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        pipes: bool = False,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self._messages = _messages_file(log)
        self._begin = self._messages.seek(0, os.SEEK_END)
        try:
            self.process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else self._messages,
                stderr=self._messages,
                pass_fds=pass_fds,
                cwd=cwd,
                # Ctrl-C in a terminal is for us; we then stop the child in order
                start_new_session=True,
                preexec_fn=_death_with_parent(),
            )
        except OSError as error:
            self._messages.close()
            raise DeviceError(f"{command[0]}: cannot be run ({error.strerror})") from None
        self._finalizer = weakref.finalize(self, _kill, self.process)

    def messages(self) -> str:
        """Return the output of the child so far."""
        with contextlib.suppress(ValueError):
            size = self._messages.seek(0, os.SEEK_END)
            data = os.pread(self._messages.fileno(), size - self._begin, self._begin)
            return data.decode("utf-8", "replace").strip()
        return ""

    def why_gone(self) -> str:
        """Return in words why the child closed its serial port."""
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            return f"{self.name} closed the serial port"
        if code == errno.ENOSPC:  # of the plugin that counts
            return f"{self.name}: {os.strerror(code)}"
        if code < 0:
            ended = f"was killed by signal {-code} ({signal.Signals(-code).name})"
        else:
            ended = f"ended with exit code {code}"
        lines = [line.strip() for line in self.messages().splitlines()]
        # after its own message QEMU may print all registers
        said = [line for line in lines if line.startswith("qemu")] or lines
        return f"{self.name} {ended}" + (f": {said[-1]}" if said else "")

    def stop(self, *, ask: bool = True) -> None:
        """End the child; `ask` sends SIGTERM first, without it the child ends by itself."""
        if ask:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_TIMEOUT)
        self._finalizer()
        self._messages.close()


class ProcessBoard(Board):
    """A board that flashing starts as a child process."""

    _child: Child | None = None

    def flash(self, image: str | Path | None = None) -> None:
        path = self._image_to_write(image)
        self.close()
        self._child, self._transport = self._launch(path)
        self._boot_time = _BOOT_TIME

    def reset(self) -> None:
        self.flash()

    def check(self) -> None:
        """Raise DeviceError if the process has ended by itself."""
        if self._child is not None and self._child.process.poll() is not None:
            raise DeviceError(f"{self.spec.name}: {self._child.why_gone()}")

    def close(self) -> None:
        super().close()
        if self._child is not None:
            self._child.stop(ask=self._ask_to_stop)
            self._child = None

    # Whether the process needs a signal to end, after its serial port was closed.
    _ask_to_stop = True

    @abc.abstractmethod
    def _launch(self, image: Path) -> tuple[Child, Transport]:
        """Start the process with an image."""

    def _open(self) -> Transport:
        if self._transport is None:
            self.flash()
        assert self._transport is not None
        return self._transport


def start_at_socket(
    name: str,
    command: Callable[[int], Sequence[str]],
    pass_fds: Sequence[int] = (),
    folder: Path | None = None,
) -> tuple[Child, Transport]:
    """Start a program with one end of a socket pair as its serial port; return our end, too.

    A socket pair has no name that could be taken, and ends when either side dies.

    Parameters
    ----------
    name : str
        Of the board, in messages.
    command : callable
        Takes the file descriptor of the program's end.
    pass_fds : sequence of int
        Further file descriptors that it inherits.
    folder : path, optional
        Where it runs.

    Raises
    ------
    EdgeFlowError
        Of `command`, or if the program cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        fd = theirs.fileno()
        try:
            child = Child(command(fd), pass_fds=[fd, *pass_fds], cwd=folder)
        except EdgeFlowError:
            ours.close()
            raise
    return child, SocketTransport(name, ours, child.why_gone)


def wait_for(child: Child, condition: Callable[[], Any], what: str, timeout: float = 10.0) -> Any:
    """Return the value of `condition` as soon as it is true.

    Raises
    ------
    DeviceError
        If the child ends or `timeout` seconds pass before.
    """
    deadline = time.monotonic() + timeout
    while True:
        running = child.process.poll() is None
        value = condition()
        if value:
            return value
        if not running or time.monotonic() > deadline:
            reason = f"{child.name} did not {what}" if running else child.why_gone()
            child.stop()
            raise DeviceError(reason)
        time.sleep(0.01)

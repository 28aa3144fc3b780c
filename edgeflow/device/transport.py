"""Byte streams to a board: serial ports, sockets and the pipes of a child process.

All have one small interface, and any failure of the system below becomes a DeviceError.
"""

import abc
import contextlib
import errno
import os
import select
import socket
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import IO

from edgeflow.device.lock import PortLock, busy, holder_of, network_key, port_key
from edgeflow.device.ports import permission
from edgeflow.errors import DeviceError

WRITE_TIMEOUT = 10.0  # seconds
WhyGone = Callable[[], str] | None
_CHUNK = 65536
_PORT_POLL = 0.05  # seconds


class Transport(abc.ABC):
    """A byte stream in both directions.

    Parameters
    ----------
    name : str
        Name in messages: a port's path, a URL, a program.
    why_gone : callable, optional
        Explains, when the stream has ended, why (a board that is a process knows).
    """

    def __init__(self, name: str, why_gone: WhyGone = None) -> None:
        self.name = name
        self._why_gone = why_gone

    @abc.abstractmethod
    def read(self, timeout: float) -> bytes:
        """Return the bytes that have arrived, within `timeout` seconds; b"" if none did.

        Raises
        ------
        DeviceError
            If the other end is gone.
        """

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises
        ------
        DeviceError
            If the other end is gone, or takes nothing for a long time.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close the stream; never fails, and may be called again."""

    def gone(self, reason: object = "") -> DeviceError:
        """Return the error that says that the other end is gone."""
        if self._why_gone is not None:
            return DeviceError(f"{self.name}: {self._why_gone()}")
        reason = f" ({reason})" if reason else ""
        return DeviceError(
            f"{self.name}: the port went away{reason}: check that the board is connected and "
            "powered, then try again"
        )

    def stuck(self) -> DeviceError:
        """Return the error that says that the other end reads nothing."""
        return DeviceError(
            f"{self.name}: the board took no data for {WRITE_TIMEOUT:.0f} s: reset it, then try "
            "again"
        )


class _FileTransport(Transport):
    """Over two non-blocking file descriptors, which may be one and the same."""

    def __init__(self, name: str, read_fd: int, write_fd: int, why_gone: WhyGone = None) -> None:
        super().__init__(name, why_gone)
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._closed = False
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(read_fd, select.POLLIN)
        self._writable.register(write_fd, select.POLLOUT)

    def read(self, timeout: float) -> bytes:
        if self._closed:
            raise self.gone("it was closed")
        try:
            if not self._readable.poll(max(timeout, 0) * 1000):
                return b""
            data = os.read(self._read_fd, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self.gone(error.strerror) from None
        if not data:
            raise self.gone()
        return data

    def write(self, data: bytes) -> None:
        if self._closed:
            raise self.gone("it was closed")
        rest = memoryview(data)
        deadline = time.monotonic() + WRITE_TIMEOUT
        while rest:
            try:
                rest = rest[os.write(self._write_fd, rest) :]
            except BlockingIOError:
                if not self._writable.poll(max(deadline - time.monotonic(), 0) * 1000):
                    raise self.stuck() from None
            except OSError as error:
                raise self.gone(error.strerror) from None


class SocketTransport(_FileTransport):
    """Over a connected TCP or Unix socket, which it owns, and the lock of its port."""

    def __init__(
        self,
        name: str,
        connection: socket.socket,
        why_gone: WhyGone = None,
        lock: PortLock | None = None,
    ) -> None:
        if connection.family != socket.AF_UNIX:
            # small frames would wait for the acknowledgement of the one before
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(name, connection.fileno(), connection.fileno(), why_gone)
        self._connection = connection
        self._lock = lock

    def close(self) -> None:
        self._closed = True
        self._connection.close()
        if self._lock is not None:
            self._lock.release()


class PipeTransport(_FileTransport):
    """Over the standard output and input of a child process, which it owns."""

    def __init__(
        self, name: str, output: IO[bytes], input: IO[bytes], why_gone: WhyGone = None
    ) -> None:
        super().__init__(name, output.fileno(), input.fileno(), why_gone)
        self._files = (output, input)

    def close(self) -> None:
        self._closed = True
        for file in self._files:
            with contextlib.suppress(OSError):
                file.close()


class PortTransport(Transport):
    """Over a serial port or pseudo-terminal, opened with pyserial, for this program alone.

    Raises
    ------
    DeviceError
        If the port does not exist or cannot be opened.
    PortBusyError
        If another program has it open.
    """

    def __init__(self, path: str, baud: int = 115200, why_gone: WhyGone = None) -> None:
        import serial

        super().__init__(path, why_gone)
        # what pyserial lets through depends on the system and on how the port vanished
        self._errors: tuple[type[Exception], ...] = (OSError, ValueError, TypeError)
        with contextlib.suppress(ImportError):
            import termios

            self._errors += (termios.error,)
        self._busy = serial.SerialTimeoutException
        self._lock = PortLock(path, port_key(path))
        try:
            self._serial = serial.Serial(
                path, baud, timeout=_PORT_POLL, write_timeout=WRITE_TIMEOUT, exclusive=True
            )
        except self._errors as error:
            self._lock.release()
            if getattr(error, "errno", None) in (errno.EAGAIN, errno.EBUSY):
                raise busy(path, holder_of(path)) from None
            failure = _open_failure(error)
            if Path(path).exists() and not os.access(path, os.R_OK | os.W_OK):
                raise DeviceError(f"{path}: {failure}: {permission(path)}") from None
            raise DeviceError(f"{path}: {failure}; {_known_ports()}") from None
        holder = holder_of(path)
        if holder:  # without a lock
            self.close()
            raise busy(path, holder)

    def read(self, timeout: float) -> bytes:
        try:
            # changing pyserial's own time-out would configure the port anew at each read
            deadline = time.monotonic() + timeout
            while not (data := bytes(self._serial.read(1))):
                if time.monotonic() >= deadline:
                    return b""
            return data + bytes(self._serial.read(self._serial.in_waiting))
        except self._errors as error:
            raise self.gone(_reason(error)) from None

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except self._busy:
            raise self.stuck() from None
        except self._errors as error:
            raise self.gone(_reason(error)) from None

    def close(self) -> None:
        with contextlib.suppress(*self._errors):
            self._serial.close()
        self._lock.release()


def open_transport(port: str, baud: int = 115200) -> Transport:
    """Open a port.

    Parameters
    ----------
    port : str
        ``/dev/ttyACM0``, ``COM3``, a pseudo-terminal, or ``socket://host:port``.
    baud : int
        Bits per second of a real serial port.

    Raises
    ------
    DeviceError
        If it cannot be opened.
    PortBusyError
        If another program has it open.
    """
    if "://" not in port:
        return PortTransport(port, baud)
    try:
        url = urllib.parse.urlsplit(port)
        host, number = url.hostname, url.port
    except ValueError:
        host, number = None, None
    if url.scheme != "socket" or not host or not number:
        raise DeviceError(f"{port}: not a port; a network port is written socket://host:port")
    lock = None
    try:
        lock = PortLock(port, network_key(host, number))
        connection = socket.create_connection((host, number), timeout=WRITE_TIMEOUT)
    except OSError as error:
        if lock is not None:
            lock.release()
        raise DeviceError(
            f"{port}: cannot connect ({error.strerror or error}): check that the board or emulator "
            "behind it is running"
        ) from None
    return SocketTransport(port, connection, lock=lock)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _open_failure(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number is None and error.__context__ is not None:  # pyserial hides that of termios
        number = next((a for a in error.__context__.args if isinstance(a, int)), None)
    if number == errno.ENOTTY:
        return "cannot open the port (not a serial port)"
    return f"cannot open the port ({os.strerror(number)})" if number else f"cannot open ({error})"


def _known_ports() -> str:
    from serial.tools import list_ports

    ports = sorted(port.device for port in list_ports.comports())
    return f"serial ports here: {', '.join(ports)}" if ports else "no serial port was found here"

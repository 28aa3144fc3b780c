"""A desk with USB sockets: real tools, started here, see the devices that are plugged in."""

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

USB = Path(__file__).with_name("usb.py")
#: Debian's: the one with GLib's bindings.
PYTHON = "/usr/bin/python3"


@dataclass
class Device:
    """A USB device.

    Attributes
    ----------
    name
        Its own name on the desk.
    vendor, product
        USB ids.
    texts
        Maker, product, serial number, interface.
    tty
        Serial port that it makes, as ``ttyACM0``; None: a vendor's bulk interface.
    interface
        Another interface, of which `take` answers the requests: see ``usb.py``.
    place
        Number of the socket that it is plugged into.
    take
        Of a serial port: takes the bytes from the computer. Of a bulk interface: returns the answer
        to a packet; None: the device is gone.
    """

    name: str
    vendor: int
    product: int
    texts: tuple[str, str, str, str]
    take: Callable[[bytes], bytes | None]
    tty: str | None = None
    interface: str = ""
    place: int = 1
    _lines: list[socket.socket] = field(default_factory=list, repr=False)

    def say(self, data: bytes) -> None:
        """Send bytes from a serial port to the computer; lost while it is not plugged in."""
        for line in self._lines[-1:]:
            try:
                line.sendall(data)
            except OSError:
                self._lines.clear()


class Desk:
    """umockdev and what is plugged in; a context manager."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="desk"))
        self._devices: dict[str, Device] = {}
        self._sockets: dict[str, socket.socket] = {}
        self._usb = subprocess.Popen(
            ["umockdev-wrapper", PYTHON, str(USB)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.root = self._answer()

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a program that shall see the devices."""
        before = os.environ.get("LD_PRELOAD")
        preload = ":".join(filter(None, ["libumockdev-preload.so.0", before]))
        # locks of ports are a desk's own, as the ports are
        own = {"UMOCKDEV_DIR": self.root, "XDG_RUNTIME_DIR": self.root, "LD_PRELOAD": preload}
        return {**os.environ, **own}

    def run(
        self, command: list[str], timeout: float = 120, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, in a folder."""
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout, cwd=folder,
        )  # fmt: skip

    def plug(self, device: Device) -> None:
        """Plug a device in."""
        if device.name not in self._sockets:
            server = self._sockets[device.name] = socket.socket(socket.AF_UNIX)
            server.bind(str(self._folder / device.name))
            server.listen()
            threading.Thread(target=self._serve, args=(server, device), daemon=True).start()
        self._devices[device.name] = device
        names = [one.name for one in fields(Device) if one.name not in ("take", "_lines")]
        values = {name: getattr(device, name) for name in names}
        self._order(plug={**values, "socket": str(self._folder / device.name)})

    def unplug(self, device: Device) -> None:
        """Pull a device out."""
        self._order(unplug=self._devices.pop(device.name).name)

    def clear(self) -> None:
        """Pull all devices out, and forget those that were pulled out before."""
        for device in list(self._devices.values()):
            self.unplug(device)
        for name, server in self._sockets.items():
            _end(server)
            (self._folder / name).unlink()
        self._sockets.clear()

    def close(self) -> None:
        """Put all away."""
        for server in self._sockets.values():
            _end(server)
        if self._usb.stdin is not None:
            self._usb.stdin.close()
        self._usb.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _order(self, **order: Any) -> None:
        assert self._usb.stdin is not None
        self._usb.stdin.write(json.dumps(order) + "\n")
        self._usb.stdin.flush()
        answer = json.loads(self._answer())
        if "error" in answer:
            raise RuntimeError(f"{order}: {answer['error']}")

    def _answer(self) -> str:
        assert self._usb.stdout is not None
        line = self._usb.stdout.readline()
        if not line:
            raise RuntimeError("umockdev ended")
        return line.strip()

    def _serve(self, server: socket.socket, device: Device) -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            device._lines.append(line)
            serve = _serve_port if device.tty else _serve_bulk
            threading.Thread(target=serve, args=(line, device), daemon=True).start()


def _end(server: socket.socket) -> None:
    server.shutdown(socket.SHUT_RDWR)  # wakes who accepts
    server.close()


def _serve_port(line: socket.socket, device: Device) -> None:
    with contextlib.suppress(ConnectionResetError):  # unplugged
        while data := line.recv(4096):
            device.take(data)


def _serve_bulk(line: socket.socket, device: Device) -> None:
    stream = line.makefile("rwb")
    while len(header := stream.read(2)) == 2:
        answer = device.take(stream.read(struct.unpack("<H", header)[0]))
        if answer is None:
            line.shutdown(socket.SHUT_RDWR)
            return
        stream.write(struct.pack("<H", len(answer)) + answer)
        stream.flush()

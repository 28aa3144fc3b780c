"""USB devices without a kernel: umockdev shows them to programs, bytes go to sockets.

This is a program of its own, for Debian's Python (which has GLib's bindings), in umockdev's wrapper:

    umockdev-wrapper /usr/bin/python3 tests/testbeds/usb.py

Its first line of output is umockdev's folder, for UMOCKDEV_DIR of those who shall see the devices.
Then it takes a command a line and answers each with a line: ``{"plug": {...}}`` with the fields of
`Plug`, ``{"unplug": NAME}``. The bytes of a serial port go to and from the socket as they are, bulk
packets with their length before them (16 bits); each packet is answered with one.
"""

import ctypes
import json
import os
import select
import socket
import struct
import sys
import termios
import threading
import tty
from dataclasses import dataclass, field
from pathlib import Path

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # noqa: E402

_ENOENT, _EAGAIN, _ENODEV, _ENOTTY, _EPIPE, _ENODATA, _ESHUTDOWN = 2, 11, 19, 25, 32, 61, 108
#: usbfs (linux/usbdevice_fs.h, 64 bits).
_SUBMIT, _REAP, _REAP_NOW, _DISCARD = 0x8038550A, 0x4008550C, 0x4008550D, 0x550B
_GET_DRIVER, _CAPABILITIES = 0x41045508, 0x8004551A
#: Claim, release, set interface, set configuration, reset, ioctl: done at once.
_ACCEPTED = {0x8004550F, 0x80045510, 0x80085504, 0x80045505, 0x5514, 0xC0105512}
_STATUS, _BUFFER, _LENGTH, _ACTUAL, _URB = 4, 16, 24, 28, 56
_CONTROL = 2
#: What writes of the modem lines (DTR, RTS) make of them.
_MODEM = {
    termios.TIOCMGET: lambda before, lines: before,
    termios.TIOCMBIS: lambda before, lines: before | lines,
    termios.TIOCMBIC: lambda before, lines: before & ~lines,
    termios.TIOCMSET: lambda before, lines: lines,
}

#: A rate that has no constant, as 3,686,400 baud; they carry a struct termios2.
_GET_RATE, _SET_RATE, _TERMIOS2 = 0x802C542A, 0x402C542B, 44


@dataclass
class Plug:
    """A device to plug in.

    Attributes
    ----------
    name
        To unplug it by.
    socket
        Path of the socket that its bytes go to.
    vendor, product
        USB ids.
    texts
        Its strings: maker, product, serial number, interface.
    tty
        Name of the serial port that it makes, as ``ttyACM0``; None: a vendor's bulk interface.
    interface
        In hexadecimal, descriptors of an interface without endpoints, in place of these: packets
        are then the requests of its class, with their set-up bytes before the data, and the answers
        begin with a byte, 0 for a stall.
    place
        Of the hub's port that it is plugged into.
    """

    name: str
    socket: str
    vendor: int
    product: int
    texts: list[str]
    tty: str | None = None
    interface: str = ""
    place: int = 1
    number: int = field(default=0, init=False)

    @property
    def descriptors(self) -> bytes:
        """Device, configuration, one interface, as a rule with a bulk endpoint each way."""
        kind = 0x0A if self.tty else 0xFF
        interface = bytes([9, 4, 0, 0, 2, kind, 0, 0, 4])
        ends = b"".join(bytes([7, 5, end, 2, 0, 2, 0]) for end in (0x01, 0x81))
        if self.interface:
            interface, ends = bytes.fromhex(self.interface), b""
        size = 9 + len(interface) + len(ends)
        configuration = bytes([9, 2]) + struct.pack("<H", size) + bytes([1, 1, 0, 0x80, 50])
        ids = struct.pack("<HHH", self.vendor, self.product, 0x0100)
        device = bytes([18, 1, 0, 2, 0, 0, 0, 64]) + ids + bytes([1, 2, 3, 1])
        return device + configuration + interface + ends

    @property
    def path(self) -> str:
        return f"/devices/pci0000:00/0000:00:14.0/usb1/1-{self.place}"

    @property
    def paths(self) -> list[str]:
        """Devices in umockdev, each above the next."""
        interface = f"{self.path}/1-{self.place}:1.0"
        return [self.path, interface, f"{interface}/tty/{self.tty}"] if self.tty else [self.path]

    @property
    def node(self) -> str:
        return f"/dev/bus/usb/001/{self.number:03d}"

    @property
    def opened(self) -> str:
        """What programs open."""
        return f"/dev/{self.tty}" if self.tty else self.node

    def described(self) -> str:
        """Return the device as umockdev takes it."""
        maker, product, serial, interface = self.texts
        code = self.descriptors.hex().upper()
        lines = [
            f"P: {self.path}", f"N: {self.node.removeprefix('/dev/')}={code}", "E: DEVTYPE=usb_device",
            "E: SUBSYSTEM=usb", f"E: DEVNAME={self.node}", "E: BUSNUM=001", f"E: DEVNUM={self.number:03d}",
            "E: MAJOR=189", f"E: MINOR={self.number - 1}", f"A: idVendor={self.vendor:04x}\\n",
            f"A: idProduct={self.product:04x}\\n", f"A: manufacturer={maker}\\n", f"A: product={product}\\n",
            f"A: serial={serial}\\n", "A: busnum=1\\n", f"A: devnum={self.number}\\n", "A: speed=480\\n",
            "A: bConfigurationValue=1\\n", "A: bNumConfigurations=1\\n", "A: bNumInterfaces= 1\\n",
            f"H: descriptors={code}", "",
        ]  # fmt: skip
        if self.tty:
            _, interface_path, port_path = self.paths
            lines += [
                f"P: {interface_path}", "E: DEVTYPE=usb_interface", "E: SUBSYSTEM=usb", "A: bInterfaceNumber=00\\n",
                f"A: interface={interface}\\n", "", f"P: {port_path}",
                f"L: device=../../../1-{self.place}:1.0", "E: SUBSYSTEM=tty", f"E: DEVNAME=/dev/{self.tty}",
                "E: MAJOR=166", "E: MINOR=0", "",
            ]  # fmt: skip
        return "\n".join(lines) + "\n"


class Bulk(UMockdev.IoctlBase):  # type: ignore[misc]
    """usbfs of a device with a bulk endpoint each way."""

    def __init__(self, plug: Plug, line: socket.socket) -> None:
        super().__init__()
        self._plug, self._line = plug, line.makefile("rwb")
        self._reading: list = []  # URBs that wait for an answer
        self._answers: list[bytes] = []
        self._done: list = []
        self._gone = False

    def unplug(self) -> None:
        """End what waits, as the kernel does."""
        self._gone = True
        for urb, _, _ in self._reading:
            self._finish(urb, -_ESHUTDOWN, 0)
        self._reading.clear()

    def do_handle_ioctl(self, client: UMockdev.IoctlClient) -> bool:
        request = client.get_property("request") & 0xFFFFFFFF
        argument = client.get_arg()
        if self._gone and not (request in (_REAP, _REAP_NOW) and self._done):
            client.complete(-1, _ENODEV)
        elif request in _ACCEPTED:
            client.complete(0, 0)
        elif request == _CAPABILITIES:
            argument.resolve(0, 4).update(0, bytes(4))
            client.complete(0, 0)
        elif request == _GET_DRIVER:
            client.complete(-1, _ENODATA)
        elif request == _SUBMIT:
            try:
                self._submit(argument.resolve(0, _URB))
                client.complete(0, 0)
            except OSError:
                client.complete(-1, _ENODEV)
        elif request in (_REAP, _REAP_NOW):
            if self._done:
                argument.resolve(0, 8).set_ptr(0, self._done.pop(0))
                client.complete(0, 0)
            else:
                client.complete(-1, _EAGAIN)
        elif request == _DISCARD:
            if self._reading:
                self._finish(self._reading.pop(0)[0], -_ENOENT, 0)
            client.complete(0, 0)
        else:
            client.complete(-1, _ENOTTY)
        return True

    def _submit(self, urb: UMockdev.IoctlData) -> None:
        raw = bytes(urb.retrieve())
        length = struct.unpack_from("<i", raw, _LENGTH)[0]
        buffer = urb.resolve(_BUFFER, length) if length else None
        if raw[0] == _CONTROL:
            self._control(urb, buffer)
        elif raw[1] & 0x80:
            self._reading.append((urb, buffer, length))
        else:
            packet = bytes(buffer.retrieve()) if buffer else b""
            self._answers.append(self._ask(packet))
            self._finish(urb, 0, len(packet))
        while self._reading and self._answers:
            urb, buffer, length = self._reading.pop(0)
            answer = self._answers.pop(0)[:length]
            buffer.update(0, answer)
            self._finish(urb, 0, len(answer))

    def _ask(self, packet: bytes) -> bytes:
        """Return the answer to a packet."""
        self._line.write(struct.pack("<H", len(packet)) + packet)
        self._line.flush()
        header = self._line.read(2)
        if len(header) < 2:
            raise ConnectionResetError
        return self._line.read(struct.unpack("<H", header)[0])

    def _control(self, urb: UMockdev.IoctlData, buffer: UMockdev.IoctlData) -> None:
        data = bytes(buffer.retrieve())
        kind, request, value, _, length = struct.unpack_from("<BBHHH", data)
        if self._plug.interface and kind & 0x60 == 0x20:  # of the class
            done, *answer = self._ask(data[:8] if kind & 0x80 else data)
            if answer:
                buffer.update(8, bytes(answer))
            if done:
                self._finish(urb, 0, len(answer) if kind & 0x80 else length)
            else:
                self._finish(urb, -_EPIPE, 0)
            return
        if not kind & 0x80:
            self._finish(urb, 0, length)
            return
        answer = self._standard(request, value) if kind == 0x80 else None
        if answer is None:
            self._finish(urb, -_EPIPE, 0)
            return
        answer = answer[:length]
        buffer.update(8, answer)
        self._finish(urb, 0, len(answer))

    def _standard(self, request: int, value: int) -> bytes | None:
        if request == 0:  # GET_STATUS
            return b"\1\0"
        if request != 6:  # GET_DESCRIPTOR
            return None
        kind, number = value >> 8, value & 0xFF
        if kind == 1:
            return self._plug.descriptors[:18]
        if kind == 2:
            return self._plug.descriptors[18:]
        if kind == 3 and number <= len(self._plug.texts):
            text = self._plug.texts[number - 1].encode("utf-16-le") if number else b"\x09\x04"
            return bytes([2 + len(text), 3]) + text
        return None

    def _finish(self, urb: UMockdev.IoctlData, status: int, actual: int) -> None:
        urb.update(_STATUS, struct.pack("<i", status))
        urb.update(_ACTUAL, struct.pack("<i", actual))
        self._done.append(urb)


class Port(UMockdev.IoctlBase):  # type: ignore[misc]
    """Carries the bytes of a serial port to and from a socket, until it is unplugged.

    umockdev passes no ioctl on to the pseudo-terminal behind it: they are done here.
    """

    def __init__(self, line: socket.socket) -> None:
        super().__init__()
        self._line = line
        # the slave stays open: reading the master fails while nobody has it
        self._master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)
        tty.setraw(self._slave)
        self._modem, self._rate = 0, bytes(_TERMIOS2)
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Hang up."""
        os.write(self._stop_write, b"x")
        self._thread.join()
        for end in (self._stop_read, self._stop_write, self._slave, self._master):
            os.close(end)
        self._line.close()

    def do_handle_ioctl(self, client: UMockdev.IoctlClient) -> bool:
        request = client.get_property("request") & 0xFFFFFFFF
        if request in _MODEM:
            word = client.get_arg().resolve(0, 4)
            if request == termios.TIOCMGET:
                word.update(0, struct.pack("<I", self._modem))
            else:
                (lines,) = struct.unpack("<I", bytes(word.retrieve()))
                self._modem = _MODEM[request](self._modem, lines)
        elif request == termios.TIOCINQ:
            client.get_arg().resolve(0, 4).update(0, _real_ioctl(self._slave, request))
        elif request == _GET_RATE:
            client.get_arg().resolve(0, _TERMIOS2).update(0, self._rate)
        elif request == _SET_RATE:
            self._rate = bytes(client.get_arg().resolve(0, _TERMIOS2).retrieve())
        elif request not in (termios.TIOCEXCL, termios.TIOCNXCL):
            client.complete(-1, _ENOTTY)
            return True
        client.complete(0, 0)
        return True

    def _carry(self) -> None:
        stop, line = self._stop_read, self._line.fileno()
        while True:
            ready, _, _ = select.select([stop, line, self._master], [], [])
            if stop in ready:
                return
            if self._master in ready:
                self._line.sendall(os.read(self._master, 4096))
            if line in ready:
                data = self._line.recv(4096)
                if not data:
                    return
                os.write(self._master, data)


def _real_ioctl(file: int, request: int) -> bytes:
    """Return the word that the system answers, past umockdev, which would ask this very program."""
    word = ctypes.create_string_buffer(4)
    if ctypes.CDLL("libc.so.6").ioctl(file, ctypes.c_ulong(request), word) != 0:
        raise OSError(f"ioctl 0x{request:x}")
    return word.raw


class Hub:
    """What is plugged in."""

    def __init__(self) -> None:
        self.bed = UMockdev.Testbed.new()
        self._root = Path(self.bed.get_root_dir())
        (self._root / "sys/class/tty").mkdir(parents=True, exist_ok=True)
        self._plugged: dict[str, tuple[Plug, Bulk | Port]] = {}
        self._count = 1

    def plug(self, plug: Plug) -> None:
        self._count += 1
        plug.number = self._count % 120 + 1
        line = socket.socket(socket.AF_UNIX)
        line.connect(plug.socket)
        self.bed.add_from_string(plug.described())
        if plug.tty:
            # umockdev's own pseudo-terminal cannot be had a second time
            end: Bulk | Port = Port(line)
            self._in_bed(plug.opened).symlink_to(end.path)
        else:
            end = Bulk(plug, line)
        self.bed.attach_ioctl(plug.opened, end)
        self._plugged[plug.name] = plug, end

    def unplug(self, name: str) -> None:
        plug, end = self._plugged.pop(name)
        if isinstance(end, Port):
            end.unplug()
        else:
            GLib.idle_add(end.unplug)
        self.bed.detach_ioctl(plug.opened)
        for path in reversed(plug.paths):
            self.bed.remove_device(f"/sys{path}")
        for node in (plug.node, plug.opened):
            self._in_bed(node).unlink(missing_ok=True)

    def _in_bed(self, path: str) -> Path:
        return self._root / path.removeprefix("/")


def main() -> None:
    ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG: do not outlive who started it
    hub = Hub()
    print(hub.bed.get_root_dir(), flush=True)
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "plug" in order:
                hub.plug(Plug(**order["plug"]))
            else:
                hub.unplug(order["unplug"])
            print("{}", flush=True)
        except Exception as error:
            print(json.dumps({"error": repr(error)}), flush=True)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

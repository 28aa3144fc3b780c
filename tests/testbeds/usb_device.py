"""A USB device without a kernel's: umockdev answers what libusb asks of usbfs.

It runs in the system's Python, which has umockdev's bindings, under ``umockdev-wrapper``.
"""

import struct
import threading
from typing import Any

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import GLib, UMockdev  # noqa: E402

# Requests of usbfs (linux/usbdevice_fs.h) on a machine of 64 bits.
CAPABILITIES, SUBMIT, REAP_NOW, GET_DRIVER = 0x8004551A, 0x8038550A, 0x4008550D, 0x41045508
TAKEN = {  # claim, release, driver's ioctl, configuration, alternate setting, reset, discard, claim
    0x8004550F, 0x80045510, 0xC0105512, 0x80045505, 0x80085504, 0x5514, 0x550B, 0x8108551B,
}  # fmt: skip
#: Of a URB: its bytes, and where its fields are.
URB, STATUS, BUFFER, LENGTH, ACTUAL = 56, 4, 16, 24, 28
EAGAIN, ENODEV, ENOTTY, EPIPE, ENODATA, ESHUTDOWN = 11, 19, 25, 32, 61, 108
SETUP = 8


class UsbDevice(UMockdev.IoctlBase):
    """A device of control transfers at bus 1; subclasses answer `control`.

    Parameters
    ----------
    device, configuration : bytes
        Its descriptors.
    strings : dict
        Its texts by index.
    number : int
        At the bus.

    Attributes
    ----------
    gone
        Whether it was unplugged.
    """

    def __init__(
        self, device: bytes, configuration: bytes, strings: dict[int, str], number: int
    ) -> None:
        super().__init__()
        self._device, self._configuration, self._strings = device, configuration, strings
        self._done: list[Any] = []
        self.gone = False
        self._bed = UMockdev.Testbed.new()
        node = f"bus/usb/001/{number:03}"
        vid, pid = struct.unpack_from("<HH", device, 8)
        descriptors = (device + configuration).hex().upper()
        self._path = f"/devices/pci0000:00/0000:00:14.0/usb1/1-{number}"
        self._bed.add_from_string(
            f"P: {self._path}\nN: {node}={descriptors}\nE: DEVTYPE=usb_device\n"
            f"E: SUBSYSTEM=usb\nE: DEVNAME=/dev/{node}\nE: BUSNUM=001\nE: DEVNUM={number:03}\n"
            f"E: MAJOR=189\nE: MINOR={number - 1}\n"
            f"A: idVendor={vid:04x}\\n\nA: idProduct={pid:04x}\\n\nA: busnum=1\\n\n"
            f"A: devnum={number}\\n\nA: speed=12\\n\nA: bConfigurationValue=1\\n\n"
            "A: bNumConfigurations=1\\n\nA: bDeviceClass=00\\n\nA: bMaxPacketSize0=64\\n\n"
            f"H: descriptors={descriptors}\n"
        )
        self._bed.attach_ioctl(f"/dev/{node}", self)
        threading.Thread(target=GLib.MainLoop().run, daemon=True).start()

    @property
    def root(self) -> str:
        """Folder that ``UMOCKDEV_DIR`` names to programs that see the device."""
        return str(self._bed.get_root_dir())

    def control(self, kind: int, request: int, value: int, length: int, data: bytes) -> Any:
        """Return the bytes of the answer to a request of the class; None: a stall."""
        raise NotImplementedError

    def _control(self, kind: int, request: int, value: int, length: int, data: bytes) -> Any:
        if kind == 0x80 and request == 6:  # GET_DESCRIPTOR
            what, index = value >> 8, value & 255
            if what == 3 and (index == 0 or index in self._strings):
                text = self._strings[index].encode("utf-16-le") if index else b"\x09\x04"
                return (bytes([len(text) + 2, 3]) + text)[:length]
            return {1: self._device, 2: self._configuration}.get(what, b"")[:length] or None
        if kind == 0x80 and request == 0:  # GET_STATUS
            return b"\1\0"
        if kind in (0x00, 0x01):  # SET_CONFIGURATION, SET_INTERFACE
            return b""
        return self.control(kind, request, value, length, data)

    def do_handle_ioctl(self, client: Any) -> bool:
        """Answer a request of usbfs."""
        request = client.get_property("request") & 0xFFFFFFFF
        argument = client.get_arg()
        if request == CAPABILITIES:
            argument.resolve(0, 4).update(0, bytes(4))
            client.complete(0, 0)
        elif request in TAKEN:
            client.complete(0, 0)
        elif request == GET_DRIVER:
            client.complete(-1, ENODATA)
        elif request == SUBMIT and self.gone:
            client.complete(-1, ENODEV)
        elif request == SUBMIT:
            self._submit(argument.resolve(0, URB))
            client.complete(0, 0)
        elif request == REAP_NOW and self._done:
            argument.resolve(0, 8).set_ptr(0, self._done.pop(0))
            client.complete(0, 0)
        else:
            client.complete(-1, EAGAIN if request == REAP_NOW else ENOTTY)
        return True

    def _submit(self, urb: Any) -> None:
        (size,) = struct.unpack_from("<i", bytes(urb.retrieve()), LENGTH)
        buffer = urb.resolve(BUFFER, size)
        data = bytes(buffer.retrieve())
        kind, request, value, _, length = struct.unpack_from("<BBHHH", data)
        answer = self._control(kind, request, value, length, data[SETUP:])
        if answer:
            buffer.update(SETUP, answer)
        status = -ESHUTDOWN if self.gone else -EPIPE if answer is None else 0
        actual = 0 if answer is None else len(answer) if kind & 0x80 else length
        urb.update(STATUS, struct.pack("<i", status))
        urb.update(ACTUAL, struct.pack("<i", actual))
        self._done.append(urb)

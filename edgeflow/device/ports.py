"""Serial ports with a USB identity: which real boards are plugged in, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import HardwareRunner


@dataclass(frozen=True)
class Port:
    """A serial port on USB.

    Attributes
    ----------
    device
        What opens it: ``/dev/ttyACM0``, ``COM3``.
    usb
        ``VID:PID`` in lower-case hexadecimal.
    serial
        Serial number of the USB device; "" if it has none.
    location
        Where it is plugged in: ``1-2``; "" if not known.
    product
        What it calls itself.
    """

    device: str
    usb: str
    serial: str = ""
    location: str = ""
    product: str = ""

    def __str__(self) -> str:
        about = [self.usb, self.product, f"serial number {self.serial}" if self.serial else ""]
        return f"{self.device} ({', '.join(filter(None, about))})"


def usb_ports() -> list[Port]:
    """Return the serial ports of this machine that are on USB, by name."""
    from serial.tools import list_ports

    found = [
        Port(
            port.device,
            f"{port.vid:04x}:{port.pid:04x}",
            port.serial_number or "",
            port.location or "",
            port.product or "",
        )
        for port in list_ports.comports()
        if port.vid is not None and port.pid is not None
    ]
    return sorted(found, key=lambda port: port.device)


def ports_of(spec: BoardSpec, ports: Sequence[Port] | None = None) -> list[Port]:
    """Return the ports whose USB id is one of a board's; other boards may have it, too.

    Parameters
    ----------
    spec : BoardSpec
    ports : sequence of Port, optional
        Default: `usb_ports`.
    """
    ids = usb_ids(spec)
    return [
        port
        for port in (usb_ports() if ports is None else ports)
        if port.usb in ids or f"{port.usb[:4]}:*" in ids
    ]


def find_port(spec: BoardSpec) -> Port:
    """Return the port that a real board is at.

    Raises
    ------
    DeviceError
        If none fits, with the ids that were looked for; or several do, with their names.
    """
    found = ports_of(spec)
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"{spec.name}: several ports fit: {'; '.join(map(str, found))}: say which one by --port"
        )
    ids = usb_ids(spec)
    if not ids:
        raise DeviceError(
            f"{spec.name}: its file has no USB ids ([runner] usb): say at which --port it is"
        )
    raise DeviceError(
        f"{spec.name}: not plugged in: no serial port with a USB id of {', '.join(ids)} was found: "
        "plug it in, or say at which --port it is"
    )


def usb_ids(spec: BoardSpec) -> tuple[str, ...]:
    """Return the USB ids of a board's serial port; none of one that is no real one."""
    return spec.runner.usb if isinstance(spec.runner, HardwareRunner) else ()


def permission(device: str) -> str:
    """Return the command that lets the user open a port."""
    group = "dialout"
    try:
        import grp

        group = grp.getgrgid(Path(device).stat().st_gid).gr_name
    except (ImportError, OSError, KeyError):
        pass
    if group == "root":
        return "it is root's alone: a udev rule has to give it to the group dialout"
    return f"sudo usermod -aG {group} $USER, then log in again"

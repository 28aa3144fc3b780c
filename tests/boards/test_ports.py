"""Boards are found by the USB ids of their ports, as umockdev shows them to pyserial (tier: boards).

Alone they would catch an id that is compared in another case, a port of another board, and the
first of two ports that is taken without a word.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeflow.device.ports import Port, find_port, ports_of
from edgeflow.errors import DeviceError
from edgeflow.targets.board import load_board
from tests.command import PROGRAM
from tests.hardware import board_file

umockdev = pytest.mark.skipif(
    shutil.which("umockdev-run") is None and not os.environ.get("CI"),
    reason="umockdev-run is missing: apt-get install umockdev",
)


def device(number: int, usb: str, product: str) -> str:
    """Return umockdev's description of a USB device with one serial port, ttyACM<number>."""
    vid, pid = usb.split(":")
    place = f"/devices/pci0000:00/usb1/1-{number + 1}"
    interface = f"{place}/1-{number + 1}:1.0"
    texts = {"idVendor": vid, "idProduct": pid, "serial": f"S{number}", "product": product,
             "busnum": "1", "devnum": str(number + 2), "bNumInterfaces": " 1"}  # fmt: skip
    attributes = "".join(f"A: {key}={value}\\n\n" for key, value in texts.items())
    return (
        f"P: {place}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n{attributes}\n"
        f"P: {interface}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\nA: bInterfaceNumber=00\\n\n\n"
        f"P: {interface}/tty/ttyACM{number}\nN: ttyACM{number}\nE: SUBSYSTEM=tty\n"
        f"L: device=../../../1-{number + 1}:1.0\n\n"
    )


def under(devices: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    file = folder / "devices.umockdev"
    file.write_text(devices)
    return subprocess.run(
        ["umockdev-run", "-d", file, "--", *command], capture_output=True, text=True, timeout=120
    )


@umockdev
def test_boards_that_are_plugged_in(tmp_path: Path) -> None:
    two = device(0, "0483:374B", "STM32 STLink") + device(1, "1234:5678", "other")
    done = under(two, tmp_path, *PROGRAM, "boards", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["nucleo-l4r5zi"]["ports"] == ["/dev/ttyACM0"]
    assert rows["rpi-pico"]["ports"] == rows["qemu-m4"]["ports"] == []


@umockdev
@pytest.mark.parametrize(
    ("usb", "message"),
    [
        (["0483:374b"], "/dev/ttyACM0 (0483:374b, STM32 STLink, serial number S0)"),
        (["0483:*"], "several ports fit: /dev/ttyACM0 (0483:374b, STM32 STLink, serial number S0); "
         "/dev/ttyACM1 (0483:374e, STLINK-V3, serial number S1): say which one by --port"),
        (["0483:0001", "1366:*"], "not plugged in: no serial port with a USB id of 0483:0001, 1366:* was"),
        ([], "its file has no USB ids ([runner] usb): say at which --port it is"),
    ],
)  # fmt: skip
def test_the_port_of_a_board(tmp_path: Path, usb: list[str], message: str) -> None:
    two = device(0, "0483:374b", "STM32 STLink") + device(1, "0483:374e", "STLINK-V3")
    code = (
        "import sys; from edgeflow.device.ports import find_port;"
        "from edgeflow.errors import DeviceError; from edgeflow.targets.board import load_board\n"
        "try: print(find_port(load_board(sys.argv[1])))\n"
        "except DeviceError as error: print(error)"
    )
    path = str(board_file(tmp_path, usb=usb))
    done = under(two, tmp_path, sys.executable, "-c", code, path)
    assert message in done.stdout and len(done.stdout.splitlines()) == 1, done.stderr


def test_ids_of_others_do_not_fit(tmp_path: Path) -> None:
    spec = load_board(board_file(tmp_path, usb=["0483:374B", "1366:*"]))
    ports = [
        Port("a", "0483:374b"),
        Port("b", "1366:0105"),
        Port("c", "0483:374c"),
        Port("d", "2341:374b"),
    ]
    assert [port.device for port in ports_of(spec, ports)] == ["a", "b"]
    assert ports_of(load_board("qemu-m4"), ports) == []
    with pytest.raises(DeviceError, match="qemu-m4: its file has no USB ids"):
        find_port(load_board("qemu-m4"))

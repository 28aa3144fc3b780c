"""gdb writes images through a real gdb server, QEMU's, to a machine that is empty and stands still.

Alone they would catch sections that are written elsewhere than they are stored, a machine that is
not started, and a byte that changed on the way: gdb ends with 0 then.
"""

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from edgeflow.device import open_board
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec, load_board
from tests.boards.test_device import patiently, samples
from tests.firmware_model import MODEL_HASH, build_image, run_model
from tests.hardware import board_file

pytestmark = [
    pytest.mark.board,
    pytest.mark.skipif(
        shutil.which("gdb-multiarch") is None and not os.environ.get("CI"),
        reason="gdb-multiarch is missing: apt-get install gdb-multiarch",
    ),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def empty_machine(monitor: str = "none") -> Iterator[tuple[int, str]]:
    """Start a machine without an image; yield the port of its gdb server, and its serial port."""
    server, serial = free_port(), free_port()
    process = subprocess.Popen(
        ["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", monitor, "-S",
         "-gdb", f"tcp:127.0.0.1:{server}",
         "-serial", f"tcp:127.0.0.1:{serial},server=on,wait=off,nodelay=on"],
    )  # fmt: skip
    try:
        while process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", serial)):
                break
        yield server, f"socket://127.0.0.1:{serial}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def changing_a_byte(server: int) -> Iterator[int]:
    """Stand between gdb and its server, and change a byte of the first long write to memory."""
    changed = threading.Event()

    def change(data: bytes) -> bytes:
        match = re.search(rb"\$(M[0-9a-f]+,[0-9a-f]{3,}:)([0-9a-f]+)#..", data)
        if match is None or changed.is_set():
            return data
        changed.set()
        content = bytearray(match[2])
        content[100] = ord("0") if content[100] != ord("0") else ord("1")
        body = match[1] + bytes(content)
        packet = b"$" + body + b"#%02x" % (sum(body) & 255)
        return data[: match.start()] + packet + data[match.end() :]

    def forward(source: socket.socket, sink: socket.socket, whole: bool) -> None:
        waiting = b""
        try:
            while data := source.recv(1 << 16):
                waiting += data
                # a packet to the server is looked at when all of it is there
                if whole and b"$" in waiting and not re.search(rb"\$[^#]*#..$", waiting, re.S):
                    continue
                sink.sendall(change(waiting) if whole else waiting)
                waiting = b""
        except OSError:
            pass
        sink.close()

    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", server))
            threading.Thread(target=forward, args=(far, near, False), daemon=True).start()
            forward(near, far, True)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
    assert changed.is_set()


def board(folder: Path, server: int) -> BoardSpec:
    options = f'[runner.options.gdb]\nserver = "127.0.0.1:{server}"\n'
    return load_board(
        board_file(folder, name="qemu-m4", order=["gdb"], usb=["0483:374b"], options=options)
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_image("qemu-m4", tmp_path_factory.mktemp("image"))


def test_gdb_writes_verifies_and_starts(image: Path, tmp_path: Path) -> None:
    with empty_machine() as (server, port):
        spec = board(tmp_path, server)
        with open_board(spec, image=image, port=port, runner="gdb") as opened:
            opened.flash()
            x = samples(300)
            assert (
                patiently(lambda: opened.connect(MODEL_HASH)).steps(x, True).y == run_model(x)
            ).all()


def test_a_byte_that_changed_on_the_way(image: Path, tmp_path: Path) -> None:
    with empty_machine() as (server, port), changing_a_byte(server) as proxy:
        spec = board(tmp_path, proxy)
        with (
            open_board(spec, image=image, port=port, runner="gdb") as opened,
            pytest.raises(DeviceError, match=r"^gdb could not flash qemu-m4: .*is not the image"),
        ):
            opened.flash()


def test_no_server(image: Path, tmp_path: Path) -> None:
    spec = board(tmp_path, free_port())
    with (
        open_board(spec, image=image, port="/dev/x", runner="gdb") as opened,
        pytest.raises(DeviceError, match="no gdb server answers there"),
    ):
        opened.flash()

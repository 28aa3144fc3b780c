"""Start-up code and HAL of every board: echo.c boots, talks, counts its stack and reports faults.

QEMU is started directly here, so that a failure is the board's and not the device layer's.
"""

import os
import random
import select
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from edgeflow.targets.board import list_boards
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    link,
)

pytestmark = pytest.mark.board

ECHO = Path(__file__).parent / "echo.c"
BOARDS = [board for board in list_boards() if board.runs_here]
TIMEOUT = 20.0  # seconds; the machine may be busy


class Session:
    """A booted board: a process and the two file descriptors of its serial port."""

    def __init__(self, board, elf):
        if board.uart is None:
            runner = [board.runner.program, "-cpu", board.runner.cpu] if board.emulator else []
            self.process = subprocess.Popen(
                [*runner, str(elf)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
            self.to, self.back = self.process.stdin.fileno(), self.process.stdout.fileno()
            return
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [
                    board.emulator, "-M", board.runner.machine, *board.runner.args,
                    "-kernel", str(elf), "-display", "none", "-monitor", "none",
                    "-chardev", f"socket,id=uart,fd={theirs.fileno()}", "-serial", "chardev:uart",
                ],
                pass_fds=[theirs.fileno()],
            )  # fmt: skip
        self.to = self.back = self.socket.fileno()

    def write(self, data):
        while data:
            data = data[os.write(self.to, data) :]

    def command(self, name, value):
        self.write(name + struct.pack("<I", value))

    def read(self, size):
        data = b""
        end = time.monotonic() + TIMEOUT
        while len(data) < size:
            ready, _, _ = select.select([self.back], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"only {data!r} of {size} bytes came"
            part = os.read(self.back, size - len(data))
            assert part, f"the board went away after {data!r}"
            data += part
        return data

    def line(self):
        """Return the next line that is not empty."""
        line = b""
        while not line.strip() or not line.endswith(b"\n"):
            line += self.read(1)
        return line.decode().strip()

    def status(self):
        self.write(b"u")
        return struct.unpack("<4I", self.read(16))

    def close(self):
        self.process.kill()
        self.process.communicate()
        if hasattr(self, "socket"):
            self.socket.close()


@pytest.fixture(scope="module", params=BOARDS, ids=lambda board: board.name)
def booted(request, tmp_path_factory):
    board = request.param
    folder = tmp_path_factory.mktemp(board.name)
    objects = compile_sources(
        board.core,
        [ECHO, *board_sources(board)],
        folder,
        include_dirs=board_include_dirs(),
        defines=board_defines(board),
        extra_flags=["-O2"],
    )
    elf = link(board, objects, folder / "firmware.elf")
    sessions = []

    def boot():
        session = Session(board, elf)
        sessions.append(session)
        greeting = f"HELLO {board.name}\r\n".encode()
        assert session.read(len(greeting)) == greeting
        return session

    yield board, boot
    for session in sessions:
        session.close()


def test_echo_memory_and_stack(booted):
    board, boot = booted
    session = boot()
    values = bytes(range(256))
    session.command(b"e", 256)
    session.write(values)
    assert session.read(256) == values

    stack, hertz, initialised, zeroed = session.status()
    assert (initialised, zeroed) == (0x12345678, 0)
    if board.uart is None:
        assert (stack, hertz) == (0, 1_000_000_000)
    else:
        assert hertz == 0  # the emulator has no cycle counter worth reading
        assert 0 < stack < 512
        session.command(b"d", 2)  # frames of two kilobytes
        session.read(4)
        deeper = session.status()[0]
        assert 2048 < deeper < 2048 + 512
        assert session.status()[0] == deeper

    # a new boot starts from new memory, though the last one wrote to it
    assert boot().status()[2:] == (0x12345678, 0)


def test_bulk_both_ways(booted):
    _, boot = booted
    session = boot()
    size = 16 * 1024
    data = random.Random(7).randbytes(size)
    expected = 0
    for byte in data:
        expected = (expected * 31 + byte) & 0xFFFFFFFF
    session.command(b"s", size)
    session.write(data)
    assert struct.unpack("<I", session.read(4))[0] == expected

    session.command(b"r", size)
    got = session.read(size)
    assert got == bytes(
        (size - start + i) & 0xFF for start in range(0, size, 64) for i in range(64)
    )


def test_fault_is_one_readable_line(booted):
    board, boot = booted
    session = boot()
    session.write(b"f")
    if board.uart is None:
        assert session.process.wait(TIMEOUT) != 0
        return
    text = session.line()
    assert text.startswith("FAULT cause=0x0000000")
    where = int(text.split("pc=0x")[1][:8], 16)
    flash = board.memory["flash"]
    assert flash.base < where < flash.base + flash.size


def test_stack_overflow_faults_where_the_core_checks(booted):
    board, boot = booted
    if board.core.name not in ("cortex-m33", "cortex-m55"):
        pytest.skip("the core has no stack limit register")
    session = boot()
    session.command(b"d", board.stack // 1024 + 1)
    text = session.line()
    assert text.startswith("FAULT cause=0x00000003 ")  # HardFault
    assert int(text.split("status=0x")[1][:8], 16) & (1 << 20)  # CFSR.STKOF

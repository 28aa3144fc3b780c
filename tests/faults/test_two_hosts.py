"""One port, two programs: the second is refused by name, and results are never another's.

Tier faults. Alone it holds the locks of ports, by any of their names and without stale ones, and the
session's number where no lock reaches: a server that hands one board to several hosts.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeflow.device import Client
from edgeflow.device.transport import SocketTransport, open_transport
from edgeflow.errors import PortBusyError, SessionLostError
from tests.faults.line import Served
from tests.firmware_model import INPUTS, MODEL_HASH, build_image, run_model

HOLDER = """
import sys
from edgeflow.device.transport import open_transport
port = open_transport(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""
X = np.random.default_rng(1).integers(-900, 900, (80, INPUTS)).astype(np.int16)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_image("host", tmp_path_factory.mktemp("host"))


@pytest.fixture(params=["pty", "tcp"])
def served(image: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(image, request.param) as board:
        yield board


@contextlib.contextmanager
def program(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def refusal(port: str) -> str:
    with pytest.raises(PortBusyError) as caught:
        open_transport(port)
    message = str(caught.value)
    assert message.startswith(f"{port}: held by ") and "\n" not in message
    return message


def test_a_port_is_one_programs(served: Served, tmp_path: Path) -> None:
    names = [served.port, served.port.replace("127.0.0.1", "localhost")]
    if "://" not in served.port:
        link = tmp_path / "usb-board"
        link.symlink_to(served.port)
        names = [served.port, str(link)]
    command = [sys.executable, "-c", HOLDER, served.port]
    with program(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "open\n"
        for name in names:
            assert f" (pid {holder.pid}): stop that" in refusal(name)
        # the system lets go of it with the process
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    for name in names:
        transport = open_transport(name)
        assert (Client(transport, MODEL_HASH).steps(X, reset=True).y == run_model(X)).all()
        assert f"(pid {os.getpid()})" in refusal(names[0])
        transport.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")
def test_a_program_without_a_lock_is_named(image: Path) -> None:
    with Served(image, "pty") as board:
        # not the terminal of these tests, which its end would end
        file = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
        with os.fdopen(file) as opened, program(["sleep", "60"], stdout=opened) as sleeper:
            assert f"held by sleep (pid {sleeper.pid})" in refusal(board.port)
        open_transport(board.port).close()


def connect(port: str) -> SocketTransport:
    """Connect without the lock, as another machine does."""
    host, _, number = port.removeprefix("socket://").partition(":")
    return SocketTransport(port, socket.create_connection((host, int(number))))


def test_a_session_is_one_hosts(image: Path) -> None:
    """The server gives all hosts all that the board says, of which each may take its own only."""
    with Served(image, "tcp") as board:
        first = Client(connect(board.port), MODEL_HASH)
        assert (first.steps(X, reset=True).y == run_model(X)).all()
        second = Client(connect(board.port), MODEL_HASH)
        with pytest.raises(
            SessionLostError, match="another program began a session with this"
        ) as e:
            first.steps(2 * X, reset=True)
        assert str(e.value).startswith(board.port) and "\n" not in str(e.value)
        first.close()  # which must not end the other's session
        # both count from the same number: the same requests, and not the same samples
        assert (second.steps(X, reset=True).y == run_model(X)).all()
        assert second.stats().steps == len(X)


def test_hosts_that_hear_nothing_of_each_other(image: Path) -> None:
    """A line that hides the other's replies, as two readers of one terminal have it."""
    with Served(image, "tcp") as board:
        mine = connect(board.port)
        first = Client(mine, MODEL_HASH)
        first.steps(X, reset=True)
        second = Client(connect(board.port), MODEL_HASH)
        second.steps(3 * X, reset=True)
        while mine.read(0.05):
            pass  # stolen
        with pytest.raises(SessionLostError):
            first.steps(X[:1])

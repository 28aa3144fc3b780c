"""Boards and the client on an emulated Cortex-M4 and on this machine, with a stand-in model.

Tier boards. Alone it holds that a step never runs twice on a real transport, that a board that dies
or faults is named at once, and that boards and flash tools are started and stopped.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeflow.device import Board, Client, open_board
from edgeflow.device.qemu import QemuBoard
from edgeflow.device.serialboard import SerialBoard
from edgeflow.device.transport import Transport, open_transport
from edgeflow.errors import DeviceError, ImageMismatchError, ToolMissingError
from edgeflow.targets.board import load_board
from tests.firmware_model import (
    INPUTS,
    MODEL_HASH,
    OUTPUTS,
    VERSION,
    WINDOW,
    build_image,
    run_model,
)

M4 = pytest.param("qemu-m4", marks=pytest.mark.board)
BOTH = pytest.mark.parametrize("name", ["host", M4])


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> "Images":
    return Images(tmp_path_factory.mktemp("images"))


class Images:
    """Images of boards, each built once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        if name not in self._built:
            self._built[name] = build_image(name, self._folder / name)
        return self._built[name]


@contextlib.contextmanager
def running(name: str, images: Images) -> Iterator[tuple[Board, Client]]:
    with open_board(load_board(name), image=images[name]) as board:
        board.flash()
        yield board, board.connect(MODEL_HASH, timeout=2.0)


def samples(n: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-3000, 3000, (n, INPUTS)).astype(np.int16)


def kill(board: Board) -> None:
    child = board._child  # type: ignore[attr-defined]
    child.process.send_signal(signal.SIGKILL)


class Unreliable(Transport):
    """A real transport whose traffic is damaged where a test says so."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner.name)
        self._inner = inner
        self.damage_next_write = False
        self.lose_next_reply = False
        self.damage_next_reply = False

    def write(self, data: bytes) -> None:
        if self.damage_next_write:
            self.damage_next_write = False
            data = data[:10] + bytes([data[10] ^ 0x40 or 1]) + data[11:]
        self._inner.write(data)

    def read(self, timeout: float) -> bytes:
        data = self._inner.read(timeout)
        if self.lose_next_reply and data:
            while not data.endswith(b"\x00"):
                data += self._inner.read(timeout)
            self.lose_next_reply = False
            return b""
        if self.damage_next_reply and len(data) > 1:
            self.damage_next_reply = False
            return data[:1] + bytes([data[1] ^ 0x40 or 1]) + data[2:]
        return data

    def close(self) -> None:
        self._inner.close()


@BOTH
def test_handshake_steps_and_counters(name: str, images: Images) -> None:
    with running(name, images) as (_, client):
        hello = client.hello
        assert (hello.board, hello.version, hello.model_hash) == (name, VERSION, MODEL_HASH)
        assert (hello.inputs, hello.outputs, hello.window) == (INPUTS, OUTPUTS, WINDOW)
        x = samples(2000)
        result = client.steps(x, reset=True)
        assert result.y.dtype == np.int16 and (result.y == run_model(x)).all()
        stats = client.stats()
        assert (stats.steps, stats.frame_errors) == (2000, 0)
        if name == "host":
            assert result.cycles is not None and (result.cycles > 0).all()
        else:
            assert hello.cycles_hz == 0 and result.cycles is None
            assert 100 < stats.stack_bytes < 1000


@BOTH
def test_state_goes_on_between_calls_until_reset(name: str, images: Images) -> None:
    with running(name, images) as (_, client):
        x = samples(90)
        y = [client.steps(x[:1], True).y, client.steps(x[1:50]).y, client.steps(x[50:]).y]
        assert (np.concatenate(y) == run_model(x)).all()
        assert client.steps(x[:0], reset=True).y.shape == (0, OUTPUTS)
        assert (client.steps(x[:5]).y == run_model(x[:5])).all()
        assert (client.steps(x[:5], reset=True).y == run_model(x[:5])).all()


@BOTH
def test_damaged_request_is_sent_again(name: str, images: Images) -> None:
    with running(name, images) as (board, _):
        transport = Unreliable(board._open())
        client = Client(transport, timeout=0.5)
        x = samples(60)
        transport.damage_next_write = True
        assert (client.steps(x, True).y == run_model(x)).all()
        stats = client.stats()
        assert (stats.steps, stats.frame_errors) == (60, 1)
        assert (client.line.retries, client.line.damaged, client.line.resets) == (1, 0, 0)


@BOTH
def test_damaged_reply_is_asked_for_at_once(name: str, images: Images) -> None:
    with running(name, images) as (board, _):
        transport = Unreliable(board._open())
        # no time-out passes within the test
        client = Client(transport, timeout=60.0, floor=60.0)
        x = samples(60)
        client.steps(x[:10], True)
        transport.damage_next_reply = True
        assert (client.steps(x[10:]).y == run_model(x)[10:]).all()
        stats = client.stats()
        assert (stats.steps, stats.frame_errors) == (60, 0)
        assert (client.line.retries, client.line.damaged) == (1, 1)


@BOTH
def test_lost_reply_does_not_step_twice(name: str, images: Images) -> None:
    with running(name, images) as (board, _):
        transport = Unreliable(board._open())
        client = Client(transport, timeout=0.5)
        x = samples(30)
        client.steps(x[:10], True)
        transport.lose_next_reply = True
        assert (client.steps(x[10:20]).y == run_model(x)[10:20]).all()
        assert (client.steps(x[20:]).y == run_model(x)[20:]).all()
        assert client.stats().steps == 30


@BOTH
def test_host_killed_in_the_middle_of_a_frame(name: str, images: Images) -> None:
    with running(name, images) as (board, client):
        client.steps(samples(5), True)
        board._open().write(b"\x40\x02\x01abc")
        again = board.connect(MODEL_HASH)
        x = samples(7)
        assert (again.steps(x, True).y == run_model(x)).all()


@BOTH
def test_sequence_numbers_wrap(name: str, images: Images) -> None:
    with running(name, images) as (_, client):
        x = samples(300)
        y = [client.steps(sample[None], reset=i == 0).y[0] for i, sample in enumerate(x)]
        assert (np.array(y) == run_model(x)).all()


@BOTH
def test_reset_restarts(name: str, images: Images) -> None:
    with running(name, images) as (board, client):
        client.steps(samples(5))
        board.reset()
        x = samples(5)
        assert (board.connect().steps(x).y == run_model(x)).all()


@BOTH
def test_other_model_is_refused(name: str, images: Images) -> None:
    with open_board(load_board(name), image=images[name]) as board:
        other = bytes(8)
        with pytest.raises(ImageMismatchError) as caught:
            board.connect(other)
        for part in (MODEL_HASH.hex(), other.hex(), "edgeflow flash DIR", "compile"):
            assert part in str(caught.value)


@BOTH
def test_samples_of_wrong_shape_or_type(name: str, images: Images) -> None:
    with running(name, images) as (_, client):
        for x in (np.zeros((3, 5), np.int16), np.zeros(6, np.int16), np.zeros((3, 6), np.float32)):
            with pytest.raises(DeviceError, match=r"takes int16 samples of shape \[n, 6\]"):
                client.steps(x)


@BOTH
def test_board_that_dies_is_reported_at_once(name: str, images: Images) -> None:
    with running(name, images) as (board, client):
        client.steps(samples(10))
        timer = threading.Timer(0.3, kill, [board])
        timer.start()
        start = time.monotonic()
        with pytest.raises(DeviceError, match=r"was killed by signal 9") as caught:
            while time.monotonic() < start + 30:
                client.steps(samples(400))
        assert time.monotonic() - start < 3
        assert "\n" not in str(caught.value)
        with pytest.raises(DeviceError, match="killed"):
            client.stats()


def test_board_that_hangs_is_given_up(images: Images) -> None:
    """After as many attempts, and as long, as was asked for."""
    with open_board(load_board("host"), image=images["host"]) as board:
        client = board.connect(MODEL_HASH, timeout=0.1, retries=5, patience=0.8)
        client.steps(samples(10))
        board._child.process.send_signal(signal.SIGSTOP)  # type: ignore[attr-defined]
        start = time.monotonic()
        with pytest.raises(
            DeviceError, match=r"^host: no answer from the board after \d+ attempts"
        ):
            client.steps(samples(10))
        assert time.monotonic() - start >= 0.8 and client.line.retries >= 5
        kill(board)


@pytest.mark.board
def test_fault_is_reported_at_once(images: Images) -> None:
    with running("qemu-m4", images) as (_, client):
        start = time.monotonic()
        with pytest.raises(DeviceError, match=r"stopped with FAULT cause=0x[0-9a-f]+"):
            client.steps(np.full((1, INPUTS), -32768, np.int16))
        assert time.monotonic() - start < 2


@pytest.mark.board
def test_pseudo_terminal_is_a_serial_port(images: Images) -> None:
    spec = load_board("qemu-m4")
    with QemuBoard(spec, images["qemu-m4"], serial="pty") as emulator:
        emulator.flash()
        assert emulator.port is not None
        emulator.release()
        with SerialBoard(spec, emulator.port) as board:
            client = board.connect(MODEL_HASH)
            x = samples(500)
            assert (client.steps(x, True).y == run_model(x)).all()
            threading.Timer(0.3, kill, [emulator]).start()
            start = time.monotonic()
            with pytest.raises(DeviceError, match="the port went away"):
                while time.monotonic() < start + 30:
                    client.steps(x)
            assert time.monotonic() - start < 3


@pytest.mark.board
def test_network_port(images: Images) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    # an emulator that someone else started
    process = subprocess.Popen(
        ["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none",
         "-kernel", images["qemu-m4"],
         "-serial", f"tcp:127.0.0.1:{number},server=on,wait=off,nodelay=on"],
    )  # fmt: skip
    try:
        with open_board(load_board("qemu-m4"), port=f"socket://127.0.0.1:{number}") as board:
            x = samples(100)
            assert (patiently(board.connect).steps(x, True).y == run_model(x)).all()
    finally:
        process.kill()
        process.wait()


def patiently(connect: Callable[[], Client]) -> Client:
    """Connect to something that may still be starting."""
    for _ in range(50):
        with contextlib.suppress(DeviceError):
            return connect()
        time.sleep(0.1)
    return connect()


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("/dev/no-such-port", "No such file or directory"),
        ("/dev/null", "cannot open"),
        ("socket://127.0.0.1:1", "cannot connect"),
        ("socket://127.0.0.1", "socket://host:port"),
        ("http://127.0.0.1:80", "socket://host:port"),
    ],
)
def test_port_that_cannot_be_opened(port: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        open_transport(port)
    assert port in str(caught.value) and "\n" not in str(caught.value)


def test_silent_port_is_not_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeflow.device.client._HANDSHAKE_TIMEOUTS", (0.1, 0.1))
    master, slave = os.openpty()
    try:
        with (
            open_board(load_board("host"), port=os.ttyname(slave)) as board,
            pytest.raises(DeviceError, match="does not answer"),
        ):
            board.connect()
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.board
def test_image_that_qemu_refuses(tmp_path: Path) -> None:
    image = tmp_path / "firmware.elf"
    image.write_bytes(b"\x7fELF" + b"\x00" * 60)
    with (
        open_board(load_board("qemu-m4"), image=image) as board,
        # QEMU takes it for a raw binary, which does not boot
        pytest.raises(DeviceError, match=r"^qemu-m4: qemu-system-arm was killed.*: qemu: fatal"),
    ):
        board.connect()


def test_image_that_is_no_program(tmp_path: Path) -> None:
    image = tmp_path / "firmware.elf"
    image.write_bytes(b"junk")
    with open_board(load_board("host"), image=image) as board:
        with pytest.raises(DeviceError, match="cannot be run"):
            board.flash()
        with pytest.raises(DeviceError, match="no such image"):
            board.flash(tmp_path / "other.elf")


def test_missing_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, images: Images) -> None:
    image = images["host"]
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("qemu-m4", "qemu-a53"):
        with pytest.raises(ToolMissingError, match="apt-get install qemu"):
            open_board(load_board(name), image=image).flash()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("host", {"plugin": ["x.so"]}, "only an emulated board"),
        ("qemu-m4", {"plugin": ["x.so"], "port": "/dev/x"}, "started here"),
        ("qemu-m4", {"runner": "pyocd"}, "--port"),
        ("qemu-m4", {"runner": "hammer", "port": "/dev/x"}, "no runner 'hammer'; known: .*openocd"),
    ],
)
def test_options_that_do_not_go_together(name: str, options: dict, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        open_board(load_board(name), **options)


ORPHAN = """
import os, signal, sys
from edgeflow.device import open_board
from edgeflow.targets.board import load_board
board = open_board(load_board(sys.argv[1]), image=sys.argv[2])
board.flash()
print(board._child.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@BOTH
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's death signal")
def test_board_dies_with_python(name: str, images: Images) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN, name, str(images[name])], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while _alive(pid):
        assert time.monotonic() < deadline, f"{name} outlived its host"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.board
@pytest.mark.parametrize("optimise", ["-Os", "-O3"])
@pytest.mark.parametrize(
    "name", ["qemu-m0", "qemu-m4", "qemu-m55", "qemu-rv32", "qemu-a53", "host"]
)
def test_profile_markers_are_functions_of_their_own(
    name: str, optimise: str, tmp_path: Path
) -> None:
    build_image(name, tmp_path, optimise=optimise)
    prefix = load_board(name).core.prefix
    listing = subprocess.run(
        [f"{prefix}nm", tmp_path / "firmware.elf"], capture_output=True, text=True, check=True
    ).stdout
    places = [line.split()[0] for line in listing.splitlines() if " T ef_profile_" in line]
    assert len(places) == len(set(places)) == 3
    main = tmp_path / "objects" / "main.o"
    called = subprocess.run(
        [f"{prefix}nm", "-u", main], capture_output=True, text=True, check=True
    ).stdout
    assert "ef_profile_begin" in called and "ef_profile_end" in called

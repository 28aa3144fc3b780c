"""A real board is found, written where it has to be, and asked what it runs (tier: boards).

The board is a machine in QEMU behind its serial port, which gdb writes through QEMU's gdb server as
a probe would. Alone these would catch a board that is written at each profile, one that is written
though it says that it is another one, and a tool that is not named.
"""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeflow.cli import app
from edgeflow.device import Expected, open_board, ports
from edgeflow.device.ports import Port
from edgeflow.device.serialboard import SerialBoard
from edgeflow.errors import DeviceError, ImageMismatchError, ToolMissingError
from edgeflow.targets.board import BoardSpec, load_board
from tests.boards.test_device import samples
from tests.boards.test_flash_gdb import board, empty_machine, image, pytestmark  # noqa: F401
from tests.firmware_model import BUILD_ID, INPUTS, MODEL_HASH, run_model
from tests.hardware import board_file

EXPECTED = Expected(MODEL_HASH, BUILD_ID, "qemu-m4")
X = np.ones((50, INPUTS), np.int16)


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BoardSpec]:
    """A machine without an image, whose serial port has the board's USB id."""
    with empty_machine() as (server, port):
        found = [Port("/dev/ttyOTHER", "1234:5678"), Port(port, "0483:374b")]
        monkeypatch.setattr(ports, "usb_ports", lambda: found)
        yield board(tmp_path, server)


def test_it_is_written_where_it_does_not_run_the_image(plugged_in: BoardSpec, image: Path) -> None:  # noqa: F811
    with open_board(plugged_in, image=image) as opened:
        assert isinstance(opened, SerialBoard) and opened.tool == "gdb"
        with pytest.raises(DeviceError, match="does not answer"):
            open_board(plugged_in, image=image, no_flash=True).start(EXPECTED)
        with opened.start(EXPECTED) as client:
            assert opened.wrote and (client.steps(X, True).y == run_model(X)).all()
    with open_board(plugged_in, image=image) as opened, opened.start(EXPECTED) as client:
        assert not opened.wrote and (client.steps(X, True).y == run_model(X)).all()
    newer = Expected(MODEL_HASH, bytes(8), "qemu-m4")
    with open_board(plugged_in, image=image) as opened:
        with pytest.raises(ImageMismatchError, match="another build"):
            opened.start(newer)  # as the image is not the newer one either
        assert opened.wrote
    with open_board(plugged_in, image=image) as opened:
        with pytest.raises(ImageMismatchError, match="another board runs"):
            opened.start(Expected(MODEL_HASH, BUILD_ID, "qemu-m3"))
        assert not opened.wrote


def test_a_board_that_resets_itself(
    image: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps that begin with a reset of the state run again, and nothing else does."""
    path = str(tmp_path / "monitor")
    with empty_machine(f"unix:{path},server=on,wait=off") as (server, port):
        monkeypatch.setattr(ports, "usb_ports", lambda: [Port(port, "0483:374b")])
        spec = board(tmp_path, server)
        x = samples(3000)
        with open_board(spec, image=image) as opened, opened.start(EXPECTED) as client:
            with socket.socket(socket.AF_UNIX) as monitor:
                monitor.connect(path)
                timer = threading.Timer(0.1, monitor.sendall, [b"system_reset\n"])
                timer.start()
                for _ in range(10):
                    assert (client.steps(x, True).y == run_model(x)).all()
                timer.join()
            assert client.line.resets == 1


def test_flash_needs_no_option(plugged_in: BoardSpec, image: Path, tmp_path: Path) -> None:  # noqa: F811
    """`edgeflow flash BUILD` finds port and tool, by the board file that the build has kept."""
    assert plugged_in.file is not None
    build = tmp_path / "build"
    (build / "board").mkdir(parents=True)
    (build / "firmware.elf").write_bytes(image.read_bytes())
    (build / "board" / "qemu-m4.toml").write_text(plugged_in.file.read_text())
    content = {
        "board": "qemu-m4", "core": "cortex-m4", "model_hash": MODEL_HASH.hex(), "layers": ["sums"],
        "build_id": BUILD_ID.hex(), "kernels": [], "optimize": "balanced", "choices": [],
        "placement": {}, "tvm_layers": [], "board_file": "board/qemu-m4.toml",
    }  # fmt: skip
    (build / "build.json").write_text(json.dumps(content))
    done = CliRunner().invoke(app, ["flash", str(build), "--json"])
    assert done.exception is None, done.exception
    assert "with gdb" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["verified"] and answer["port"].startswith("socket://")


def test_no_tool_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    options = '[runner.options.openocd]\nconfig = ["x.cfg"]\n'
    spec = load_board(board_file(tmp_path, order=["openocd", "st-flash"], options=options))
    with pytest.raises(ToolMissingError, match=r"\(openocd, st-flash\): .*openocd.*stlink-tools"):
        open_board(spec, port="/dev/x")
    assert open_board(spec, port="/dev/x", no_flash=True).write == "never"

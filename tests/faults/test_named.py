"""Another build, another board, a reset and a replaced board: each is named in one line.

Tier faults. Alone it holds that `profile` compares what is on a port with its build, also in the
middle of a run, that a window in which the board was reset runs again, and that an image and a host
of version 1 of the protocol are told apart from silence.
"""

import dataclasses
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.data import Dataset, load_dataset
from edgeflow.device import Client, Expected, open_board
from edgeflow.device.transport import SocketTransport
from edgeflow.errors import BoardResetError, DeviceError, ImageMismatchError
from edgeflow.profiling.report import table_rows
from edgeflow.profiling.result import ProfileResult
from edgeflow.profiling.run import profile
from edgeflow.targets.board import load_board
from tests.faults.line import FaultyLine, Served
from tests.firmware_model import BUILD_ID, INPUTS, MODEL_HASH, build_image, run_model
from tests.random_programs import random_program

WINDOW = 10


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    program = dataclasses.replace(
        random_program(3, 3, [8], 3, 12, 12), classes=("a", "b", "c"), window=WINDOW, rate_hz=20.0
    )
    return compile_program(program, "host", tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def another(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The same program in another build."""
    folder = tmp_path_factory.mktemp("another")
    return compile_program(build.program(), "host", folder, optimize="size", name="gait")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "mine.npz"
    np.savez(
        path,
        x=np.random.default_rng(0).normal(0, 200, (90, WINDOW, 3)).astype(np.float32),
        y=np.arange(90) % 3,
        person=np.repeat(["p0", "p1", "p2"], 30),
        classes=np.array(["a", "b", "c"]),
        channels=np.array(["x0", "x1", "x2"]),
        rate_hz=20.0,
    )
    return load_dataset(path)


def test_a_build_has_a_number_of_its_own(build: Build, another: Build, tmp_path: Path) -> None:
    """Of what is in the image, wherever it was made."""
    again = compile_program(build.program(), "host", tmp_path)
    assert again.build_id == build.build_id == Build.load(build.directory).build_id
    assert another.model_hash == build.model_hash and another.build_id != build.build_id
    with open_board(load_board("host"), image=build.elf) as board:
        hello = board.connect(build.expected).hello
    assert hello.build_id.hex() == build.build_id and hello.board == "host"


def one_line(caught: pytest.ExceptionInfo[BaseException], *parts: str | None) -> None:
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part is not None and part in str(caught.value)


def test_profile_and_predict_refuse_another_build(
    build: Build, another: Build, data: Dataset, tmp_path: Path
) -> None:
    runs: list[Callable[[str], object]] = [
        lambda port: profile(build, data, port=port, out=tmp_path),
        lambda port: build.predict(np.zeros((2, WINDOW, 3)), port=port),
    ]
    with Served(another.elf, "tcp") as board:
        for run in runs:
            with pytest.raises(ImageMismatchError, match="runs another build of this") as caught:
                run(board.port)
            one_line(caught, board.port, another.build_id, build.build_id, "host", "edgeflow flash")
    assert not (tmp_path / "profile.json").exists()


def test_another_board_is_named(tmp_path: Path) -> None:
    """Which runs the same program, even with the same number."""
    image = build_image("host", tmp_path, called="nucleo-f4")
    with Served(image, "tcp") as served, open_board(load_board("host"), port=served.port) as board:
        with pytest.raises(ImageMismatchError, match="another board runs this program") as caught:
            board.connect(Expected(MODEL_HASH, BUILD_ID, "host"))
        one_line(caught, served.port, "nucleo-f4", "expected host", "1.2.3")


def test_a_reset_repeats_the_window(build: Build, data: Dataset, tmp_path: Path) -> None:
    with Served(build.elf, "tcp", after=2000, then=lambda board: board.start(build.elf)) as board:
        result = profile(build, data, port=board.port, out=tmp_path)
    assert (result.mismatches, result.windows, result.complete) == (0, 30, True)
    assert result.line is not None and result.line["resets"] == 1
    assert result.line["round_trip_ms"]["p50"] > 0 and result.line["requests"] > 30
    stored = ProfileResult.load(tmp_path / "profile.json")
    assert stored.line == result.line
    rows = {row["name"]: row["cells"] for row in table_rows([stored.to_json()])}
    assert rows["line: resets of the board"] == ["1"]


def test_a_good_line_is_not_shown(build: Build, data: Dataset, tmp_path: Path) -> None:
    result = profile(build, data, steps=50, out=tmp_path)
    assert result.line is not None
    assert result.line["damaged"] == result.line["resets"] == result.line["board_errors"] == 0
    quiet = {**result.to_json(), "line": {**result.line, "retries": 0}}
    old = {key: value for key, value in result.to_json().items() if key != "line"}
    for run in (quiet, old):
        assert not [row for row in table_rows([run]) if row["name"].startswith("line")]
    assert ProfileResult(**old).line is None, "a file of an older version"


def test_a_board_replaced_in_mid_profile_is_named(
    build: Build, another: Build, data: Dataset, tmp_path: Path
) -> None:
    with (
        Served(build.elf, "tcp", after=2000, then=lambda board: board.start(another.elf)) as board,
        pytest.raises(ImageMismatchError, match="was reset or replaced") as caught,
    ):
        profile(build, data, port=board.port, out=tmp_path)
    one_line(caught, board.port, another.build_id, build.build_id, "another build")
    stored = ProfileResult.load(tmp_path / "profile.json")
    assert not stored.complete and stored.mismatches == 0 and 0 < stored.windows < 30


def test_a_state_that_is_lost_is_an_error(tmp_path: Path) -> None:
    """Steps that go on from earlier ones cannot run again."""
    image = build_image("host", tmp_path)
    x = np.ones((20, INPUTS), np.int16)
    with open_board(load_board("host"), image=image) as board:

        def started() -> SocketTransport:
            board.reset()
            return board._open()  # type: ignore[return-value]

        line = FaultyLine(started, 0, 0.0)
        client = Client(line, MODEL_HASH)
        client.steps(x, reset=True)
        line._inner = started()
        with pytest.raises(BoardResetError, match="the board was reset") as caught:
            client.steps(x)
        one_line(caught, "host")
        assert (client.steps(x, reset=True).y == run_model(x)).all()
        assert client.line.resets == 2
        # the greeting may be lost, too: the board has no session, whatever mode it is in
        line._inner = started()
        while not line._inner.read(5.0).endswith(b"\n"):
            pass
        with pytest.raises(BoardResetError):
            client.steps(x)


#: What an image of version 1 for this machine answered to its host's HELLO.
OLD_REPLY = "0d810101b547e4e33dc7d5860602060101021f0111ca9a3b04686f737405302e322e30678900"


def test_an_image_of_version_1_is_named() -> None:
    """It drops frames of today, and is asked as its own host would."""
    ours, theirs = socket.socketpair()

    def old_board() -> None:
        data = b""
        while part := theirs.recv(4096):
            data += part
            if b"\x06\x01\x01\x01\xbc\xd8\x00" in data:
                theirs.sendall(bytes.fromhex(OLD_REPLY))
                data = b""

    thread = threading.Thread(target=old_board)
    thread.start()
    try:
        with pytest.raises(DeviceError, match="speaks version 1 of the protocol") as caught:
            Client(SocketTransport("old", ours), MODEL_HASH)
        one_line(caught, "for host, made by EdgeFlow 0.2.0", "compile and flash the image again")
    finally:
        ours.close()
        thread.join()
        theirs.close()

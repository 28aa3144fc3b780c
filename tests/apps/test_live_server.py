"""Apps tier: ``edgeflow live`` as a process, over HTTP and its WebSocket.

They alone would catch a page that other sites can read, a command that does not end, a port that is taken without
a word, and a board whose loss is not told of or not got over.
"""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets

from edgeflow.apps.server import PAGE, listen
from edgeflow.codegen.build import Build, compile_program
from edgeflow.data import Dataset
from edgeflow.program import Program
from edgeflow.targets.runner import QemuRunner
from edgeflow.targets.tools import find_tool
from tests.apps.conftest import Live, live
from tests.command import edgeflow

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


async def read(shown: Live, done: Any, seconds: float = 30.0) -> list[dict[str, Any]]:
    """Return messages, each with the time of its arrival, until `done` of them is true."""
    found: list[dict[str, Any]] = []
    async with (
        asyncio.timeout(seconds),
        websockets.connect(shown.socket, origin=shown.origin, max_size=None) as page,
    ):
        while not done(found):
            message = json.loads(await page.recv())
            found.append({**message, "at": time.monotonic()})
    return found


def steps_in(messages: list[dict[str, Any]]) -> int:
    return sum(len(one["y"]) for one in messages if one["type"] == "steps")


def outputs(messages: list[dict[str, Any]]) -> np.ndarray:
    return np.concatenate([one["y"] for one in messages if one["type"] == "steps"])


def oracle(model: Path, data: Dataset, person: str) -> np.ndarray:
    """Return the outputs of the windows of a subject, one after another."""
    program = Program.load(model)
    recordings = [one for one in data.split("test") if one.person == person]
    n = program.window
    x = np.concatenate([one.x[: len(one.x) // n * n].reshape(-1, n, 6) for one in recordings])
    y: np.ndarray = program.run(program.quantize_input(x)).reshape(-1, program.outputs)
    return y


def test_the_socket_gives_the_outputs_of_the_program(model: Path, seglearn: Dataset) -> None:
    with live(model, "--speed", "20") as shown:
        found = asyncio.run(read(shown, lambda m: steps_in(m) >= 1000))
        hello = found[0]
        assert hello["type"] == "hello" and hello["person"] == "9"
        assert hello["model"] == shown.said["model"] == Program.load(model).hash.hex()
        assert hello["people"] == ["9", "10"] == hello["unseen"]
        y = outputs(found)
        wanted = oracle(model, seglearn, "9")[: len(y)]
        assert (y == wanted).all()
        classes = [n for one in found if one["type"] == "steps" for n in one["decision"]]
        assert classes == wanted.argmax(axis=1).tolist()
    assert shown.process.returncode == 0, "Ctrl-C is the way to end it"


def status(address: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers["content-security-policy"]
    except urllib.error.HTTPError as error:
        return error.code, ""


async def refused(shown: Live, **options: Any) -> bool:
    try:
        async with websockets.connect(shown.socket, **options):
            return False
    except websockets.InvalidStatus as error:
        return error.response.status_code == 403


def test_the_page_is_for_this_computer_alone(model: Path) -> None:
    with live(model) as shown:
        port = shown.address.rstrip("/").rsplit(":", 1)[1]
        code, policy = status(shown.address)
        assert code == 200 and "default-src 'self'" in policy
        assert status(f"{shown.address}style.css")[0] == 200
        assert status(shown.address, Host=f"localhost:{port}")[0] == 200
        # a name of another site that leads here, and another site's script
        assert status(shown.address, Host="example.com")[0] == 403
        assert status(shown.address, Host=f"127.0.0.1.example.com:{port}")[0] == 403
        assert status(shown.address, Origin="http://example.com")[0] == 403
        assert status(f"{shown.address}..%2f..%2ferrors.py")[0] == 404
        for origin in ("http://example.com", "null", f"http://localhost:{port}", None):
            assert asyncio.run(refused(shown, origin=origin)), origin
        assert upgrade(int(port), "127.0.0.1", "http://127.0.0.1") == 101
        assert upgrade(int(port), "example.com", "http://example.com") == 403


def upgrade(port: int, host: str, origin: str) -> int:
    """Ask for the socket as a browser does at a name that leads here; return the status."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        lines = [
            "GET /live HTTP/1.1", f"Host: {host}", f"Origin: {origin}", "Connection: Upgrade",
            "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]  # fmt: skip
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(line.recv(4096).split()[1])


def test_only_this_computer_is_listened_for() -> None:
    with listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


async def talk(shown: Live, texts: list[str | bytes]) -> list[str]:
    """Send texts; return the refusals."""
    found = []
    async with (
        asyncio.timeout(20),
        websockets.connect(shown.socket, origin=shown.origin, max_size=None) as page,
    ):
        for text in texts:
            await page.send(text)
            while (message := json.loads(await page.recv()))["type"] != "error":
                pass
            found.append(message["text"])
    return found


def test_wrong_messages_are_refused_and_the_page_goes_on(model: Path) -> None:
    with live(model, "--speed", "5") as shown:
        wrong = ["", "[", "[]", "3", '{"type": "get"}', '{"type": "set", "speed": 1e999}',
                 '{"type": "set", "person": "1"}', "[" * 3000]  # fmt: skip
        found = asyncio.run(talk(shown, wrong))
        assert len(found) == len(wrong) and all(found)

        async def rude(text: str | bytes) -> None:
            async with websockets.connect(shown.socket, origin=shown.origin) as page:
                await page.send(text)
                with pytest.raises(websockets.ConnectionClosed):
                    while True:
                        await asyncio.wait_for(page.recv(), 10)

        asyncio.run(rude("x" * 5000))
        asyncio.run(rude(b"\x00\x01"))
        assert steps_in(asyncio.run(read(shown, lambda m: steps_in(m) >= 20))) >= 20


def test_a_taken_port_is_one_line(model: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = edgeflow("live", model, "--http-port", str(port), "--no-browser")
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert f"port {port} of 127.0.0.1: another program listens there" in done.stderr
    assert "--http-port 0" in done.stderr


def test_what_cannot_be_shown_is_one_line(model: Path, tmp_path: Path) -> None:
    for arguments, message in [
        ([tmp_path], "neither a program nor a build"),
        ([tmp_path / "no.onnx"], "no.onnx"),
        ([model, "--person", "77"], "has no subject '77'"),
        ([model, "--speed", "50", "--http-port", "0"], "choose 1 to 20"),
        ([model, "--board", "nothing"], "nothing"),
        ([model, "--port", "/dev/ttyACM9"], "say also which board is there"),
    ]:
        done = edgeflow("live", *arguments, "--no-browser")
        assert done.returncode == 2, arguments
        assert message in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_while_a_page_is_open(model: Path, number: int) -> None:
    with live(model, "--board", "host") as shown:

        async def watch() -> float:
            async with websockets.connect(shown.socket, origin=shown.origin) as page:
                await page.recv()
                began = time.monotonic()
                shown.process.send_signal(number)
                with pytest.raises(websockets.ConnectionClosed):
                    while True:
                        await asyncio.wait_for(page.recv(), 10)
                await asyncio.to_thread(shown.process.wait, 10)
                return time.monotonic() - began

        assert asyncio.run(watch()) < 5
        assert shown.process.returncode == 0
        assert shown.process.stderr is not None
        assert shown.process.stderr.read().strip() == "the page is closed"


@pytest.mark.board
def test_a_killed_board_is_told_of_and_the_steps_go_on(model: Path, seglearn: Dataset) -> None:
    with live(model, "--board", "qemu-m4", "--speed", "2") as shown:
        killed: list[float] = []

        def done(messages: list[dict[str, Any]]) -> bool:
            if not killed and steps_in(messages) >= 130:
                (emulator,) = shown.children()
                os.kill(emulator, signal.SIGKILL)
                killed.append(time.monotonic())
            return steps_in(messages) >= 400

        found = asyncio.run(read(shown, done, 60))
        assert re.search(
            r"cycles estimated by .* \(±\d+ %\), energy .* \(±\d+ %\)", found[0]["board"]["costs"]
        )
        states = [one for one in found if one["type"] == "state"]
        assert [one["state"] for one in states][:3] == ["running", "lost", "running"]
        assert "the board qemu-m4 does not answer; trying again" in states[1]["text"]
        assert states[1]["at"] - killed[0] < 2
        y = outputs(found)
        assert (y == oracle(model, seglearn, "9")[: len(y)]).all()
        steps = [one for one in found if one["type"] == "steps"]
        assert steps[-1]["mismatches"] == 0
        for name in ("instructions", "cycles", "uj", "us"):
            assert all(len(one[name]) == len(one["y"]) and min(one[name]) > 0 for one in steps)


def at_port(build: Build, number: int) -> subprocess.Popen[bytes]:
    """Start an emulator whose serial port is a TCP port, as a board that is not ours."""
    runner = build.spec().runner
    assert isinstance(runner, QemuRunner)
    command = [
        find_tool(runner.emulator), "-M", runner.machine, *runner.args, "-display", "none",
        "-monitor", "none", "-serial", f"tcp:127.0.0.1:{number},server=on,wait=off",
        "-kernel", str(build.elf),
    ]  # fmt: skip
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.board
def test_a_board_behind_a_port_may_go_and_come_back(
    model: Path, seglearn: Dataset, tmp_path: Path
) -> None:
    build = compile_program(Program.load(model), "qemu-m4", tmp_path / "build")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    boards = [at_port(build, number)]
    again = threading.Timer(3, lambda: boards.append(at_port(build, number)))
    try:
        arguments = (build.directory, "--port", f"socket://127.0.0.1:{number}")
        with live(*arguments) as shown:
            killed: list[float] = []

            def done(messages: list[dict[str, Any]]) -> bool:
                if not killed and steps_in(messages) >= 60:
                    boards[0].kill()
                    killed.append(time.monotonic())
                    again.start()
                return steps_in(messages) >= 150

            found = asyncio.run(read(shown, done, 60))
    finally:
        again.cancel()
        for one in boards:
            one.kill()
            one.wait()
    states = [one for one in found if one["type"] == "state"]
    kinds = [one["state"] for one in states]
    assert kinds[0] == kinds[-1] == "running" and set(kinds[1:-1]) == {"lost"}
    assert states[1]["at"] - killed[0] < 2
    y = outputs(found)
    assert (y == oracle(model, seglearn, "9")[: len(y)]).all()
    assert found[-1]["mismatches"] == 0 and found[-1]["uj"] is None


@pytest.mark.board
def test_a_board_that_stops_answering_is_told_of(model: Path) -> None:
    with live(model, "--board", "qemu-m4") as shown:
        stopped: list[float] = []

        def done(messages: list[dict[str, Any]]) -> bool:
            if not stopped and steps_in(messages) >= 20:
                os.kill(shown.children()[0], signal.SIGSTOP)
                stopped.append(time.monotonic())
            if stopped and messages[-1]["type"] == "state" and messages[-1]["state"] == "lost":
                os.kill(shown.children()[0], signal.SIGCONT)
            return steps_in(messages) >= 60

        found = asyncio.run(read(shown, done, 60))
        lost = next(m for m in found if m["type"] == "state" and m["state"] == "lost")
        assert lost["at"] - stopped[0] < 2.5
        assert found[-1]["mismatches"] == 0


def test_the_page_is_small_and_all_in_the_package() -> None:
    files = [one for one in PAGE.rglob("*") if one.is_file()]
    assert sum(one.stat().st_size for one in files) <= 200_000
    for one in files:
        text = one.read_text()
        places = set(re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z0-9.]+", text)) - {
            "http://www.w3.org"
        }
        assert not places, f"{one.name} names other places"

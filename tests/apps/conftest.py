"""``edgeflow live`` as a process, and a model for it."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command import PROGRAM
from tests.conftest import SHARED_DATA


@dataclass
class Live:
    """A running ``edgeflow live``: what it printed with --json, and its process."""

    process: subprocess.Popen[str]
    said: dict[str, Any]
    seconds: float

    @property
    def address(self) -> str:
        return str(self.said["address"])

    @property
    def socket(self) -> str:
        return self.address.replace("http", "ws", 1) + "live"

    @property
    def origin(self) -> str:
        return self.address.rstrip("/")

    def children(self) -> list[int]:
        """Return the processes that it started, such as an emulator."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(n) for one in tasks for n in (one / "children").read_text().split()]


@contextlib.contextmanager
def live(*arguments: str | Path) -> Iterator[Live]:
    """Run the command at a free port, until it is interrupted."""
    command = [*PROGRAM, "live", *map(str, arguments), "--http-port", "0", "--no-browser", "--json"]
    environment = (
        {**os.environ, "EDGEFLOW_DATA": str(SHARED_DATA)} if SHARED_DATA.is_dir() else None
    )
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline())
            if not lines[-1]:
                pytest.fail(process.stderr.read())
        yield Live(process, json.loads("".join(lines)), time.monotonic() - began)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
            process.stderr.close()


@pytest.fixture(scope="session")
def model(trained_gru: Path) -> Path:
    """A program of seven exercises, which was trained on other subjects than it shows."""
    return trained_gru / "model.onnx"

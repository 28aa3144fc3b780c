"""``edgeflow flash`` as a user runs it, with the firmware around a stand-in model."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeflow.cli import app
from edgeflow.device import open_board
from edgeflow.errors import EdgeFlowError
from edgeflow.targets.board import load_board
from tests.command import PROGRAM, edgeflow
from tests.firmware_model import BUILD_ID, INPUTS, MODEL_HASH, build_image, run_model


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, "flash", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def run(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    done = edgeflow("flash", *arguments, environment={**os.environ, "COLUMNS": "200"})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def make_build(name: str, folder: Path) -> Path:
    build_image(name, folder)
    content = {
        "edgeflow": "1.2.3", "board": name, "core": load_board(name).core.name,
        "model_hash": MODEL_HASH.hex(), "build_id": BUILD_ID.hex(), "layers": ["sums"], "kernels": [],
        "optimize": "balanced", "choices": [], "placement": {}, "tvm_layers": [],
    }  # fmt: skip
    (folder / "build.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def host_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_build("host", tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def m4_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_build("qemu-m4", tmp_path_factory.mktemp("m4"))


def changed(build: Path, folder: Path, **values: object) -> Path:
    """Copy a build with another build.json."""
    shutil.copytree(build, folder)
    path = folder / "build.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


@pytest.mark.board
def test_flash_boots_and_verifies(m4_build: Path) -> None:
    out, err = run(m4_build)
    there = f"model {MODEL_HASH.hex()}, build {BUILD_ID.hex()}"
    assert out == f"qemu-m4 runs {there} (6 inputs, 7 outputs, firmware 1.2.3)\n"
    assert "writing" in err


def test_json(host_build: Path) -> None:
    out, _ = run(host_build, "--json")
    result = json.loads(out)
    assert result["board"] == "host" and result["verified"] is True
    assert result["model_hash"] == MODEL_HASH.hex() and result["port"] is None
    assert result["build_id"] == BUILD_ID.hex()


@pytest.mark.board
def test_stay_keeps_the_board_until_ctrl_c(m4_build: Path) -> None:
    process = start(m4_build, "--stay")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = line.split(" on ")[1].split()[0]
        x = np.ones((50, INPUTS), np.int16)
        for _ in range(2):  # a port may be opened again
            with open_board(load_board("qemu-m4"), port=port) as board:
                assert (board.connect(MODEL_HASH).steps(x, True).y == run_model(x)).all()
                _, err = run(m4_build, "--port", port, code=2)
                assert f"{port}: held by " in err and len(err.splitlines()) == 1
        out, _ = run(m4_build, "--port", port)
        assert f"build {BUILD_ID.hex()} on {port} " in out
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 0 and "stopped" in err and "Traceback" not in err
        _, err = run(m4_build, "--port", port, code=2)
        assert port in err and len(err.splitlines()) == 1
    finally:
        process.kill()


def test_image_of_another_model_is_noticed(host_build: Path, tmp_path: Path) -> None:
    other = changed(host_build, tmp_path / "other", model_hash="00" * 8)
    _, err = run(other, code=2)
    assert MODEL_HASH.hex() in err and "0000000000000000" in err
    assert len(err.splitlines()) == 2  # the note that it writes, and the error


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        ({}, ["--board", "qemu-m3"], "compiled for host, not qemu-m3"),
        ({}, ["--board", "qemu-m99"], "no board 'qemu-m99'"),
        ({}, ["--stay"], "--stay is for emulated boards"),
        ({}, ["--runner", "pyocd"], "--port"),
        ({}, ["--port", "/dev/no-such-port"], "/dev/no-such-port"),
        ({"model_hash": "xyz"}, [], "model_hash: not 16 hex digits"),
        ({"build_id": "xyz"}, [], "build_id: not 16 hex digits"),
        ({"build_id": "00ff"}, [], "build_id: not 16 hex digits"),
        ({"build_id": None}, [], "expected a build without a number"),
        (
            {"build_id": "00" * 8},
            [],
            f"another build of this program .*build {BUILD_ID.hex()} for host by",
        ),
        ({"model_hash": 5}, [], "model_hash: not 16 hex digits"),
    ],
)
def test_wrong_input_is_one_line(
    host_build: Path, tmp_path: Path, values: dict, arguments: list[str], message: str
) -> None:
    build = changed(host_build, tmp_path / "build", **values)
    # in this process, which has imported everything already
    result = CliRunner().invoke(app, ["flash", str(build), *arguments])
    assert isinstance(result.exception, EdgeFlowError)
    assert re.search(message, str(result.exception)) and "\n" not in str(result.exception)


def test_folder_that_is_no_build(tmp_path: Path) -> None:
    _, err = run(tmp_path, code=2)
    assert "build.json" in err and "edgeflow compile" in err
    assert len(err.splitlines()) == 1

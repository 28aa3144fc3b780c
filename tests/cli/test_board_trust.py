"""Commands that take a board file start no program that it brings (tier: cli).

Alone they would catch a command that loads a board past the check, and one without --trust-board:
a compiler beside the board file leaves a mark when it is started.
"""

import json
from pathlib import Path

import pytest

from edgeflow.resources import resource
from tests.command import edgeflow
from tests.random_programs import random_program

COMMANDS = {
    "compile": ["compile", "model.onnx", "-o", "out"],
    "profile": ["profile", "build", "--data", "none.csv"],
    "flash": ["flash", "build"],
    "compress": ["compress", "none.onnx", "--data", "none.csv"],
    "search": ["search", "--data", "none.csv"],
    "bench": ["bench", "kernels", "--shape", "4x4"],
    "schedules": ["bench", "schedules", "-o", "out.toml"],
    "cells": ["bench", "cells", "--cell", "gru", "--hidden", "4"],
    "live": ["live", "model.onnx"],
    "demo": ["demo", "-o", "out"],
    "apps": ["apps", "har", "--yes", "-o", "out"],
    "float": ["float", "none.py:Net", "--input", "4"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a board whose compiler leaves a mark, a program and a build."""
    monkeypatch.chdir(tmp_path)
    for name in ("gcc", "objcopy"):
        tool = tmp_path / f"evil-{name}"
        tool.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexit 1\n")
        tool.chmod(0o755)
    targets = resource("targets")
    core = (targets / "cores" / "cortex-m4.toml").read_text()
    (tmp_path / "cores").mkdir()
    (tmp_path / "cores" / "own.toml").write_text(
        core.replace("arm-none-eabi-", f"{tmp_path}/evil-")
    )
    board = (targets / "qemu-m4.toml").read_text().replace('"cortex-m4"', '"own"')
    (tmp_path / "own.toml").write_text(board.partition("[estimate]")[0])
    random_program(1, 3, [5], 4, 12, 12).save(tmp_path / "model.onnx")
    build = tmp_path / "build"
    build.mkdir()
    (build / "firmware.elf").touch()
    content = {
        "board": "own", "core": "own", "model_hash": "00" * 8, "layers": [], "kernels": [],
        "optimize": "balanced", "choices": [], "placement": {}, "tvm_layers": [],
    }  # fmt: skip
    (build / "build.json").write_text(json.dumps(content))
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_board_file_brings_no_program(folder: Path, name: str) -> None:
    done = edgeflow(*COMMANDS[name], "--board", "own.toml")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "own.toml: core.prefix" in done.stderr and "--trust-board" in done.stderr
    assert not (folder / "started").exists()


def test_with_trust_its_compiler_runs(folder: Path) -> None:
    done = edgeflow(*COMMANDS["compile"], "--board", "own.toml", "--trust-board")
    assert done.returncode == 2 and "--trust-board" not in done.stderr
    assert (folder / "started").exists()


@pytest.mark.parametrize("name", ["profile", "flash", "compress", "float"])
def test_others_go_on_with_trust(folder: Path, name: str) -> None:
    """They get past the check, to what else is wrong."""
    done = edgeflow(*COMMANDS[name], "--board", "own.toml", "--trust-board")
    assert done.returncode == 2 and "core.prefix" not in done.stderr


@pytest.mark.parametrize("command", ["flash", "profile"])
def test_a_build_names_no_board_file(folder: Path, command: str) -> None:
    file = folder / "build" / "build.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "board": "./own.toml"}))
    done = edgeflow(*COMMANDS[command])
    assert done.returncode == 2 and "'./own.toml' is a path" in done.stderr
    assert not (folder / "started").exists()

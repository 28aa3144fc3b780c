"""What the commands do when they are interrupted, badly placed, or shown where little fits."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from edgeflow.cli import COMMANDS, app
from edgeflow.data import Dataset
from edgeflow.data.registry import find_source
from tests.command import PROGRAM, edgeflow
from tests.conftest import ROOT

DATA = ["--data", "seglearn-watch"]


@pytest.fixture
def environment(seglearn: Dataset) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }


@pytest.fixture(scope="module")
def build(trained_gru: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from edgeflow.codegen.build import compile_program
    from edgeflow.program import Program

    folder = tmp_path_factory.mktemp("build")
    compile_program(Program.load(trained_gru / "model.onnx"), "qemu-m4", folder)
    return folder


def run(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = edgeflow(*arguments, environment=environment)
    assert "Traceback" not in done.stderr
    return done


def fails(environment: dict[str, str], *arguments: str | Path) -> str:
    """Run a command that must exit with 2 and say exactly one line on stderr; return it."""
    done = run(environment, *arguments)
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"error: [^\n]+\n", done.stderr), done.stderr
    return done.stderr


def signalled(
    environment: dict[str, str],
    number: signal.Signals,
    folder: Path,
    ready: str,
    *arguments: str | Path,
    size: int = 1,
) -> tuple[int, str]:
    """Run a command, signal it once `folder` has a file `ready` of `size`; return code, stderr."""
    process = subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size >= size for file in folder.glob(ready)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, err


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_train_keeps_its_epochs(
        self, environment: dict[str, str], tmp_path: Path, number: signal.Signals
    ) -> None:
        code, err = signalled(
            environment, number, tmp_path, "resume.pt",
            "train", *DATA, "--epochs", "100", "-o", tmp_path,
        )  # fmt: skip
        assert code == 128 + number
        assert err.endswith("error: interrupted\n")
        assert "run the same command again" in err

    @pytest.mark.board
    def test_profile_keeps_its_windows(
        self, environment: dict[str, str], build: Path, tmp_path: Path
    ) -> None:
        code, err = signalled(
            environment, signal.SIGTERM, tmp_path / ".edgeflow", "*/scratch/counts.bin",
            "profile", build, *DATA, "-o", tmp_path, size=200_000,
        )  # fmt: skip
        assert code == 128 + signal.SIGTERM
        assert err.endswith("error: interrupted\n")
        assert "profile.json has them" in err
        kept = json.loads((tmp_path / "profile.json").read_text())
        assert kept["complete"] is False
        assert kept["steps"] > 0
        assert [path.name for path in (tmp_path / ".edgeflow").iterdir()] == ["made.json"]


@pytest.mark.parametrize("arguments", [["boards"], ["boards", "--json"]])
def test_reader_that_goes_away(environment: dict[str, str], arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PROGRAM, *arguments], env=environment, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert done.returncode == 141, "neither done nor a failed check"
    assert done.stderr == b""


class TestPlaces:
    def test_folder_in_the_way_of_a_file(
        self, environment: dict[str, str], trained_gru: Path, tmp_path: Path
    ) -> None:
        line = fails(environment, "compress", trained_gru / "model", *DATA, "-o", tmp_path)
        assert f"{tmp_path}: Is a directory" in line

    @pytest.mark.parametrize("command", ["train", "profile"])
    def test_file_in_the_way_of_a_folder(
        self, environment: dict[str, str], build: Path, tmp_path: Path, command: str
    ) -> None:
        place = tmp_path / "file"
        place.touch()
        what = [build] if command == "profile" else []
        line = fails(environment, command, *what, *DATA, "-o", place / "folder")
        assert "a file is in the way" in line

    @pytest.mark.board
    def test_no_cache(self, environment: dict[str, str], build: Path, tmp_path: Path) -> None:
        where = find_source("seglearn-watch").locate()
        assert where is not None
        environment |= {"XDG_CACHE_HOME": "/dev/null/cache", "EDGEFLOW_DATA": str(where.parent)}
        done = run(environment, "profile", build, *DATA, "--steps", "100", "-o", tmp_path, "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["instructions_per_step"]["mean"] > 0
        assert "atplotlib" not in done.stderr
        environment["EDGEFLOW_DATA"] = str(tmp_path)
        assert "XDG_CACHE_HOME" in fails(environment, "train", *DATA, "-o", tmp_path / "run")

    @pytest.mark.board
    def test_brackets_and_spaces(
        self, environment: dict[str, str], trained_gru: Path, tmp_path: Path
    ) -> None:
        place = tmp_path / "a [b] c[/b]"
        done = run(environment, "compile", trained_gru / "model.onnx", "-o", place)
        assert done.returncode == 0
        assert str(place) in done.stdout
        done = run(environment, "profile", place, *DATA, "--steps", "100")
        assert done.returncode == 0
        assert f"report: {place}/report.html" in done.stderr


class TestOneLine:
    def test_port_that_is_a_file(
        self, environment: dict[str, str], build: Path, tmp_path: Path
    ) -> None:
        port = tmp_path / "port"
        port.touch()
        assert "not a serial port" in fails(environment, "profile", build, *DATA, "--port", port)

    def test_no_progress_bar_without_a_terminal(
        self, environment: dict[str, str], build: Path
    ) -> None:
        fails(environment, "profile", build, *DATA, "--split", "holdout")

    def test_text_named_npz(self, environment: dict[str, str], tmp_path: Path) -> None:
        file = tmp_path / "mine.npz"
        file.write_text("no archive")
        assert "numpy.savez" in fails(environment, "data", "info", file)
        np.save(tmp_path / "one.npy", np.zeros(3))
        (tmp_path / "one.npy").rename(file)
        assert "numpy.savez" in fails(environment, "data", "info", file)

    @pytest.mark.parametrize("option", ["--hidden", "--layers", "--threads"])
    def test_far_too_much(self, environment: dict[str, str], tmp_path: Path, option: str) -> None:
        line = fails(environment, "train", *DATA, option, "100000000", "-o", tmp_path)
        assert f"{option[2:]} is 100000000: it must be from 1 to" in line

    def test_demo_looks_for_tools_first(self, environment: dict[str, str], tmp_path: Path) -> None:
        environment["PATH"] = str(tmp_path)
        line = fails(environment, "demo", "-o", tmp_path / "demo")
        assert "sudo apt-get install gcc-arm-none-eabi" in line


class TestOutput:
    @pytest.mark.parametrize("command", ["boards", "data list", "doctor", "inspect MODEL"])
    def test_nothing_is_cut_off_at_80_columns(
        self, environment: dict[str, str], trained_gru: Path, command: str
    ) -> None:
        environment["COLUMNS"] = "80"
        words = command.replace("MODEL", str(trained_gru / "model.onnx")).split()
        done = run(environment, *words)
        assert done.returncode == 0
        assert "…" not in done.stdout

    @pytest.mark.board
    def test_locale_without_unicode(
        self, environment: dict[str, str], build: Path, tmp_path: Path
    ) -> None:
        environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        command = ["profile", str(build), *DATA, "--steps", "100", "-o", str(tmp_path)]
        done = subprocess.run(
            [*PROGRAM, *command], env=environment, capture_output=True, text=True, errors="replace"
        )
        assert done.returncode == 0, done.stderr
        assert "latency, ?s, mean" in done.stdout
        assert "µs" in (tmp_path / "report.html").read_text(encoding="utf-8")


def commands() -> dict[str, Any]:
    """Return all commands by their words."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        found |= {f"{name} {n}": c for n, c in getattr(command, "commands", {}).items()} or {
            name: command
        }
    return found


@pytest.mark.parametrize("words", commands())
def test_help_has_examples_that_hold(words: str) -> None:
    command = commands()[words]
    text, _, examples = (command.help or "").partition("\nExamples:\n")
    assert text, "--help says what the command does"
    lines = examples.splitlines()
    assert lines
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    for line in lines:
        assert line.startswith(f"  edgeflow {words}")
        assert len(line) < 79
        used = {word for word in line.split() if word.startswith("-")}
        assert used <= options


def test_help_names_every_cell() -> None:
    from edgeflow.cells import CELLS

    option = next(p for p in commands()["train"].params if p.name == "cell")
    assert [f"{name} ({cell.about})" for name, cell in CELLS.items()] == re.findall(
        r"[\w-]+ \([^)]+\)", option.help
    )


def test_help_lists_the_commands_in_order(environment: dict[str, str]) -> None:
    shown = run(environment, "--help").stdout
    found = re.findall(rf"^│ ({'|'.join(COMMANDS)}) ", shown, re.M)
    assert tuple(found) == COMMANDS

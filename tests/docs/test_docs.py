"""Every command and Python block of the documentation runs, in a folder for each page."""

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from edgeflow.data import Dataset
from tests.command import PROGRAM, edgeflow
from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(
    r"(?:^`(?P<file>[^`\n]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```", re.M | re.S
)
# Set up the machine or run this test suite: the CI script itself is their test.
NOT_HERE = ("make ", "git clone", "pip install", "sudo ")
# Pages whose Python is not a program of its own, with the test that runs it. A fragment on any
# other page, shown to explain something, has the fence ```py.
PYTHON_ELSEWHERE = {
    "add-a-cell.md": "tests/docs/test_add_a_cell.py",
    "add-a-task.md": "tests/docs/test_add_a_task.py",
}


def blocks(page: Path) -> list[tuple[str | None, str, str]]:
    """Return file name, language and text of the fenced blocks of a page."""
    return [(m["file"], m["kind"], m["text"]) for m in BLOCK.finditer(page.read_text())]


def commands(page: Path) -> list[str]:
    return [line for _, kind, text in blocks(page) if kind == "sh" for line in text.splitlines()]


def python_of(page: Path) -> str:
    """Return the Python blocks of a page that are no files, as one program."""
    if page.name in PYTHON_ELSEWHERE:
        return ""
    return "\n".join(text for file, kind, text in blocks(page) if kind == "python" and not file)


def run_line(line: str, folder: Path, environment: dict[str, str]) -> CompletedProcess[str]:
    """Run a line as a shell does; ``edgeflow`` alone, in this process."""
    words = shlex.split(line, comments=True)
    if words[:2] == ["edgeflow", "live"]:
        return run_until_shown(words[1:], folder, environment)
    if words[0] == "edgeflow" and not set(words) & {"|", ">", "<", "&&", "&"}:
        return edgeflow(*words[1:], folder=folder, environment=environment)
    return subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )


def run_until_shown(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> CompletedProcess[str]:
    """Run a command that serves a page until the page answers, then interrupt it."""
    command = [*PROGRAM, *arguments, "--no-browser", "--http-port", "0"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    while (line := process.stderr.readline()) and "http://" not in said:
        said += line
        if found := re.search(r"http://\S+", line):
            with urllib.request.urlopen(found[0], timeout=30) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGINT)
    said += process.stderr.read()
    return CompletedProcess(command, process.wait(30), "", said)


@pytest.mark.board
@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda p: p.name)
def test_commands_of(page: Path, tmp_path: Path, trained_gru: Path) -> None:
    (tmp_path / "model.onnx").write_bytes((trained_gru / "model.onnx").read_bytes())
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "gru32").symlink_to(trained_gru / "model")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    ran = 0
    for file, kind, text in blocks(page):
        if file:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(text)
        if kind != "sh":
            continue
        for line in text.splitlines():
            if not line or line.startswith((*NOT_HERE, "#")):
                continue
            done = run_line(line, tmp_path, environment)
            assert done.returncode == 0, f"{page.name}: {line}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran or page.name == "README.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_files_are_used(page: Path) -> None:
    if page.name in PYTHON_ELSEWHERE:
        return
    parts = blocks(page)
    for file, _, own in parts:
        if file and file.endswith(".py"):
            used = any(Path(file).stem in text for _, _, text in parts if text is not own)
            assert used, f"{page.name} shows {file} and no command runs it"


#: A program that several pages show runs once.
PROGRAMS = {python_of(page): page for page in reversed(PAGES) if python_of(page)}


@pytest.mark.board
@pytest.mark.parametrize("page", PROGRAMS.values(), ids=lambda p: p.name)
def test_python_of(page: Path, tmp_path: Path, seglearn: Dataset) -> None:
    (tmp_path / "page.py").write_text(python_of(page))
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, f"{page.name}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_files_named_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for name in re.findall(
        r"`((?:edgeflow|firmware|targets|tests|docs|calibration|scripts|benchmarks)/[\w./-]+)`",
        text,
    ):
        made = name in [file for file, _, _ in blocks(page)]
        assert made or (ROOT / name).exists(), f"{page.name} names {name}"

"""docs/add-a-cell.md is true: its files and lines, in a copy of the tree, make a cell that works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeflow.data import Dataset
from tests.conftest import ROOT
from tests.docs.test_docs import BLOCK

PAGE = ROOT / "docs" / "add-a-cell.md"
# What a block of a page belongs to, if it is not a new file: a line in a file, the last named one.
LINE = re.compile(
    r"^(?:In `(?P<file>[^`]+)`, |and )(?P<side>below|above) `(?P<line>[^`]+)`:\n\n"
    r"```\w+\n(?P<text>.*?)^```",
    re.M | re.S,
)


def follow(page: str, tree: Path) -> None:
    """Write the new files of a page and insert its lines."""
    for block in BLOCK.finditer(page):
        if block["file"]:
            assert not (tree / block["file"]).exists()
            (tree / block["file"]).write_text(block["text"])
    file = None
    for block in LINE.finditer(page):
        file = tree / block["file"] if block["file"] else file
        assert file is not None
        lines = file.read_text().splitlines(keepends=True)
        assert lines.count(block["line"] + "\n") == 1, f"{file.name}: {block['line']}"
        place = lines.index(block["line"] + "\n") + (block["side"] == "below")
        lines.insert(place, block["text"])
        file.write_text("".join(lines))


@pytest.mark.board
def test_the_cell_of_the_page_works(seglearn: Dataset, tmp_path: Path) -> None:
    for name in ("edgeflow", "firmware", "targets", "calibration", "tests", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    page = PAGE.read_text()
    follow(page, tmp_path)
    (commands,) = (b["text"] for b in BLOCK.finditer(page) if b["kind"] == "bash")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for command in commands.splitlines():
        program, *arguments = command.split(maxsplit=1)
        run = {"python": "", "edgeflow": "-c 'from edgeflow.cli import main; main()'"}[program]
        done = subprocess.run(
            f"{sys.executable} {run} {' '.join(arguments)}",
            shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if program == "python":
            assert re.search(r"\d+ passed", done.stdout), done.stdout

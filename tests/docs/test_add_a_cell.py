"""docs/add-a-cell.md is true: its files, in a copy of the tree, make a cell that works."""

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
FILES = [
    "edgeflow/cells/leaky.py",
    "edgeflow/program/nodes/leaky.py",
    "firmware/kernels/ef_leaky_step.c",
]
FOLDERS = (
    "edgeflow",
    "firmware",
    "targets",
    "calibration",
    "benchmarks",
    "scripts",
    "tests",
    "docs",
)
#: What the tree says of the cell, by the command that makes it say so.
SAYS = {
    "edgeflow train --help": r"leaky[\s│]+\(leaky[\s│]+integrators\)",
    "python -m pytest tests/parity --collect-only -q -k leaky": r"test_host\.py::\S+leaky",
    "python -m pytest tests/unit --collect-only -q -k leaky": r"test_random_programs\S+leaky",
    "python -c 'from tests.parity.test_boards import PROGRAMS; print(*PROGRAMS)'": r"\bleaky\b",
}


@pytest.mark.board
def test_the_cell_of_the_page_works(seglearn: Dataset, tmp_path: Path) -> None:
    """Alone catches a list of cells that someone has to keep by hand."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    blocks = list(BLOCK.finditer(PAGE.read_text()))
    assert [block["file"] for block in blocks if block["file"]] == FILES
    for block in blocks:
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}

    def run(command: str) -> str:
        program, *arguments = command.split(maxsplit=1)
        code = {"python": "", "edgeflow": "-c 'from edgeflow.cli import main; main()'"}[program]
        done = subprocess.run(
            f"{sys.executable} {code} {' '.join(arguments)}",
            shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    for command, said in SAYS.items():
        assert re.search(said, run(command)), command
    (commands,) = (block["text"] for block in blocks if block["kind"] == "bash")
    for command in commands.splitlines():
        said = run(command)
        if "pytest" in command:
            assert re.search(r"\d+ passed", said), said
    assert "\n| `leaky` |" in (tmp_path / "README.md").read_text()
    assert "\n| leaky-32 |" in (tmp_path / "docs" / "benchmarks.md").read_text()
    assert "\n} ef_leaky;" in (tmp_path / "firmware" / "kernels" / "ef_cells.h").read_text()

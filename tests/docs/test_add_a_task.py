"""docs/add-a-task.md is true: a task of one file trains, compresses, runs and is reported.

It alone would catch a command or report that knows classification only.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.test_docs import BLOCK

PAGE = ROOT / "docs" / "add-a-task.md"


@pytest.mark.board
def test_the_task_of_the_page_works(tmp_path: Path) -> None:
    for name in ("edgeflow", "firmware", "targets", "calibration"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "LICENSE", tmp_path)
    found = list(BLOCK.finditer(PAGE.read_text()))
    new = {block["file"]: block["text"] for block in found if block["file"]}
    assert [name for name in new if name.startswith("edgeflow/")] == ["edgeflow/tasks/tempo.py"]
    for name, text in new.items():
        (tmp_path / name).write_text(text)
    (commands,) = (block["text"] for block in found if block["kind"] == "bash")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    output = ""
    for command in commands.splitlines():
        program, *arguments = command.split()
        run = {"python": [], "edgeflow": ["-c", "from edgeflow.cli import main; main()"]}[program]
        done = subprocess.run(
            [sys.executable, *run, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        output += done.stdout
    profile = json.loads((tmp_path / "build" / "profile.json").read_text())
    assert profile["task"] == "tempo" and profile["mismatches"] == 0
    assert profile["accuracy_device"] is None and profile["confusion"] == []
    assert sorted(profile["metrics"]["subjects"]) == ["i", "j"]
    # of tempos between 0.4 and 2 Hz, whose mean is off by 0.4 Hz
    assert profile["metrics"]["overall"]["mae"] < 0.2
    values = profile["metrics"]["headline"]
    assert values["oracle"] == values["device"] == profile["metrics"]["overall"]["mae"]
    assert "mean absolute error in Hz" in output
    report = (tmp_path / "build" / "report.html").read_text()
    assert "mean absolute error on the board" in report and "highest" in report
    assert "ccuracy" not in report

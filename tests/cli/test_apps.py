"""``edgeflow apps har`` from recordings to a build, as a person is asked and as a script calls it (tier: cli).

It alone would catch answers that are forgotten, and questions that a script would wait at.
"""

import json
import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

from edgeflow.program import Program
from tests.command import PROGRAM, edgeflow
from tests.recordings import write_recordings

QUICK = ("--epochs", "1", "--no-page")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_recordings(tmp_path / "mine.csv")
    return tmp_path


def har(here: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    done = edgeflow("apps", "har", *arguments, folder=here)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_answers_are_kept(here: Path) -> None:
    chosen = ("--data", "mine.csv", "--cell", "rnn", "--hidden", "6", "--board", "host")
    out, err = har(here, *chosen, *QUICK, "--yes", "--json")
    folder = here / "edgeflow-har"
    assert json.loads(out)["build"] == "edgeflow-har/host"
    assert "RNN-6, " in err and "6 subjects, 3 classes" in err
    first = (folder / "model.onnx").read_bytes()
    out, _ = har(here, *QUICK, "--json")
    assert json.loads(out)["cell"] == "rnn" and (folder / "model.onnx").read_bytes() == first


def test_a_budget_is_kept(here: Path) -> None:
    chosen = ("--data", "mine.csv", "--hidden", "4", *QUICK, "-y")
    _, err = har(here, *chosen, "--board", "qemu-m0", "--max-flash", "9", code=1)
    assert err.splitlines()[-1].startswith("error: ")
    assert not (here / "edgeflow-har" / "qemu-m0").exists()


def test_a_person_is_asked(here: Path) -> None:
    """Five questions; an empty answer takes what is offered."""
    host, client = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "apps", "har", *QUICK], cwd=here, stdin=client, stdout=client, stderr=client,
    )  # fmt: skip
    os.close(client)
    answers = iter(["mine.csv", "gru", "5", "host", ""])
    said, waiting = "", True
    while waiting:
        waiting = bool(select.select([host], [], [], 120)[0])
        try:
            said += os.read(host, 4096).decode()
        except OSError:  # the other end is closed
            break
        if said.endswith("]: ") and (answer := next(answers, None)) is not None:
            os.write(host, f"{answer}\n".encode())
            said += "\n"
    assert process.wait(60) == 0, said
    os.close(host)
    assert next(answers, "none left") == "none left" and "GRU-5" in said
    assert Program.load(here / "edgeflow-har" / "model.onnx").window > 0
    assert json.loads((here / "edgeflow-har" / "har.json").read_text())["hidden"] == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--cell", "nope"), "no cell 'nope'"), (("--board", "nope"), "nope"),
     (("--data", "none.csv"), "none.csv"), (("--max-flash", "much"), "--max-flash much"),
     (("-o", "mine.csv"), "mine.csv")],
)  # fmt: skip
def test_bad_input(here: Path, arguments: tuple[str, ...], words: str) -> None:
    _, err = har(here, "--data", "mine.csv", *arguments, *QUICK, "--yes", code=2)
    assert err.count("error:") == 1 and words in err and "Traceback" not in err


def test_what_is_kept_may_be_damaged(here: Path) -> None:
    """Then the first answers are those of a first call."""
    (here / "edgeflow-har").mkdir()
    (here / "edgeflow-har" / "har.json").write_text('{"hidden": "many"')
    _, err = har(here, "--data", "mine.csv", *QUICK, "--yes", code=2)
    assert "har.json" in err or "did not make" in err

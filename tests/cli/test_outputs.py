"""Where commands write (cli tier): never over inputs, others' files or what is better.

It alone would catch a command that does not keep the rule of `docs/outputs.md`: each is run on the
folders and names that must be refused, and on those of versions that left no mark.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import edgeflow as ef
from edgeflow.bench.cells import random_cell
from edgeflow.codegen.build import Build
from edgeflow.errors import OutputError, TargetError
from tests.command import PROGRAM, edgeflow
from tests.recordings import write_recordings

DATA = ("--data", "mine.csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, a trained model, two programs and a build."""
    folder = tmp_path_factory.mktemp("made")
    write_recordings(folder / "mine.csv")
    ef.train(folder / "mine.csv", out=folder / "gru", hidden=4, epochs=1, window=20)
    program = ef.compress(folder / "gru", folder / "mine.csv", out=folder / "model.onnx")
    ef.compile(program, "host", folder / "build")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    shutil.copytree(made, tmp_path / "here")
    return tmp_path / "here"


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(here: Path, *arguments: str) -> str:
    """Run a command that must say one line, exit with 2 and change nothing; return the line."""
    before = content(here)
    done = edgeflow(*arguments, folder=here)
    assert done.returncode == 2, done
    assert re.fullmatch(r"(note: [^\n]*\n)*error: [^\n]+\n", done.stderr), done.stderr
    assert content(here) == before
    return done.stderr.splitlines()[-1]


def good(here: Path, *arguments: str) -> CompletedProcess[str]:
    done = edgeflow(*arguments, folder=here)
    assert done.returncode == 0, done.stderr
    return done


_FOLDERS = {
    "train": ("train", *DATA, "--epochs", "1", "-o"),
    "compile": ("compile", "model.onnx", "--board", "host", "-o"),
    "export": ("export", "model.onnx", "--to", "cmake", "-o"),
    "profile": ("profile", "build", *DATA, "-o"),
    "demo": ("demo", "--board", "host", "-o"),
    "apps": ("apps", "har", "--yes", "--board", "host", "-o"),
    "imc": ("imc", "profile", "model.onnx", *DATA, "-o"),
}


@pytest.mark.parametrize("name", _FOLDERS)
def test_the_folder_of_a_user_is_refused(here: Path, name: str) -> None:
    (here / "mine" / "kernels").mkdir(parents=True)
    (here / "mine" / "kernels" / "ef_mine.c").write_text("mine")
    (here / "mine" / "notes.txt").write_text("mine")
    line = refused(here, *_FOLDERS[name], "mine")
    assert "mine: holds files that EdgeFlow did not make (kernels/, notes.txt): choose a" in line


@pytest.mark.parametrize("name", ["train", "export"])
def test_the_folder_of_another_command_is_refused(here: Path, name: str) -> None:
    assert "holds files of 'edgeflow compile'" in refused(here, *_FOLDERS[name], "build")


def test_the_folder_of_a_fine_tuning_is_checked(here: Path) -> None:
    (here / "small.run").mkdir()
    (here / "small.run" / "resume.pt").write_text("mine")
    line = refused(here, "compress", "gru", *DATA, "--epochs", "1", "-o", "small.onnx")
    assert "small.run: holds files that EdgeFlow did not make (resume.pt)" in line
    (here / "small.target").mkdir()
    (here / "small.target" / "int8").mkdir()
    limits = ("--max-flash", "64k", "-o", "small.onnx")
    assert "small.target: holds files" in refused(here, "compress", "gru", *DATA, *limits)


@pytest.mark.parametrize("name", ["mine.csv", "link.csv", "hard.csv", "./gru/../mine.csv"])
def test_data_are_no_output(here: Path, name: str) -> None:
    (here / "link.csv").symlink_to("mine.csv")
    (here / "hard.csv").hardlink_to(here / "mine.csv")
    assert "is read (--data mine.csv)" in refused(here, "compress", "gru", *DATA, "-o", name)
    exported = ("export", "model.onnx", "--to", "tflite", *DATA, "-o", name)
    assert "is read (--data mine.csv)" in refused(here, *exported)


def test_models_recipes_and_splits_are_no_output(here: Path) -> None:
    compress = ("compress", "gru", *DATA)
    people = {"train": ["p0", "p1"], "val": ["p2", "p3"], "test": ["p4", "p5"]}
    (here / "small.json").write_text(json.dumps(people))
    (here / "my.toml").write_text('[widths]\nweights = "int4"\n')
    assert "gru/model.pt: is read (MODEL" in refused(here, *compress, "-o", "gru/model.pt")
    line = refused(here, *compress, "--people", "small.json", "-o", "small.onnx")
    assert "small.json: is read (--people" in line
    assert "is read (--recipe" in refused(here, *compress, "--recipe", "my.toml", "-o", "my.toml")
    line = refused(here, *compress, "-o", "small.onnx")
    assert "small.json: not a record of 'edgeflow compress', and would be replaced" in line
    # the record of gru/metrics.onnx would be the training's metrics.json
    assert "not a record" in refused(here, *compress, "-o", "gru/metrics.onnx")
    assert "its record gets this name" in refused(here, *compress, "-o", "new.json")
    line = refused(here, "train", *DATA, "--teacher", "gru", "--restart", "-o", "gru")
    assert "gru/model.pt: is read (--teacher" in line
    assert "build/model.onnx: is read" in refused(
        here, "compile", "build/model.onnx", "-o", "build"
    )
    assert "is read (RUN" in refused(here, "compare", "model.onnx", "-o", "model.json")
    assert "is read (MODEL" in refused(
        here, "export", "model.onnx", "--to", "onnx", "-o", "model.onnx"
    )


def test_the_api_refuses_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    before = content(here)
    with pytest.raises(OutputError, match="is read"):
        ef.compress("gru", "mine.csv", out="mine.csv")
    with pytest.raises(OutputError, match="is read"):
        ef.compile("build/model.onnx", "host", "build")
    with pytest.raises(OutputError, match="is read"):
        ef.export("model.onnx", "onnx", "model.onnx")
    for call in (
        lambda: ef.train("mine.csv", out="."),
        lambda: ef.compile("model.onnx", "host", "."),
        lambda: ef.profile("build", "mine.csv", out="."),
        lambda: ef.export("model.onnx", "cmake", "."),
    ):
        with pytest.raises(OutputError, match="holds files that EdgeFlow did not make"):
            call()
    assert content(here) == before


def test_a_compile_that_fails_leaves_the_older_build(here: Path) -> None:
    before, size = content(here / "build"), Build.load(here / "build").size
    # its weights are more than the board's memory
    big = random_cell("gru", 6, 400)
    with pytest.raises(TargetError, match="board|region|fit"):
        ef.compile(big, "qemu-m0", here / "build")
    assert content(here / "build") == before
    assert Build.load(here / "build").size == size


def test_another_build_replaces_what_the_older_one_made(here: Path) -> None:
    """Of a build without a mark, too; what a user put beside it stays."""
    for number, folder in enumerate(("build", "old")):
        if number:
            shutil.copytree(here / "build", here / folder)
            good(here, *_FOLDERS["compile"], folder)
            shutil.rmtree(here / folder / ".edgeflow")
            (here / folder / "profile.json").write_text("{}")
        for name in ("notes.txt", "kernels/mine.c", "objects/mine.txt"):
            (here / folder / name).write_text("mine")
        good(here, *_FOLDERS["compile"], folder, "--name", "gait")
        inside = {path.name for path in (here / folder).iterdir()}
        assert {"gait.c", "gait.h", "notes.txt", "build.json"} < inside
        assert not inside & {"model.c", "model.h"}
        assert (here / folder / "kernels" / "mine.c").read_text() == "mine"
        assert (here / folder / "objects" / "mine.txt").read_text() == "mine"
        if number:
            assert (here / folder / "profile.json").exists(), "of another command"


def test_a_build_without_a_mark_is_profiled(here: Path) -> None:
    good(here, "profile", "build", *DATA, "--steps", "20")
    shutil.rmtree(here / "build" / ".edgeflow")
    (here / "build" / "notes.txt").write_text("mine")
    good(here, "profile", "build", *DATA, "--steps", "40")
    assert json.loads((here / "build" / "profile.json").read_text())["steps"] == 40
    shutil.copytree(here / "build", here / "other")
    for path in (here / "other").iterdir():
        if path.name not in ("profile.json", "report.html"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    good(here, "profile", "build", *DATA, "--steps", "20", "-o", "other")
    assert json.loads((here / "other" / "profile.json").read_text())["steps"] == 20


def test_a_training_without_a_mark_is_known(here: Path) -> None:
    shutil.rmtree(here / "gru" / ".edgeflow")
    (here / "gru" / ".lock").touch()
    again = ("train", *DATA, "--hidden", "4", "--epochs", "1", "--window", "20", "-o", "gru")
    before = (here / "gru" / "metrics.json").read_bytes()
    good(here, *again)
    assert (here / "gru" / "metrics.json").read_bytes() == before, "complete: nothing is trained"
    good(here, *again, "--restart")
    assert sorted(path.name for path in (here / "gru").iterdir()) == [
        ".edgeflow", "metrics.json", "model.pt"
    ]  # fmt: skip


def test_a_restart_keeps_the_older_model_until_the_new_one_is_whole(here: Path) -> None:
    before = content(here / "gru")

    def interrupt(epoch: int, total: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    options = {"hidden": 6, "epochs": 2, "window": 20}
    with pytest.raises(KeyboardInterrupt):
        ef.train(here / "mine.csv", out=here / "gru", restart=True, on_epoch=interrupt, **options)
    now = content(here / "gru")
    assert now["model.pt"] == before["model.pt"] and now["metrics.json"] == before["metrics.json"]
    assert "resume.pt" in now
    ef.train(here / "mine.csv", out=here / "gru", **options)
    assert content(here / "gru").keys() == before.keys()
    assert json.loads((here / "gru" / "metrics.json").read_text())["arguments"]["hidden"] == 6


def test_links_and_modes_of_results_stay(here: Path) -> None:
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "real.onnx").write_text("old")
    (here / "elsewhere" / "real.onnx").chmod(0o600)
    (here / "link.onnx").symlink_to("elsewhere/real.onnx")
    good(here, "compress", "gru", *DATA, "-o", "link.onnx")
    assert (here / "link.onnx").is_symlink()
    assert ef.load(here / "elsewhere" / "real.onnx") == ef.load(here / "model.onnx")
    assert (here / "elsewhere" / "real.onnx").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (here / "elsewhere").iterdir()] == ["real.onnx"]


def test_a_device_is_not_replaced(here: Path) -> None:
    os.mkfifo(here / "pipe")
    assert "is a device or a pipe" in refused(here, "compare", "model.onnx", "-o", "pipe")


def test_output_that_does_not_fit_is_one_line(here: Path) -> None:
    """Of the table itself, whose file the command did not name."""
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("no /dev/full here")
    for arguments in (["boards"], ["boards", "--json"], ["--version"]):
        with device.open("w") as full:
            done = subprocess.run(
                [*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
            )
        assert done.returncode == 2, done.stderr
        assert re.fullmatch(r"error: [^\n]*No space left on device[^\n]*\n", done.stderr)

"""Commands that write, what they read, and what their results are."""

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgeflow.files import settled
from edgeflow.files.leftovers import is_unfinished
from tests.conftest import SHARED_DATA
from tests.faults.forks import Forks
from tests.recordings import write_recordings

SEGLEARN = SHARED_DATA / "seglearn-watch"
DATA = ("--data", "mine.csv")
#: A folder that torch keeps among temporary ones.
_THEIRS = "torchinductor"
#: What differs between two equal runs.
_TIMES = re.compile(
    rb'"(seconds|date|sha256)": ("[^"]*"|[0-9.e-]+)|\d{4}-\d\d-\d\d[ T]\d\d:\d\d[^<"]*'
    rb'|"line": \{([^{}]|\{[^{}]*\})*\}'  # how fast the answers came
)


_HEAD = """import torch

class Head(torch.nn.Linear):
    def __init__(self):
        torch.manual_seed(1)
        super().__init__(8, 3)
"""


@dataclass(frozen=True)
class Writer:
    """A command that writes.

    Parameters
    ----------
    name : str
    arguments : tuple of str
        ``OUT`` stands for its output, ``SEGLEARN`` for the folder of the data set.
    before : tuple of str, optional
        The command that makes an older result of another content; None: there is none.
    out : str
        Name of the output.
    """

    name: str
    arguments: tuple[str, ...]
    before: tuple[str, ...] | None = None
    out: str = "out"

    def command(self, out: Path, *, older: bool = False) -> list[str]:
        arguments = self.before if older else self.arguments
        assert arguments is not None
        places = {"OUT": str(out / self.out), "SEGLEARN": str(SEGLEARN)}
        return [places.get(a, a) for a in arguments]

    def skip(self) -> None:
        """Skip the test where the data are not, or the package."""
        if "SEGLEARN" in self.arguments and not SEGLEARN.is_dir():
            pytest.skip(f"there is no {SEGLEARN.name} in EDGEFLOW_TEST_DATA")
        if self.name in _PACKAGES:
            pytest.importorskip(_PACKAGES[self.name])


#: What a command needs that is no dependency.
_PACKAGES = {"float": "tvm", "export-web": "ziglang"}
_TRAIN = ("train", *DATA, "--hidden", "6", "--window", "20", "--epochs")
_COMPRESS = ("compress", "gru", *DATA)
WRITERS = (
    Writer("compile", ("compile", "model.onnx", "--board", "host", "-o", "OUT"),
           ("compile", "other.onnx", "--board", "host", "--name", "gait", "-o", "OUT")),
    Writer("compile-board", ("compile", "model.onnx", "-o", "OUT"),
           ("compile", "model.onnx", "--kernel", "c", "-o", "OUT")),
    Writer("export", ("export", "model.onnx", "--to", "cmake", "--name", "gait", "-o", "OUT"),
           ("export", "other.onnx", "--to", "arduino", "--name", "walk", "-o", "OUT")),
    Writer("export-onnx", ("export", "model.onnx", "--to", "onnx", "-o", "OUT"),
           ("export", "other.onnx", "--to", "onnx", "-o", "OUT"), "step.onnx"),
    Writer("export-web", ("export", "model.onnx", "--to", "web", "--name", "gait", "-o", "OUT"),
           ("export", "other.onnx", "--to", "cmake", "--name", "walk", "-o", "OUT")),
    Writer("train", (*_TRAIN, "4", "-o", "OUT")),
    Writer("train-restart", (*_TRAIN, "3", "--restart", "-o", "OUT"), (*_TRAIN, "1", "-o", "OUT")),
    Writer("compress", (*_COMPRESS, "--weights", "int4", "-o", "OUT"),
           (*_COMPRESS, "-o", "OUT"), "small.onnx"),
    Writer("compress-tuned", (*_COMPRESS, "--epochs", "3", "--restart", "-o", "OUT"),
           (*_COMPRESS, "--epochs", "1", "-o", "OUT"), "small.onnx"),
    Writer("compress-search", (*_COMPRESS, "--max-flash", "64k", "--ladder", "ladder.toml",
                               "-o", "OUT"), None, "small.onnx"),
    Writer("profile", ("profile", "build", *DATA, "--steps", "200", "-o", "OUT"),
           ("profile", "build", *DATA, "--steps", "40", "-o", "OUT")),
    Writer("imc", ("imc", "profile", "model.onnx", *DATA, "--chips", "3", "-o", "OUT"),
           ("imc", "profile", "model.onnx", *DATA, "--chips", "1", "--adc", "8", "-o", "OUT")),
    Writer("float", ("float", "head.py:Head", "--input", "1x8", "-o", "OUT"),
           ("float", "head.py:Head", "--input", "1x8", "--name", "other", "-o", "OUT")),
    Writer("demo", ("demo", "--root", "SEGLEARN", "--hidden", "4", "--epochs", "1", "-o", "OUT")),
    Writer("apps", ("apps", "har", "--yes", "--no-page", *DATA, "--board", "host", "--hidden", "4",
                    "--epochs", "1", "-o", "OUT")),
    Writer("data-check", ("data", "check", DATA[1], "-o", "OUT"), None, "quality.html"),
    Writer("compare", ("compare", "model.onnx", "other.onnx", "-o", "OUT"),
           ("compare", "model.onnx", "-o", "OUT"), "fronts.html"),
)  # fmt: skip
BY_NAME = {writer.name: writer for writer in WRITERS}


@dataclass
class World:
    """A folder with what the commands read, and a place for each run.

    Attributes
    ----------
    inputs : Path
        Where commands run.
    runs : Path
        For outputs.
    """

    forks: Forks
    inputs: Path
    runs: Path
    _count: int = 0
    _older: dict[str, Path] = field(default_factory=dict)

    @staticmethod
    def make(folder: Path, environment: dict[str, str], build: bool) -> "World":
        """Make the inputs: recordings, two programs and, if asked for, a build."""
        world = World(Forks(environment), folder / "inputs", folder / "runs")
        world.inputs.mkdir()
        (world.inputs / "head.py").write_text(_HEAD)
        world.runs.mkdir()
        write_recordings(world.inputs / "mine.csv")
        (world.inputs / "ladder.toml").write_text('recipes = ["int8"]\n')
        commands = [
            [*_TRAIN, "2", "-o", "gru"],
            ["compress", "gru", *DATA, "-o", "model.onnx"],
            ["compress", "gru", *DATA, "--weights", "int4", "-o", "other.onnx"],
        ]
        if build:
            commands.append(["compile", "model.onnx", "-o", "build"])
        for command in commands:
            code, said = world.forks.run(*command, folder=world.inputs)
            assert code == 0, said
        return world

    def place(self) -> Path:
        """Return a new folder for a run."""
        self._count += 1
        place = self.runs / str(self._count)
        place.mkdir()
        return place

    def prepare(self, writer: Writer, place: Path) -> None:
        """Put an older result there, if the command has one, and a file of the user."""
        if writer.before is not None:
            if writer.name not in self._older:
                made = self._older[writer.name] = self.place()
                code, said = self.run(writer.command(made, older=True), made)
                assert code == 0, said
            shutil.copytree(self._older[writer.name], place, dirs_exist_ok=True, symlinks=True)
        (place / "notes.txt").write_text("mine")
        if (place / writer.out).is_dir():
            (place / writer.out / "notes.txt").write_text("mine, too")

    def start(self, command: list[str], place: Path, **environment: str) -> int:
        scratch = place / "tmp"
        scratch.mkdir(exist_ok=True)
        environment = {"TMPDIR": str(scratch), **environment}
        return self.forks.start(*command, folder=self.inputs, **environment)

    def run(self, command: list[str], place: Path, **environment: str) -> tuple[int, str]:
        return self.forks.wait(self.start(command, place, **environment))


def results(place: Path) -> dict[str, bytes]:
    """Return the files of a run, without dates, durations, digests of these, marks and scratch."""
    found = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place)
        if path.is_file() and ".edgeflow" not in name.parts and name.parts[0] != "tmp":
            found[name.as_posix()] = _TIMES.sub(b"", path.read_bytes())
    return found


def leftovers(place: Path) -> list[str]:
    """Return what no finished command leaves: unfinished files, locks, scratch folders."""
    found = []
    for path in place.rglob("*"):
        name = path.relative_to(place)
        hidden = ".edgeflow" in name.parts and path.is_file() and path.name != "made.json"
        scratch = name.parts[0] == "tmp" and len(name.parts) > 1 and _THEIRS not in name.parts[1]
        if hidden or scratch or is_unfinished(path.name) or path.name.endswith((".lock", "~")):
            found.append(str(name))
    return found


def settle(place: Path) -> None:
    """Do what each reader of a result does first."""
    for mark in sorted(place.rglob(".edgeflow")):
        settled(mark.parent)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of all commands: a cache and a home of their own."""
    root = str(Path(__file__).resolve().parent.parent.parent)
    return {
        **os.environ, "PYTHONPATH": root, "XDG_CACHE_HOME": str(folder / "cache"),
        "MPLCONFIGDIR": str(folder / "matplotlib"), "OMP_NUM_THREADS": "1", "COLUMNS": "200",
    }  # fmt: skip

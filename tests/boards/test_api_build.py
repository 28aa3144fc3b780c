"""``ef.compile``, `Build` and ``ef.profile``: what a build predicts, on the host and a board."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import edgeflow as ef
from edgeflow.cli import app
from edgeflow.errors import DataError, ProgramError, TargetError
from tests.recordings import CLASSES
from tests.unit.test_api import Net, program, walk

__all__ = ["program"]


@pytest.fixture(scope="module")
def build(program: ef.Program, tmp_path_factory: pytest.TempPathFactory) -> ef.Build:
    return ef.compile(program, "host", tmp_path_factory.mktemp("build"))


def test_the_command_makes_the_same_build(program: ef.Program, tmp_path: Path) -> None:
    program.save(tmp_path / "model.onnx")
    command = ["compile", str(tmp_path / "model.onnx"), "--board", "host"]
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "cli")])
    assert done.exit_code == 0, done.output
    built = ef.compile(tmp_path / "model.onnx", "host", tmp_path / "api")
    for name in ("model.c", "model.h", "LICENSE", "build.json", "model.onnx"):
        assert (tmp_path / "cli" / name).read_bytes() == (built.directory / name).read_bytes()


class TestBuild:
    def test_predicts_what_the_program_does(self, build: ef.Build, program: ef.Program) -> None:
        x = walk()
        assert build.predict(x).tolist() == program.predict(x).tolist()
        assert build.predict(x[0].tolist()).tolist() == program.predict(x[:1]).tolist()
        with pytest.raises(ProgramError, match=r"\[n, 20, 4\]"):
            build.predict(x[..., :3])
        with pytest.raises(TargetError, match="compiled for host"):
            build.predict(x, board="qemu-m4")

    def test_size_and_repr(self, build: ef.Build, program: ef.Program) -> None:
        assert build.size.flash_bytes > 0 and build.size.flash["weights"] > 0
        assert repr(build) == f"Build(host, program {program.hash.hex()}, {str(build.directory)!r})"
        loaded = ef.Build.load(build.directory)
        assert loaded.size == build.size
        (build.directory / "size.json").rename(build.directory / "kept.json")
        with pytest.raises(TargetError, match="compile the model again"):
            _ = loaded.size
        assert build.size.flash_bytes > 0  # it needs no file
        (build.directory / "kept.json").rename(build.directory / "size.json")

    def test_profile_of_arrays(self, build: ef.Build, program: ef.Program) -> None:
        x = walk()
        labels = program.predict(x)
        numbers = [CLASSES.index(label) for label in labels]
        for y in (labels, list(labels), numbers, torch.tensor(numbers), np.array(numbers, "u1")):
            result = ef.profile(build, (x, y), steps=100)
            assert (result.accuracy_device, result.mismatches, result.windows) == (1.0, 0, 5)
        assert ef.profile(build.directory, (x.tolist(), numbers)).accuracy_float is None

    @pytest.mark.parametrize(
        "data,message",
        [
            ((walk(), ["sit"] * 23), "one label for each of 24 windows, not 23"),
            ((walk(), ["jump"] * 24), "label 'jump': use a name .run, sit, walk."),
            ((walk(), [3] * 24), "number from 0 to 2"),
            ((walk(), [0.5] * 24), r"y must be \[n\]"),
            ((walk(), [[0]] * 24), r"y must be \[n\]"),
            ((walk(), [None] * 24), "label None"),
            ((walk(time=19), [0] * 24), r"x must be \[n, 20, 4\] .*, not \[24, 19, 4\]"),
            ((walk()[..., :2], [0] * 24), r"x must be \[n, 20, 4\] .*, not \[24, 20, 2\]"),
            ((walk() * np.nan, [0] * 24), "x holds NaN"),
            ((None, [0] * 24), r"x: samples .* are needed, not NoneType"),
            ((walk(),), r"are \(x, y\), not 1 things"),
            (walk(), "data are a Dataset"),
            (None, "data are a Dataset"),
        ],
    )
    def test_profile_refuses(self, build: ef.Build, data: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            ef.profile(build, data)

    def test_values_cannot_be_profiled_by_labels(self, tmp_path: Path) -> None:
        build = ef.compile(ef.compress(Net(), walk()), "host", tmp_path)
        with pytest.raises(DataError, match="gives values, no classes"):
            ef.profile(build, (walk(), [0] * 24))
        np.testing.assert_array_equal(build.predict(walk()), build.program().predict(walk()))

    @pytest.mark.board
    def test_on_an_emulated_board(self, program: ef.Program, tmp_path: Path) -> None:
        build = ef.compile(program, "qemu-m4", tmp_path)
        assert build.predict(walk(3)).tolist() == program.predict(walk(3)).tolist()

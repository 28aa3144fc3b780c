"""Profiles of many steps, which pass an emulator's serial port by (fast; two boards).

They alone would catch a block of frames whose steps take other instructions than those through the
port, or fewer of them, and an interrupted one that loses what it had.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.codegen.origin import is_ours
from edgeflow.data import Dataset, from_arrays
from edgeflow.errors import DeviceError
from edgeflow.profiling import beside, block, run
from edgeflow.profiling.result import ProfileResult
from edgeflow.program import Program
from edgeflow.targets.elf import Image
from tests.random_programs import random_program

WINDOW, WINDOWS = 7, 24


@pytest.fixture(scope="module")
def program() -> Program:
    program = random_program(3, 3, [8], 3, 12, 12)
    return dataclasses.replace(program, classes=("run", "sit", "walk"), window=WINDOW)


@pytest.fixture(scope="module")
def data() -> Dataset:
    x = np.random.default_rng(0).normal(0, 200, (WINDOWS, WINDOW, 3)).astype(np.float32)
    names = ("run", "sit", "walk")
    return from_arrays(
        x,
        np.arange(len(x)) % 3,
        channels=["x0", "x1", "x2"],
        classes=names,
        window=WINDOW,
        rate_hz=20,
    )


@pytest.fixture(scope="module", params=["qemu-m0", "qemu-rv32"])
def build(
    request: pytest.FixtureRequest, program: Program, tmp_path_factory: pytest.TempPathFactory
) -> Build:
    return compile_program(program, request.param, tmp_path_factory.mktemp(request.param))


def profiled(build: Build, data: Dataset, out: Path, at_port: int) -> ProfileResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "AT_PORT", at_port)
        return run.profile(build, data, out=out)


def test_a_block_is_the_same_run(build: Build, data: Dataset, tmp_path: Path) -> None:
    through_port = profiled(build, data, tmp_path / "port", 10**6)
    as_block = profiled(build, data, tmp_path / "block", 2 * WINDOW)
    assert as_block.steps == through_port.steps == WINDOWS * WINDOW
    assert as_block.mismatches == 0
    assert as_block.line is not None and through_port.line is not None
    assert as_block.line["requests"] < through_port.line["requests"]
    # date and line are not compared
    assert as_block == through_port


def test_an_image_of_others_gets_no_files(build: Build, data: Dataset, tmp_path: Path) -> None:
    """One bit is enough, as is a cache of another user."""
    copy = dataclasses.replace(build, directory=tmp_path / "copy")
    shutil.copytree(build.directory, copy.directory)
    assert is_ours(build.elf) and is_ours(copy.elf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        assert not is_ours(build.elf)
        patch.setattr(block.BlockRun, "start", lambda self: pytest.fail("it was given files"))
        assert profiled(build, data, tmp_path / "out", 2 * WINDOW).mismatches == 0
    with copy.elf.open("ab") as file:
        file.write(b"\0")
    assert not is_ours(copy.elf)


def test_kernels_of_others_are_remembered_as_such(
    build: Build, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "kernels").mkdir()
    monkeypatch.setenv("EDGEFLOW_KERNELS", str(tmp_path / "kernels"))
    assert not is_ours(compile_program(program, build.board, tmp_path / "build").elf)
    monkeypatch.delenv("EDGEFLOW_KERNELS")
    assert is_ours(compile_program(program, build.board, tmp_path / "build").elf)


def test_what_a_block_answers_otherwise_is_an_error(
    build: Build, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = block.BlockRun.results

    def changed(self: block.BlockRun) -> object:
        y, stats = whole(self)
        y[0][-1, 0] += 1
        return y, stats

    monkeypatch.setattr(block.BlockRun, "results", changed)
    with pytest.raises(DeviceError, match="through the serial port and as a block differ"):
        profiled(build, data, tmp_path, WINDOW)


def test_an_interrupted_block_keeps_what_ran(
    build: Build, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = block.BlockRun.wait

    def interrupted(self: block.BlockRun, progress: object) -> None:
        wait(self, lambda done: None)
        content = self._out.read_bytes()
        self._out.write_bytes(content[: len(content) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(block.BlockRun, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        profiled(build, data, tmp_path, WINDOW)
    result = ProfileResult.load(tmp_path / run.RESULT)
    assert not result.complete and result.mismatches == 0
    assert WINDOWS // 4 < result.windows < WINDOWS


def test_only_functions_of_the_protocol_differ(build: Build, tmp_path: Path) -> None:
    copy = block.block_image(build.spec(), build.elf, tmp_path)
    assert copy is not None
    image = Image(build.elf)
    before, after = build.elf.read_bytes(), bytearray(copy.read_bytes())
    for name in ("ef_cobs_encode", "ef_link_receive", "ef_link_send"):
        function = image.by_name[name]
        at = image.file_offset(function.address)
        assert before[at : at + function.size] != after[at : at + function.size]
        after[at : at + function.size] = before[at : at + function.size]
    assert before == bytes(after)

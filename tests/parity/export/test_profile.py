"""The firmware in a package is a target of ``edgeflow profile``, whatever builds it."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import edgeflow
from edgeflow.codegen.package import Package, load_made
from edgeflow.data import Dataset
from edgeflow.errors import DeviceError, ImageMismatchError, TargetError
from edgeflow.profiling.report import render
from edgeflow.profiling.result import ProfileResult
from edgeflow.program import Program
from tests.command import edgeflow as command
from tests.parity.export.machines import ECOSYSTEMS, HOST, tell

STEPS = 300


@pytest.fixture(scope="session")
def program(trained_gru: Path) -> Program:
    return Program.load(trained_gru / "model.onnx")


@contextlib.contextmanager
def on_a_port(firmware: Path) -> Iterator[str]:
    """Run a program of this machine with its standard input and output behind a serial port."""
    master, slave = os.openpty()
    tty.setraw(slave)
    with subprocess.Popen(
        [firmware], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as board:
        assert board.stdin is not None and board.stdout is not None
        ways = [(board.stdout.fileno(), master), (master, board.stdin.fileno())]
        threads = [threading.Thread(target=_copy, args=way, daemon=True) for way in ways]
        for thread in threads:
            thread.start()
        try:
            yield os.ttyname(slave)
        finally:
            board.kill()
            os.close(slave)  # ends the reading of the master
            for thread in threads:
                thread.join(10)
            os.close(master)


def _copy(source: int, target: int) -> None:
    with contextlib.suppress(OSError):
        while part := os.read(source, 4096):
            os.write(target, part)


#: As docs/export.md shows it.
USER = """cmake_minimum_required(VERSION 3.15)
project(user C)
add_subdirectory({package} gait)
add_executable(gait-on-my-board {package}/profile/ef_hal_stdio.c)
target_link_libraries(gait-on-my-board PRIVATE gait::profile)
target_compile_definitions(gait-on-my-board PRIVATE EF_BOARD_NAME="my-board")
"""


def built(package: Path, build: Path, to: str) -> Path:
    """Build the profile firmware of a package for this machine; return the program."""
    if to == "user":
        user = build.with_name("user")
        user.mkdir()
        (user / "CMakeLists.txt").write_text(USER.format(package=package))
        return HOST.cmake(user, build) / "gait-on-my-board"
    if to == "cmake":
        return HOST.cmake(package, build) / "gait-profile"
    stand_in = f"-DZephyr_DIR={ECOSYSTEMS / 'zephyr'}"
    return HOST.cmake(package / "samples" / "profile", build, stand_in) / "app"


@pytest.mark.parametrize(
    ("to", "board", "stack"), [("cmake", "host", None), ("zephyr", "stand_in", 100)]
)
def test_an_export_is_profiled(
    to: str, board: str, stack: int | None, program: Program, seglearn: Dataset, tmp_path: Path
) -> None:
    """With Zephyr's drivers over POSIX; what other tools built has no size, and a clock no cycles."""
    package = tmp_path / "gait"
    edgeflow.export(program, to, package, name="gait")
    with on_a_port(built(package, tmp_path / "build", to)) as port:
        result = edgeflow.profile(package, seglearn, steps=STEPS, port=port)
    assert (result.steps, result.mismatches, result.board) == (STEPS, 0, board)
    assert (result.stack_bytes, result.flash_bytes, result.ram_bytes) == (stack, None, None)
    assert result.cycles_per_step is None
    assert result.latency_us is not None and result.latency_us["kind"] == "measured"
    assert ProfileResult.load(package / "profile.json") == result
    assert f"Profile of {board}" in render(result)
    # an export replaces its own files alone, and is the same build again
    build_id = Package.load(package).build_id
    edgeflow.export(program, to, package, name="gait")
    assert Package.load(package).build_id == build_id
    assert (package / "profile.json").is_file()


def test_another_package_of_the_program_is_refused(
    program: Program, seglearn: Dataset, tmp_path: Path
) -> None:
    """The same program in other code, and another program in the same package."""
    edgeflow.export(program, "cmake", tmp_path / "gait", name="gait")
    edgeflow.export(program, "cmake", tmp_path / "walk", name="walk")
    other = replace(program, output_scale=2 * program.output_scale)
    edgeflow.export(other, "cmake", tmp_path / "other", name="gait")
    assert other.hash != program.hash
    with on_a_port(built(tmp_path / "gait", tmp_path / "build", "user")) as port:
        for folder, text in (("walk", "another build of this"), ("other", "another program")):
            package = tmp_path / folder
            with pytest.raises(ImageMismatchError, match=text) as found:
                edgeflow.profile(package, seglearn, steps=STEPS, port=port)
            assert "for my-board by" in str(found.value)
            assert f"build the firmware of {package} and write it to the board" in str(found.value)
            assert not (package / "profile.json").exists()


def test_a_firmware_without_a_board_compiles_in_any_format(
    program: Program, tmp_path: Path
) -> None:
    """As their README says: src/ among the folders of headers, nothing else; any name."""
    for to in ("arduino", "platformio", "esp-idf"):
        package = tmp_path / to
        edgeflow.export(program, to, package, name="model")
        firmware = sorted((package / "profile").glob("*.c"))
        assert [file.name for file in firmware if "hal" in file.name] == []
        for file in firmware:
            HOST.compile(file, tmp_path, f"-I{package / 'src'}")


def test_bad_input_is_one_line(program: Program, seglearn: Dataset, tmp_path: Path) -> None:
    package = tmp_path / "gait"
    edgeflow.export(program, "zephyr", package, name="gait")
    for options, error, text in (
        ({}, DeviceError, "say at which --port that is"),
        ({"port": "/dev/null", "runner": "pyocd"}, DeviceError, "leave --runner out"),
        ({"port": "/dev/null", "board": "qemu-m4"}, TargetError, "leave --board out"),
    ):
        with pytest.raises(error, match=text):
            edgeflow.profile(package, seglearn, steps=STEPS, **options)  # type: ignore[arg-type]
    edgeflow.export({"walk": program, "run": program}, "zephyr", tmp_path / "two", name="two")
    assert not (tmp_path / "two" / "profile").exists()
    assert not (tmp_path / "two" / "samples" / "profile").exists()
    with pytest.raises(TargetError, match="an export of several programs"):
        load_made(tmp_path / "two")
    record = package / "edgeflow.json"
    whole = record.read_text()
    for text, what in (
        (whole.replace('"core": "c"', '"core": "x"'), "changed since it was written"),
        (json.dumps({**json.loads(whole), "sha256": None}), "changed since"),
        (json.dumps({"build_id": "0" * 15}), "damaged"),
        ("{", "damaged"),
        ("[1]", "damaged"),
    ):
        record.write_text(text)
        with pytest.raises(TargetError, match=f"{what}.*: export the model again"):
            load_made(package)
    done = command("profile", package, "--data", "seglearn-watch", "--port", "/dev/null")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1


needs_zephyr = pytest.mark.skipif(
    "ZEPHYR_BASE" not in os.environ,
    reason="ZEPHYR_BASE names no Zephyr tree (2.6 or newer, with its tools and modules)",
)


def zephyr_build(sample: Path, build: Path, board: str) -> None:
    """Build a sample. ZEPHYR_MODULES may list modules without west."""
    modules = os.environ.get("ZEPHYR_MODULES")
    options = [f"-DZEPHYR_MODULES={modules}"] if modules else []
    tell(["cmake", "-GNinja", "-S", sample, "-B", build, f"-DBOARD={board}", *options])
    tell(["cmake", "--build", build])


@pytest.mark.slow
@needs_zephyr
def test_zephyr_builds_it_for_the_pinetime(program: Program, tmp_path: Path) -> None:
    """The watch's board of Zephyr's own tree, with the kernels of its core."""
    edgeflow.export(program, "zephyr", tmp_path / "gait", name="gait", core="cortex-m4")
    sample = tmp_path / "gait" / "samples" / "classify"
    board = os.environ.get("ZEPHYR_PINETIME", "pinetime_devkit0/nrf52832")  # by its older name
    zephyr_build(sample, tmp_path / "build", board)
    assert (tmp_path / "build" / "zephyr" / "zephyr.elf").is_file()


@pytest.mark.board
@pytest.mark.slow
@needs_zephyr
def test_zephyr_itself_builds_it(program: Program, seglearn: Dataset, tmp_path: Path) -> None:
    """Its own build system and drivers, in QEMU."""
    package, build = tmp_path / "gait", tmp_path / "build"
    edgeflow.export(program, "zephyr", package, name="gait")
    zephyr_build(package / "samples" / "profile", build, "qemu_cortex_m3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machine = ["qemu-system-arm", "-M", "lm3s6965evb", "-display", "none", "-monitor", "none",
               "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off"]  # fmt: skip
    with subprocess.Popen(
        [*machine, "-kernel", build / "zephyr" / "zephyr.elf"], stderr=subprocess.DEVNULL
    ) as board:
        try:
            time.sleep(2)
            where = f"socket://127.0.0.1:{port}"
            result = edgeflow.profile(package, seglearn, steps=STEPS, port=where)
        finally:
            board.kill()
    assert (result.steps, result.mismatches, result.board) == (STEPS, 0, "qemu_cortex_m3")
    # emulated time is no time
    assert result.cycles_per_step is None and result.latency_us is None
    assert result.stack_bytes is not None and 100 < result.stack_bytes < 4096

"""``adb`` and the real adbd, which runs an aarch64 image, as a watch does."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.targets.board import load_board
from tests.command import edgeflow
from tests.testbeds import workload
from tests.testbeds.adbd import ADBD, Proxy, device
from tests.testbeds.needs import needs, skipped

pytestmark = [
    needs(adb="adb", qemu_aarch64="qemu-user", aarch64_linux_gnu_gcc="gcc-aarch64-linux-gnu"),
    skipped([] if ADBD.exists() else ["adbd (scripts/adbd.sh)"]),
]

BOARD = """description = "a watch"
core = "cortex-a53"

[runner]
kind = "adb"
folder = "{folder}"
"""
LAUNCHER = 'launcher = ["{qemu}", "-cpu", "cortex-a53"]\n'


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with device(tmp_path_factory.mktemp("device")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``watch.toml``, its ``build``, and ``mine.npz``."""
    folder = tmp_path_factory.mktemp("watch")
    text = BOARD.format(folder=folder / "on-device") + LAUNCHER.format(
        qemu=shutil.which("qemu-aarch64")
    )
    (folder / "watch.toml").write_text(text)
    spec = load_board(folder / "watch.toml", trusted=True)
    compile_program(workload.program(), spec, folder / "build")
    workload.recordings(folder / "mine.npz")
    return folder


def run(command: str, folder: Path, *arguments: str, board: str = "watch.toml") -> tuple[int, str]:
    done = edgeflow(
        command, folder / "build", "--board", folder / board, "--trust-board", *arguments
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_profile(watch: Proxy, folder: Path, tmp_path: Path) -> None:
    code, said = run(
        "profile", folder, "--data", str(folder / "mine.npz"), "-o", str(tmp_path / "out")
    )
    assert code == 0, said
    result = json.loads((tmp_path / "out" / "profile.json").read_text())
    assert result["mismatches"] == 0 and result["steps"] == workload.STEPS
    assert result["latency_us"]["kind"] == "measured"
    there, here = folder / "on-device" / "firmware.elf", folder / "build" / "firmware.elf"
    assert there.read_bytes() == here.read_bytes()


def test_a_byte_that_changes_on_the_way_is_noticed(watch: Proxy, folder: Path) -> None:
    image = (folder / "build" / "firmware.elf").read_bytes()
    watch.spoil = image[-300:-280]
    code, said = run("flash", folder)
    assert code == 2 and "is not what was written" in said.splitlines()[-1]
    assert watch.spoil is None
    code, said = run("flash", folder)  # and written again
    assert code == 0, said


def test_image_of_another_machine(watch: Proxy, folder: Path) -> None:
    (folder / "watch").mkdir(exist_ok=True)
    (folder / "watch" / "watch.toml").write_text(BOARD.format(folder=folder / "other"))
    code, said = run("flash", folder, board="watch/watch.toml")
    line = said.splitlines()[-1]
    assert code == 2 and "the image is for aarch64: choose another device" in line
    assert not (folder / "other").exists()


def test_device_that_is_not_there(watch: Proxy, folder: Path) -> None:
    code, said = run("flash", folder, "--port", "R5XX000")
    assert code == 2 and "'R5XX000' not found: 'adb devices' lists" in said.splitlines()[-1]


def test_folder_that_takes_no_file(watch: Proxy, folder: Path) -> None:
    (folder / "full").mkdir(exist_ok=True)
    text = (folder / "watch.toml").read_text().replace(f"{folder}/on-device", "/proc/none")
    (folder / "full" / "watch.toml").write_text(text)
    code, said = run("flash", folder, board="full/watch.toml")
    assert code == 2 and "failed to copy" in said.splitlines()[-1]

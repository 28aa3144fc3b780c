"""Stock pyOCD and OpenOCD flash, verify and start the virtual nRF52840; its steps are compared.

Nothing is said beside the board: the probe is found by the tool, the port by its USB id. Each fault
is one line that says what to do, with exit code 2, and what was collected is kept.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.resources import resource
from tests.command import PROGRAM
from tests.testbeds import workload
from tests.testbeds.desk import Desk
from tests.testbeds.needs import needs

if TYPE_CHECKING:
    from tests.testbeds.nrf52840 import Kit

pytestmark = [
    pytest.mark.board,
    needs(umockdev_wrapper="umockdev", pyocd="pyocd", openocd="openocd"),
]

BOARD = "nrf52840-dk"
PROBE = 'config = ["interface/cmsis-dap.cfg", "target/nrf52.cfg"]\ntransport = "swd"\n'
RUNNERS = ("pyocd", "openocd")


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Board files by the flash tool that they name first: the product's, with a CMSIS-DAP probe."""
    folder = tmp_path_factory.mktemp("boards")
    text = (resource("targets") / f"{BOARD}.toml").read_text()
    text = re.sub(r"(?ms)^\[runner\.options\.openocd\]\n.*?(?=^\[|\Z)", "", text)
    text += f"\n[runner.options.openocd]\n{PROBE}"
    found = {}
    for runner in RUNNERS:
        path = found[runner] = folder / runner / f"{BOARD}.toml"
        path.parent.mkdir()
        path.write_text(re.sub(r"(?m)^order = .*$", f'order = ["{runner}"]', text))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a build of a random program, and ``mine.npz``."""
    folder = tmp_path_factory.mktemp("probe")
    compile_program(workload.program(), BOARD, folder / "build")
    workload.recordings(folder / "mine.npz")
    return folder


def run(desk: Desk, command: str, *arguments: str | Path, code: int = 0) -> str:
    """Run ``edgeflow`` as a user does who sits at the desk; return what it printed."""
    done = desk.run([*PROGRAM, command, *map(str, arguments)], timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def refused(desk: Desk, command: str, *arguments: str | Path) -> str:
    """Run a command that fails with exit code 2; return the one line that it says."""
    said = run(desk, command, *arguments, code=2).splitlines()
    lines = [line for line in said if not line.startswith(("writing ", "windows done"))]
    assert len(lines) == 1, said
    return lines[0]


def image_is_in(kit: "Kit", build: Path) -> bool:
    content = (build / "firmware.bin").read_bytes()
    return kit.chip.flash(0, len(content)) == content


@pytest.mark.parametrize("runner", RUNNERS)
def test_flash_and_profile(
    runner: str, desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    build = folder / "build"
    out = run(desk, "profile", build, "--board", boards[runner], "--data", folder / "mine.npz",
              "--steps", "200", "--out", tmp_path, "--json")  # fmt: skip
    result = json.loads(out)
    assert (result["steps"], result["mismatches"]) == (200, 0)
    assert result["cycles_per_step"]["kind"] == result["latency_us"]["kind"] == "measured"
    assert image_is_in(kit, build) and kit.chip.written_words > 0
    # microseconds of 64 MHz
    cycles, latency = result["cycles_per_step"]["mean"], result["latency_us"]["mean"]
    assert latency == pytest.approx(cycles / 64)


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_byte_that_is_not_what_was_written(
    runner: str, desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path
) -> None:
    kit.chip.flips.add(0x1200)
    line = refused(desk, "flash", folder / "build", "--board", boards[runner])
    assert re.search("verif|is not the image", line) and "flash again" in line


@pytest.mark.parametrize("runner", RUNNERS)
def test_power_lost_while_writing_is_repaired_by_the_next(
    runner: str, desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path
) -> None:
    arguments = (folder / "build", "--board", boards[runner])
    kit.chip.words_left = 1500
    line = refused(desk, "flash", *arguments)
    assert "power" in line and "flash again" in line
    assert not image_is_in(kit, folder / "build")
    with kit.chip.core.visit():
        kit.chip.power_on()
    assert "verified" in run(desk, "flash", *arguments, "--json")
    assert image_is_in(kit, folder / "build")


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_locked_chip_stays_as_it_is(
    runner: str, desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path
) -> None:
    with kit.chip.core.visit():
        kit.chip.core.uc.mem_write(0x8000, b"secret")
        kit.chip.lock()
        kit.chip.power_off()
        kit.chip.power_on()
    line = refused(desk, "flash", folder / "build", "--board", boards[runner])
    assert "read protection" in line and "erase" in line
    assert kit.chip.flash(0x8000, 6) == b"secret" and kit.chip.protected


@pytest.mark.parametrize("runner", RUNNERS)
def test_another_chip_is_named_and_not_written_to(
    runner: str, desk: Desk, boards: dict[str, Path], folder: Path
) -> None:
    from tests.testbeds.nrf52840 import Kit

    kit = Kit(part=0x52833)
    kit.plug_into(desk)
    line = refused(desk, "flash", folder / "build", "--board", boards[runner])
    desk.clear()
    kit.close()
    assert "another chip" in line and "52833" in line and BOARD in line
    assert kit.chip.written_words == kit.chip.erased_pages == 0


@pytest.mark.parametrize("runner", RUNNERS)
def test_no_probe_and_no_board(
    runner: str, desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path
) -> None:
    arguments = (folder / "build", "--board", boards[runner])
    desk.unplug(kit.probe)
    assert "no debug probe" in refused(desk, "flash", *arguments)
    desk.unplug(kit.bridge)
    line = refused(desk, "flash", *arguments)
    assert "plug" in line and "--port" in line


@pytest.mark.parametrize("runner", RUNNERS)
def test_unplugged_while_it_is_flashed(
    runner: str, desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path
) -> None:
    pull = threading.Thread(
        target=when, args=(lambda: kit.chip.written_words > 1000, lambda: desk.unplug(kit.probe))
    )
    pull.start()
    line = refused(desk, "flash", folder / "build", "--board", boards[runner])
    pull.join()
    assert "went away" in line and "flash again" in line


def when(happened: Callable[[], bool], act: Callable[[], None]) -> None:
    """Act as soon as something happened."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    act()

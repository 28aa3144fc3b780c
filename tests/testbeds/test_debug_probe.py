"""Stock pyOCD and OpenOCD flash, verify and start the virtual nRF52840; its steps are compared.

Nothing is said beside the board: the probe is found by the tool, the port by its USB id. Each fault
is one line that says what to do, with exit code 2, and what was collected is kept.
"""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.data import Dataset
from edgeflow.profiling.result import ProfileResult
from edgeflow.profiling.run import RESULT, profile
from edgeflow.program import Program
from edgeflow.resources import resource
from tests.command import PROGRAM
from tests.conftest import ROOT
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
RUNNERS = ("pyocd", "openocd")


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The product's board file, by the flash tool that it names first."""
    text = (resource("targets") / f"{BOARD}.toml").read_text()
    found = {}
    for first, second in (RUNNERS, RUNNERS[::-1]):
        path = found[first] = tmp_path_factory.mktemp(first) / f"{BOARD}.toml"
        path.write_text(re.sub(r"(?m)^order = .*$", f'order = ["{first}", "{second}"]', text))
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


def test_a_desk_for_a_command(desk: Desk) -> None:
    listed = [sys.executable, "-m", "serial.tools.list_ports"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.testbeds", *listed], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.split()) == (0, ["/dev/ttyACM0"]), done.stderr


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
    kit.chip.words_left = 600
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
        target=when, args=(lambda: kit.chip.written_words > 600, lambda: desk.unplug(kit.probe))
    )
    pull.start()
    line = refused(desk, "flash", folder / "build", "--board", boards[runner])
    pull.join()
    assert "went away" in line and "flash again" in line


#: Commands of gdb servers at a port, and how EdgeFlow's board file says that they reset.
SERVERS = {
    "openocd": (
        ["openocd", "-f", "interface/cmsis-dap.cfg", "-c", "transport select swd",
         "-f", "target/nrf52.cfg", "-c", "gdb_port PORT; tcl_port disabled; telnet_port disabled"],
        "halt",
    ),
    "pyocd": (
        [sys.executable, "-m", "pyocd", "gdbserver", "--no-wait", "--target", "nrf52840",
         "--port", "PORT"],
        "reset",
    ),
}  # fmt: skip


@needs(gdb_multiarch="gdb-multiarch")
@pytest.mark.parametrize("server", SERVERS)
def test_gdb_through_the_server_of(
    server: str, desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command, reset = SERVERS[server]
    text = boards["pyocd"].read_text().replace('order = ["pyocd", ', 'order = ["gdb", "pyocd", ')
    board = tmp_path / f"{BOARD}.toml"
    board.write_text(
        f'{text}\n[runner.options.gdb]\nserver = "127.0.0.1:{port}"\nreset = "{reset}"\n'
    )
    with subprocess.Popen(
        [part.replace("PORT", port) for part in command], env=desk.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            while not re.search(
                rf"listening on port {port}", line := process.stdout.readline(), re.I
            ):
                assert line, "the server ended"
            out = run(desk, "flash", folder / "build", "--board", board, "--json")
            assert json.loads(out)["verified"] and image_is_in(kit, folder / "build")
        finally:
            process.kill()


def test_unplugged_while_it_is_profiled(
    desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    build, data = folder / "build", folder / "mine.npz"
    run(desk, "flash", build, "--board", boards["openocd"])
    before = kit.chip.core.cycles
    pull = threading.Thread(
        target=when,
        args=(lambda: kit.chip.core.cycles > before + 1_000_000, lambda: desk.unplug(kit.bridge)),
    )
    pull.start()
    arguments = ("--board", boards["openocd"], "--data", data, "--out", tmp_path)
    said = run(desk, "profile", build, *arguments, code=2)
    pull.join()
    assert "the port went away" in said
    kept = ProfileResult.load(tmp_path / RESULT)
    assert not kept.complete and kept.mismatches == 0
    assert 0 < kept.windows < workload.WINDOWS
    assert f"windows done: {kept.windows};" in said


def test_a_chip_that_resets_itself_goes_on_with_the_window(
    desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    run(desk, "flash", folder / "build", "--board", boards["openocd"])
    before = kit.chip.core.cycles

    def reset() -> None:
        with kit.chip.core.visit():
            kit.chip.reset()

    trip = threading.Thread(
        target=when, args=(lambda: kit.chip.core.cycles > before + 1_000_000, reset)
    )
    trip.start()
    out = run(desk, "profile", folder / "build", "--board", boards["openocd"], "--data",
              folder / "mine.npz", "--out", tmp_path, "--json")  # fmt: skip
    trip.join()
    result = json.loads(out)
    assert (result["steps"], result["mismatches"]) == (workload.STEPS, 0)
    assert result["line"]["resets"] == 1


@pytest.mark.slow
def test_fifty_times_unplugged_nothing_lost(
    desk: Desk, kit: "Kit", boards: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    run(desk, "flash", folder / "build", "--board", boards["openocd"])
    lines: list[dict[str, int]] = []
    arguments = [boards["openocd"], folder / "build", folder / "mine.npz", tmp_path]
    child = subprocess.Popen(
        [sys.executable, "-c", REPLUGGED, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=desk.environment,
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    for line in child.stdout:
        if line == "pull\n":
            desk.unplug(kit.bridge)
        else:
            lines.append(json.loads(line))
            if len(lines) <= 50:
                desk.plug(kit.bridge)
        child.stdin.write("done\n")
        child.stdin.flush()
    assert child.wait() == 0 and len(lines) == 51
    for seen in lines[:50]:
        assert seen["kept"] == seen["answered"] > 0 and seen["mismatches"] == 0
    assert sum(seen["answered"] < workload.STEPS for seen in lines) >= 25
    assert lines[50] == {"answered": workload.STEPS, "kept": workload.STEPS, "mismatches": 0}


#: Profiles 50 times until the port is pulled out after some windows, then to the end. Every other
#: time it goes on while that is done, which may come too late.
REPLUGGED = """
import json, sys
from pathlib import Path
from edgeflow.codegen.build import Build
from edgeflow.data import load_dataset
from edgeflow.errors import DeviceError
from edgeflow.profiling.result import ProfileResult
from edgeflow.profiling.run import RESULT, profile
from edgeflow.targets.board import load_board

board, build, data, out = sys.argv[1:]
board, build, data = load_board(board), Build.load(build), load_dataset(data)
for cycle in range(51):
    answered, asked = 0, False

    def progress(done, total):
        global answered, asked
        answered = done
        if cycle < 50 and done >= 100 + 20 * cycle and not asked:
            asked = True
            print("pull", flush=True)
            if cycle % 2 == 0:
                sys.stdin.readline()

    folder = Path(out) / str(cycle)
    try:
        profile(build, data, board=board, no_flash=True, out=folder, progress=progress)
    except DeviceError:
        pass
    kept = ProfileResult.load(folder / RESULT)
    row = {"answered": answered, "kept": kept.steps, "mismatches": kept.mismatches}
    if cycle < 50 and cycle % 2:
        sys.stdin.readline()
    print(json.dumps(row), flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS)
def test_two_thousand_steps_of_real_data(
    runner: str, desk: Desk, kit: "Kit", boards: dict[str, Path], real: Path, tmp_path: Path
) -> None:
    out = run(desk, "profile", real, "--board", boards[runner], "--data", "seglearn-watch",
              "--steps", "2000", "--out", tmp_path, "--json")  # fmt: skip
    result = json.loads(out)
    assert (result["steps"], result["mismatches"]) == (2000, 0)
    assert result["accuracy_device"] == result["accuracy_oracle"] > 0.5
    assert result["cycles_per_step"]["kind"] == "measured"


@pytest.mark.slow
def test_cycles_are_the_instructions_that_qemu_counts(
    desk: Desk, kit: "Kit", real: Path, seglearn: Dataset, tmp_path: Path
) -> None:
    program = Build.load(real).program()
    emulated = profile(compile_program(program, "qemu-m4", tmp_path / "m4"), seglearn, steps=200)
    assert emulated.instructions_per_step is not None
    out = run(desk, "profile", real, "--data", "seglearn-watch", "--steps", "200",
              "--out", tmp_path / "profile", "--json")  # fmt: skip
    cycles = json.loads(out)["cycles_per_step"]["mean"]
    assert cycles == pytest.approx(emulated.instructions_per_step["mean"], rel=0.005)


@pytest.fixture(scope="module")
def real(trained_gru: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build of a GRU that was trained on real data."""
    folder = tmp_path_factory.mktemp("real") / "build"
    compile_program(Program.load(trained_gru / "model.onnx"), BOARD, folder)
    return folder


def when(happened: Callable[[], bool], act: Callable[[], None]) -> None:
    """Act as soon as something happened."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    act()

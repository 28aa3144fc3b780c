"""Flash tools: what their options may be, and what is said when they fail (tier: boards).

The tools themselves run in other files; here a script says what they were seen to say. Alone these
would catch a tool whose exit code is believed, an error of several lines, and an option of a board
file that is not looked at.
"""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from edgeflow.device import open_board
from edgeflow.device.runners import find_runner, runners
from edgeflow.device.runners.base import segments
from edgeflow.errors import DeviceError, TargetError, ToolMissingError
from edgeflow.targets.board import BoardSpec, load_board
from tests.hardware import board_file, tiny_elf

OPENOCD = '[runner.options.openocd]\nconfig = ["board/x.cfg"]\n'


@pytest.fixture
def spec(tmp_path: Path) -> BoardSpec:
    return load_board(board_file(tmp_path, order=["openocd"], options=OPENOCD))


def script(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program before all others in PATH."""
    tool = folder / "bin" / name
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f"#!/bin/sh\n{text}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
    return tool


def test_all_tools_say_what_they_are() -> None:
    found = runners()
    assert {"openocd", "pyocd", "gdb"} <= set(found)
    for name, kind in found.items():
        assert name == kind.NAME and kind.HELP and kind.INSTALL
        assert "\n" not in kind.HELP + kind.INSTALL


def test_a_command_sees_plain_names_in_an_empty_folder(
    spec: BoardSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the build's folder is called: no text of a path is a command of a tool."""
    log = tmp_path / "arguments"
    script(
        tmp_path, "openocd",
        f'pwd > {log}; ls >> {log}; for a; do echo "$a" >> {log}; done; echo "** Verified OK **"',
        monkeypatch,
    )  # fmt: skip
    folder = tmp_path / "a}; exec touch x; {"
    folder.mkdir()
    image = tiny_elf(folder / "firmware.elf", {0: b"abcd"})
    image.with_suffix(".bin").write_bytes(b"abcd")
    find_runner("openocd", spec).flash(image)
    cwd, *said = log.read_text().splitlines()
    assert said == [
        "image.bin", "image.elf", "-f", "board/x.cfg", "-c", "program image.elf verify reset exit"
    ]  # fmt: skip
    assert not Path(cwd).exists()  # gone afterwards


def test_the_exit_code_is_not_believed(
    spec: BoardSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = script(tmp_path, "openocd", "echo '** Programming Finished **'", monkeypatch)
    image = tiny_elf(tmp_path / "firmware.elf", {0: b"abcd"})
    with pytest.raises(DeviceError, match="openocd could not flash own: .*Programming Finished"):
        find_runner("openocd", spec).flash(image)
    assert str(tool) in find_runner("openocd", spec).log.read_text()


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("openocd", "Error: unable to find a matching CMSIS-DAP device", "no debug probe"),
        ("openocd", "Error: open failed", "no debug probe"),
        ("openocd", "Error: libusb_open() failed with LIBUSB_ERROR_ACCESS", "usermod -aG dialout"),
        ("openocd", "Error: UNEXPECTED: 0x2ba01477", "could not flash own: Error: UNEXPECTED"),
        ("openocd", "Warn : UNEXPECTED idcode: 0x2ba01477\nError: expected 1 of 1", "another chip"),
        ("openocd", "Error: checksum mismatch - attempting binary compare", "is not the image"),
        ("openocd", "Error: LIBUSB_ERROR_NO_DEVICE", "went away"),
        ("openocd", "Info : x\nError: quite new\nInfo : bye", "Error: quite new"),
        ("openocd", "", "exit code 3"),
        ("pyocd", "0000315 E No connected debug probes [__main__]", "no debug probe"),
        ("pyocd", "E nRF52840 APPROTECT enabled: not automatically unlocking", "is locked"),
        ("pyocd", "C Target type foo not recognized. Use 'pyocd list --targets'", "pack install"),
        ("pyocd", "C SWD/JTAG communication failure (No ACK)", "does not answer"),
        ("gdb", "localhost:3333: Connection refused.", "no gdb server answers"),
        ("gdb", "Remote connection closed", "went away in the middle"),
    ],
)
def test_a_failure_is_one_line_that_says_what_to_do(
    name: str, said: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = '[runner.options.gdb]\nserver = "localhost:3333"\n'
    order = ["openocd", "gdb", "pyocd"]
    spec = load_board(board_file(tmp_path, order=order, options=OPENOCD + server))
    script(tmp_path, runners()[name].TOOL or "", f"cat <<'EOF'\n{said}\nEOF\nexit 3", monkeypatch)
    image = tiny_elf(tmp_path / "firmware.elf", {0: b"abcd"})
    with pytest.raises(DeviceError, match=f"^{name} could not flash own: ") as error:
        find_runner(name, spec).flash(image)
    assert message in str(error.value) and "\n" not in str(error.value)
    if said:
        assert said in find_runner(name, spec).log.read_text()


def test_a_missing_tool_names_what_installs_it(
    spec: BoardSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    image = tiny_elf(tmp_path / "firmware.elf", {0: b"abcd"})
    with pytest.raises(ToolMissingError, match="apt-get install openocd"):
        find_runner("openocd", spec).flash(image)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "openocd",
            'config = ["x.cfg"]\ncolour = "red"',
            "runner.options.openocd.colour: unknown key",
        ),
        ("openocd", 'config = "x.cfg"', "runner.options.openocd.config: "),
        ("openocd", "config = []", "runner.options.openocd.config: "),
        ("openocd", "", "runner.options.openocd.config: missing key"),
        ("openocd", 'config = ["x.cfg"]\ntransport = "usb"', "runner.options.openocd.transport: "),
        ("pyocd", "frequency = 0", "runner.options.pyocd.frequency: "),
        ("pyocd", "target = 5", "runner.options.pyocd.target: "),
        ("gdb", 'server = "localhost"', "runner.options.gdb.server: 'localhost' is no server"),
        ("gdb", 'server = "| touch x"', "runner.options.gdb.server: '| touch x' is no server"),
        ("gdb", 'server = ":3333\\nshell x"', "runner.options.gdb.server: "),
        ("gdb", 'server = ":3333"\nreset = "hard"', "runner.options.gdb.reset: "),
    ],
)
def test_an_option_that_is_wrong(tmp_path: Path, name: str, options: str, message: str) -> None:
    path = board_file(tmp_path, order=[name], options=f"[runner.options.{name}]\n{options}\n")
    spec = load_board(path, trusted=True)
    with pytest.raises(TargetError) as error:
        find_runner(name, spec)
    assert str(error.value).startswith(f"{path}: {message}") and "\n" not in str(error.value)


def test_an_interrupt_stops_the_tool_and_what_it_started(
    spec: BoardSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    script(
        tmp_path, "openocd", f"sleep 60 & echo $! > {pids}; echo $$ >> {pids}; wait", monkeypatch
    )
    image = tiny_elf(tmp_path / "firmware.elf", {0: b"abcd"})
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        while not pids.exists() or len(pids.read_text().split()) < 2:
            time.sleep(0.01)
        time.sleep(0.5)  # this process is still about to return from starting it
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        find_runner("openocd", spec).flash(image)
    deadline = time.monotonic() + 5
    for pid in map(int, pids.read_text().split()):
        while running(pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_memory_that_was_read_back_is_compared(spec: BoardSpec, tmp_path: Path) -> None:
    image = tiny_elf(tmp_path / "firmware.elf", {0x100: b"abcd", 0x200: bytes(range(16))})
    assert segments(image) == [(0x100, b"abcd"), (0x200, bytes(range(16)))]
    runner = find_runner("openocd", spec)
    memory = bytearray(0x300)
    memory[0x100:0x104] = b"abcd"
    memory[0x200:0x210] = bytes(range(16))
    runner.compare(image, bytes(memory), 0)
    runner.compare(image, bytes(memory[0x208:]), 0x208)  # a part
    memory[0x20A] ^= 1
    with pytest.raises(DeviceError, match="at 0x0000020a is 0x0b, not 0x0a"):
        runner.compare(image, bytes(memory), 0)


def test_no_elf_file(tmp_path: Path) -> None:
    image = tmp_path / "firmware.elf"
    image.write_bytes(b"junk")
    with pytest.raises(DeviceError, match="no ELF image"):
        segments(image)


def test_a_runner_on_a_board_without_options(tmp_path: Path) -> None:
    """A board that is no real one has none, and says which is missing."""
    with pytest.raises(TargetError, match=r"host.toml: runner.options.openocd.config: missing key"):
        open_board(load_board("host"), port="/dev/x", runner="openocd")


def present(tool: str) -> Any:
    """Skip where a tool is missing; in CI it must not be."""
    kind = runners()[tool]
    missing = kind.installed() is None and not os.environ.get("CI")
    return pytest.param(tool, marks=pytest.mark.skipif(missing, reason=f"missing: {kind.INSTALL}"))


@pytest.mark.parametrize("name", [present(name) for name in ("openocd", "pyocd")])
def test_real_tools_without_a_probe(name: str, tmp_path: Path) -> None:
    """What the tools say today, and that none waits for a probe for ever."""
    options = """[runner.options.openocd]
config = ["interface/cmsis-dap.cfg", "target/nrf52.cfg"]
transport = "swd"
[runner.options.pyocd]
target = "nrf52840"
probe = "no-such-probe"
"""
    spec = load_board(board_file(tmp_path, order=["openocd", "pyocd"], options=options))
    image = tiny_elf(tmp_path / "firmware.elf", {0: b"abcd"})
    with pytest.raises(DeviceError, match=f"^{name} could not flash own: no debug probe was found"):
        find_runner(name, spec).flash(image)


@pytest.mark.skipif(
    runners()["nrfutil-dfu"].installed() is None, reason="missing: pip install adafruit-nrfutil"
)
def test_a_dfu_package_has_all_of_the_image(tmp_path: Path) -> None:
    """adafruit-nrfutil leaves out what is below 0x1000; then nothing is sent, the port not opened."""
    options = "[runner.options.nrfutil-dfu]\ntouch = false\n"
    spec = load_board(board_file(tmp_path, order=["nrfutil-dfu"], options=options))
    content = bytes(range(256)) * 20
    image = hex_beside(tiny_elf(tmp_path / "firmware.elf", {0: content}), 0, content)
    runner = find_runner("nrfutil-dfu", spec, "/dev/no-such-port")
    with pytest.raises(
        DeviceError, match="the image begins at 0x0, in the boot loader's own record"
    ):
        runner.flash(image)
    image = hex_beside(tiny_elf(tmp_path / "firmware.elf", {0x26000: content}), 0x26000, content)
    with pytest.raises(DeviceError, match="nrfutil-dfu could not flash own"):
        runner.flash(image)
    assert "genpkg" in (log := runner.log.read_text()) and "dfu serial" in log
    # another image in the .hex, as of an older build
    hex_beside(image, 0x26000, content[:-1] + b"\0")
    with pytest.raises(DeviceError, match=r"verification failed: at 0x000273ff is 0x00, not 0xff"):
        runner.flash(image)


def hex_beside(image: Path, address: int, content: bytes) -> Path:
    """Write the Intel HEX file of an image; return the image."""

    def record(offset: int, kind: int, data: bytes) -> str:
        body = bytes([len(data)]) + offset.to_bytes(2, "big") + bytes([kind]) + data
        return f":{(body + bytes([-sum(body) & 255])).hex().upper()}\n"

    lines = []
    for at in range(0, len(content), 16):
        place = address + at
        lines.append(record(0, 4, (place >> 16).to_bytes(2, "big")))
        lines.append(record(place & 0xFFFF, 0, content[at : at + 16]))
    image.with_suffix(".hex").write_text("".join(lines) + record(0, 1, b""))
    return image

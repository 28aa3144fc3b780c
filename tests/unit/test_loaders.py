"""What boot loaders' tools are told, where no testbed runs them, and what their options may be."""

from pathlib import Path

import pytest

from edgeflow.device.runners import find_runner
from edgeflow.device.runners.bossac import Bossac
from edgeflow.errors import DeviceError, TargetError
from edgeflow.targets.board import load_board
from tests.hardware import board_file, tiny_elf

WATCH = 'description = "a watch"\ncore = "cortex-a53"\n[runner]\nkind = "adb"\n'


def bossac(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> list[str]:
    """Return the arguments of a run of the tool that says something."""
    commands: list[list[str]] = []

    def run(self: Bossac, command: list[object]) -> str:
        commands.append([str(word) for word in command])
        return says

    monkeypatch.setattr(Bossac, "run", run)
    monkeypatch.setattr(Bossac, "tool", "bossac")
    monkeypatch.setattr(Bossac, "log", folder / "log")
    board = board_file(
        folder, order=["bossac"], options="[runner.options.bossac]\noffset = 0x4000\n"
    )
    image = tiny_elf(folder / "image.elf", {0x4000: b"code"})
    find_runner("bossac", load_board(board), "/dev/ttyACM7").write(image)
    return commands[0][1:]


def test_bossac_is_told_port_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *options, file = bossac(tmp_path, monkeypatch, "Verify successful\n")
    assert options == [
        "--port=ttyACM7", "--arduino-erase", "--offset=0x4000", "--erase", "--write", "--verify",
        "--reset",
    ]  # fmt: skip
    assert Path(file).read_bytes() == b"code"


def test_bossac_must_say_that_it_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="bossac could not flash own: Write 4 bytes"):
        bossac(tmp_path, monkeypatch, "Write 4 bytes to flash (1 pages)\n")


@pytest.mark.parametrize(
    ("tool", "options", "message"),
    [
        ("stm32flash", 'mode = "7e1"', "mode: '7e1'"),
        ("stm32flash", 'gpio = "dtr;rm"', "gpio: "),
        ("stm32flash", "device_id = 0x10000", "device_id: "),
        ("esptool", "", "chip: missing key"),
        ("esptool", 'chip = "esp32c3"\noffset = -1', "offset: "),
        ("avrdude", 'part = "m328p -F"', "part: "),
        ("dfu-util", 'usb = "0483:*"', "usb: "),
        ("bossac", "offset = 100", "offset: "),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, tool: str, options: str, message: str) -> None:
    text = f"[runner.options.{tool}]\n{options}\n"
    board = load_board(board_file(tmp_path, order=[tool], options=text), trusted=True)
    with pytest.raises(TargetError, match=rf"runner\.options\.{tool}\.{message}") as error:
        find_runner(tool, board, "/dev/ttyACM7")
    assert "\n" not in str(error.value)


def test_a_watch_needs_no_trust_but_its_launcher_does(tmp_path: Path) -> None:
    path = tmp_path / "watch.toml"
    path.write_text(WATCH)
    board = load_board(path)
    assert not board.runs_here and not board.emulated and "adb" in board.tools
    path.write_text(WATCH + 'launcher = ["taskset", "f0"]\n')
    with pytest.raises(TargetError, match=r"runner\.launcher: 'taskset f0' runs on the device"):
        load_board(path)
    path.write_text(WATCH + 'folder = "/data/$(id)"\n')
    with pytest.raises(TargetError, match=r"runner\.folder"):
        load_board(path, trusted=True)

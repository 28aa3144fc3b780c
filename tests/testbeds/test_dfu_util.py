"""dfu-util against the USB boot loader of an STM32."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import DeviceError
from tests.command import edgeflow
from tests.testbeds import workload
from tests.testbeds.desk import Desk
from tests.testbeds.needs import needs
from tests.testbeds.stm32_dfu import Dfu
from tests.testbeds.stm32_flash import F405, L4R5, Chip, Flash
from tests.testbeds.stm32_rom import QEMU, Stm32
from tests.testbeds.tool import as_hardware, write_with

pytestmark = needs(dfu_util="dfu-util", arm_none_eabi_gcc="gcc-arm-none-eabi")


def board_file(folder: Path, options: str = "") -> Path:
    return as_hardware("qemu-f405", folder / "qemu-f405.toml", "dfu-util", options)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    # as QEMU's: the clocks of the real chip are none of its
    return compile_program(workload.program(), "qemu-f405", tmp_path_factory.mktemp("stm32"))


class Bench:
    """The chip of one test, which is plugged in each time that it is flashed."""

    def __init__(self, folder: Path, desk: Desk, build: Build) -> None:
        self._folder, self._desk, self._build = folder, desk, build
        self.image = build.elf.with_suffix(".bin").read_bytes()
        self.memory: Any = None
        self.starts = 0

    def flash(self, options: str = "", chip: Chip = F405, **settings: Any) -> None:
        """Write the image."""
        flash = Flash(self._folder / "flash.bin", chip)
        self.memory = flash.bytes
        flash.bad = settings.pop("bad", None)
        device = Dfu(flash, self._started)
        for name, value in settings.items():
            setattr(device, name, value)
        board = board_file(self._folder, options)
        self._desk.plug(device)
        try:
            write_with("dfu-util", board, self._build.elf, self._desk.environment)
        finally:
            self._desk.clear()

    def _started(self) -> None:
        self.starts += 1


@pytest.fixture
def bench(tmp_path: Path, desk: Desk, build: Build) -> Bench:
    return Bench(tmp_path, desk, build)


@pytest.mark.board
def test_what_was_written_runs(tmp_path: Path, desk: Desk, modem_lines: Path, build: Build) -> None:
    flash = Flash(tmp_path / "flash.bin", F405)
    chip = Stm32(tmp_path, modem_lines, flash, qemu=QEMU)
    chip.start()
    desk.plug(Dfu(flash, lambda: chip.reset(boot0=False)))
    try:
        done = edgeflow(
            "profile", build.directory, "--board", board_file(tmp_path), "--runner", "dfu-util",
            "--port", chip.port.path, "--data", workload.recordings(tmp_path / "mine.npz"),
            "--steps", "100", "-o", tmp_path / "out", environment=desk.environment,
        )  # fmt: skip
    finally:
        desk.clear()
        chip.stop()
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "profile.json").read_text())
    assert result["steps"] >= 100 and result["mismatches"] == 0


@pytest.mark.parametrize(
    ("chip", "layout"), [(F405, "04*016Kg,01*064Kg,07*128Kg"), (L4R5, "512*004Kg")]
)
def test_every_byte_is_written(bench: Bench, chip: Chip, layout: str) -> None:
    bench.flash(f'layout = "{layout}"\n', chip=chip)
    assert bench.memory[: len(bench.image)] == bench.image
    assert set(bench.memory[len(bench.image) :]) == {0xFF}
    assert bench.starts == 1
    bench.flash(chip=chip)  # over what is there
    assert bench.memory[: len(bench.image)] == bench.image


def test_flash_that_stores_something_else(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="verification failed: at 0x08000309"):
        bench.flash(bad=777)
    assert bench.starts == 0


def test_another_chip_is_left_alone(bench: Bench) -> None:
    with pytest.raises(DeviceError, match=r"its flash is not of 04\*016Kg") as error:
        bench.flash('layout = "04*016Kg,01*064Kg,07*128Kg"\n', chip=L4R5)
    assert "\n" not in str(error.value)
    assert set(bytes(bench.memory)) == {0xFF}


def test_read_protection(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="the chip is locked"):
        bench.flash(protected=True)


def test_unplugged_in_mid_write_and_flashed_again(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="went away"):
        bench.flash(unplug_after=1)
    assert bench.memory[: len(bench.image)] != bench.image
    bench.flash()
    assert bench.memory[: len(bench.image)] == bench.image and bench.starts == 1


def test_no_boot_loader(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="set BOOT0 high, reset the board"):
        bench.flash('usb = "0483:df12"\n')

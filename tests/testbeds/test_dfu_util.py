"""dfu-util against the USB boot loader of an STM32."""

from pathlib import Path
from typing import Any

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import DeviceError
from edgeflow.targets.board import load_board
from tests.testbeds import workload
from tests.testbeds.desk import Desk
from tests.testbeds.needs import needs
from tests.testbeds.stm32_dfu import Dfu
from tests.testbeds.stm32_flash import F405, L4R5, Chip, Flash
from tests.testbeds.tool import write_with

pytestmark = needs(dfu_util="dfu-util", arm_none_eabi_gcc="gcc-arm-none-eabi")

BOARD = """description = "an STM32 at USB"
core = "cortex-m4"
soc = "cortexm"
clock_hz = 25_000_000
stack = "16K"

[memory]
flash = { base = 0x0800_0000, size = "1M" }
ram = { base = 0x2000_0000, size = "112K" }

[uart]
driver = "cmsdk"
base = 0x4000_4000
irq = 0

[runner]
kind = "hardware"
order = ["dfu-util"]

[runner.options.dfu-util]
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("stm32")
    (folder / "stm32.toml").write_text(BOARD)
    return compile_program(workload.program(), load_board(folder / "stm32.toml"), folder / "build")


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
        board = self._folder / "stm32.toml"
        board.write_text(BOARD + options)
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
    assert set(bench.memory) == {0xFF}


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

"""stm32flash against the boot loader of an STM32."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import DeviceError
from edgeflow.targets.board import load_board
from tests.testbeds import workload
from tests.testbeds.needs import needs
from tests.testbeds.stm32_flash import F405, L4R5, Chip, Flash
from tests.testbeds.stm32_rom import Stm32
from tests.testbeds.tool import write_with

pytestmark = needs(stm32flash="stm32flash", arm_none_eabi_gcc="gcc-arm-none-eabi")

BOARD = """description = "an STM32 at a serial port"
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
order = ["stm32flash"]

[runner.options.stm32flash]
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("stm32")
    (folder / "stm32.toml").write_text(BOARD)
    return compile_program(workload.program(), load_board(folder / "stm32.toml"), folder / "build")


class Bench:
    """Devices of one test, and the tool at their port."""

    def __init__(self, folder: Path, library: Path, build: Build) -> None:
        self._folder, self._library, self._build = folder, library, build
        self._devices: list[Stm32] = []
        self.image = build.elf.with_suffix(".bin").read_bytes()

    def device(self, chip: Chip = F405, **settings: Any) -> Stm32:
        """Plug in a device; the flash is that of the one before."""
        flash = Flash(self._folder / "flash.bin", chip)
        flash.bad = settings.pop("bad", None)
        boot0 = settings.pop("boot0", True)
        device = Stm32(self._folder, self._library, flash, boot0=boot0)
        for name, value in settings.items():
            setattr(device, name, value)
        device.start()
        self._devices.append(device)
        return device

    def flash(self, device: Stm32, options: str = "") -> None:
        """Write the image."""
        (self._folder / "stm32.toml").write_text(BOARD + options)
        write_with(
            "stm32flash", self._folder / "stm32.toml", self._build.elf,
            device.port.environment, device.port.path,
        )  # fmt: skip

    def close(self) -> None:
        for device in self._devices:
            device.stop()


@pytest.fixture
def bench(tmp_path: Path, modem_lines: Path, build: Build) -> Iterator[Bench]:
    bench = Bench(tmp_path, modem_lines, build)
    yield bench
    bench.close()


@pytest.mark.parametrize("chip", [F405, L4R5], ids=["F405", "L4R5"])
def test_every_byte_is_written(bench: Bench, chip: Chip) -> None:
    device = bench.device(chip)
    bench.flash(device, f"device_id = {chip.device_id:#x}\n")
    assert device.flash.bytes[: len(bench.image)] == bench.image
    assert set(device.flash.bytes[len(bench.image) :]) == {0xFF}
    assert not device.flash.complaints
    assert device.runs == [0x0800_0000]
    # and again, over what is there
    other = bench.device(chip)
    bench.flash(other)
    assert other.flash.bytes[: len(bench.image)] == bench.image


def test_flash_that_stores_something_else(bench: Bench) -> None:
    device = bench.device(bad=777)
    with pytest.raises(DeviceError, match="does not take what is written"):
        bench.flash(device)
    assert not device.runs


def test_another_chip_is_left_alone(bench: Bench) -> None:
    device = bench.device(L4R5)
    device.flash.bytes[:4] = b"mine"
    with pytest.raises(DeviceError, match="its ID is 0x470 .*, not 0x413") as error:
        bench.flash(device, "device_id = 0x413\n")
    assert "\n" not in str(error.value)
    assert device.flash.bytes[:4] == b"mine"


def test_read_protection(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="the chip is locked"):
        bench.flash(bench.device(protected=True))


def test_unplugged_in_mid_write_and_flashed_again(bench: Bench) -> None:
    device = bench.device(unplug_after=10)
    with pytest.raises(DeviceError, match="went away"):
        bench.flash(device)
    assert device.flash.bytes[:2560] == bench.image[:2560] and device.flash.bytes[2560] == 0xFF
    device = bench.device()
    bench.flash(device)
    assert device.flash.bytes[: len(bench.image)] == bench.image


def test_no_boot_loader(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="set BOOT0 high"):
        bench.flash(bench.device(boot0=False))


def test_modem_lines_reset_into_the_loader(bench: Bench) -> None:
    device = bench.device(boot0=False)
    bench.flash(device, 'gpio = "rts,-dtr,dtr:-rts,-dtr,dtr"\n')
    assert device.flash.bytes[: len(bench.image)] == bench.image

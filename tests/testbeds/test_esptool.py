"""esptool against the boot loader of an ESP32-C3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import DeviceError
from edgeflow.targets.board import load_board
from tests.testbeds import workload
from tests.testbeds.esp_rom import ESP32_S3, Esp
from tests.testbeds.needs import needs
from tests.testbeds.tool import write_with

pytestmark = needs(riscv64_unknown_elf_gcc="gcc-riscv64-unknown-elf")

BOARD = """description = "an ESP32-C3 at a serial port"
core = "rv32imc"
soc = "riscv"
clock_hz = 160_000_000
stack = "16K"

[memory]
flash = { base = 0x4200_0000, size = "4M" }
ram = { base = 0x3FC8_0000, size = "400K" }

[uart]
driver = "16550"
base = 0x1000_0000
irq = 10

[runner]
kind = "hardware"
order = ["esptool"]

[runner.options.esptool]
chip = "esp32c3"
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("esp")
    (folder / "c3.toml").write_text(BOARD)
    return compile_program(workload.program(), load_board(folder / "c3.toml"), folder / "build")


class Bench:
    """Devices of one test, and the tool at their port."""

    def __init__(self, folder: Path, library: Path, build: Build) -> None:
        self._folder, self._library, self._build = folder, library, build
        self._devices: list[Esp] = []
        self._flash = bytearray(b"\xff" * (4 << 20))
        self.image = build.elf.with_suffix(".bin").read_bytes()

    def device(self, **settings: Any) -> Esp:
        """Plug in a device; the flash is that of the one before."""
        device = Esp(self._folder, self._library, self._flash)
        for name, value in settings.items():
            setattr(device, name, value)
        device.start()
        self._devices.append(device)
        return device

    def flash(self, device: Esp, options: str = "") -> None:
        """Write the image."""
        (self._folder / "c3.toml").write_text(BOARD + options)
        write_with(
            "esptool", self._folder / "c3.toml", self._build.elf,
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


@pytest.mark.parametrize("stub", ["true", "false"])
def test_every_byte_is_written(bench: Bench, stub: str) -> None:
    device = bench.device()
    bench.flash(device, f"stub = {stub}\noffset = 0x1000\n")
    end = 0x1000 + len(bench.image)
    assert device.flash[0x1000:end] == bench.image
    # the tool fills the last word
    assert set(device.flash[:0x1000] + device.flash[end + 3 & ~3 :]) == {0xFF}
    assert device.stub == (stub == "true")
    # into the loader, and then into the image
    assert device.boots[-2:] == [True, False]


def test_flash_that_stores_something_else(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="is not the image: flash again"):
        bench.flash(bench.device(bad=777))


def test_another_chip_is_left_alone(bench: Bench) -> None:
    device = bench.device(chip=ESP32_S3)
    with pytest.raises(DeviceError, match="another chip than the board file says") as error:
        bench.flash(device)
    assert "\n" not in str(error.value)
    assert set(device.flash) == {0xFF}


@pytest.mark.slow  # the tool waits ten seconds for the port to come back
def test_unplugged_in_mid_write_and_flashed_again(bench: Bench) -> None:
    device = bench.device(unplug_after=2)
    with pytest.raises(DeviceError, match="went away"):
        bench.flash(device, "stub = false\n")
    assert device.flash[: len(bench.image)] != bench.image
    device = bench.device()
    bench.flash(device)
    assert device.flash[: len(bench.image)] == bench.image


@pytest.mark.slow  # the tool tries seven times
def test_no_boot_loader(bench: Bench) -> None:
    device = bench.device(deaf=True)
    with pytest.raises(DeviceError, match="hold BOOT, press RESET"):
        bench.flash(device)

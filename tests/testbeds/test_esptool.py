"""esptool against the boot loader of an ESP32-C3."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import DeviceError
from edgeflow.targets.board import load_board
from tests.testbeds import workload
from tests.testbeds.esp_rom import ESP32_S3, Esp
from tests.testbeds.needs import needs, skipped
from tests.testbeds.tool import Bench, as_hardware

pytestmark = [
    needs(riscv64_unknown_elf_gcc="gcc-riscv64-unknown-elf"),
    skipped([] if importlib.util.find_spec("esptool") else ["esptool"]),
]


def board_file(folder: Path, options: str = "") -> Path:
    options = f'chip = "esp32c3"\n{options}'
    return as_hardware("esp32c3-devkit", folder / "c3.toml", "esptool", options)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("esp")
    return compile_program(workload.program(), load_board(board_file(folder)), folder / "build")


class Esps(Bench[Esp]):
    def __init__(self, folder: Path, library: Path, build: Build) -> None:
        super().__init__("esptool", board_file, folder, build)
        self._library, self._flash = library, bytearray(b"\xff" * (4 << 20))

    def device(self, **settings: Any) -> Esp:
        """Plug in a device; the flash is that of the one before."""
        return self.plug(Esp(self._folder, self._library, self._flash), settings)


@pytest.fixture
def bench(tmp_path: Path, modem_lines: Path, build: Build) -> Iterator[Esps]:
    bench = Esps(tmp_path, modem_lines, build)
    yield bench
    bench.close()


@pytest.mark.parametrize("stub", ["true", "false"])
def test_every_byte_is_written(bench: Esps, stub: str) -> None:
    device = bench.device()
    bench.flash(device, f"stub = {stub}\noffset = 0x1000\n")
    end = 0x1000 + len(bench.image)
    assert device.flash[0x1000:end] == bench.image
    # the tool fills the last word
    assert set(device.flash[:0x1000] + device.flash[end + 3 & ~3 :]) == {0xFF}
    assert device.stub == (stub == "true")
    # into the loader, and then into the image
    assert device.boots[-2:] == [True, False]


def test_flash_that_stores_something_else(bench: Esps) -> None:
    with pytest.raises(DeviceError, match="is not the image: flash again"):
        bench.flash(bench.device(bad=777))


def test_another_chip_is_left_alone(bench: Esps) -> None:
    device = bench.device(chip=ESP32_S3)
    with pytest.raises(DeviceError, match="another chip than the board file says") as error:
        bench.flash(device)
    assert "\n" not in str(error.value)
    assert set(device.flash) == {0xFF}


@pytest.mark.slow  # the tool waits ten seconds for the port to come back
def test_unplugged_in_mid_write_and_flashed_again(bench: Esps) -> None:
    device = bench.device(unplug_after=2)
    with pytest.raises(DeviceError, match="went away"):
        bench.flash(device, "stub = false\n")
    assert device.flash[: len(bench.image)] != bench.image
    device = bench.device()
    bench.flash(device)
    assert device.flash[: len(bench.image)] == bench.image


@pytest.mark.slow  # the tool tries seven times
def test_no_boot_loader(bench: Esps) -> None:
    device = bench.device(deaf=True)
    with pytest.raises(DeviceError, match="hold BOOT, press RESET"):
        bench.flash(device)

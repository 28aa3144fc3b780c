"""stm32flash against the boot loader of an STM32."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import DeviceError
from tests.command import edgeflow
from tests.testbeds import workload
from tests.testbeds.needs import needs
from tests.testbeds.stm32_flash import F405, L4R5, Chip, Flash
from tests.testbeds.stm32_rom import QEMU, Stm32
from tests.testbeds.tool import Bench, as_hardware

pytestmark = needs(stm32flash="stm32flash", arm_none_eabi_gcc="gcc-arm-none-eabi")


def board_file(folder: Path, options: str = "") -> Path:
    return as_hardware("qemu-f405", folder / "qemu-f405.toml", "stm32flash", options)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    # as QEMU's: the clocks of the real chip are none of its
    return compile_program(workload.program(), "qemu-f405", tmp_path_factory.mktemp("stm32"))


class Stm32s(Bench[Stm32]):
    def __init__(self, folder: Path, library: Path, build: Build) -> None:
        super().__init__("stm32flash", board_file, folder, build)
        self._library = library

    def device(self, chip: Chip = F405, **settings: Any) -> Stm32:
        """Plug in a device; the flash is that of the one before."""
        flash = Flash(self._folder / "flash.bin", chip)
        flash.bad = settings.pop("bad", None)
        boot0 = settings.pop("boot0", True)
        qemu = settings.pop("qemu", ())
        device = Stm32(self._folder, self._library, flash, boot0=boot0, qemu=qemu)
        return self.plug(device, settings)


@pytest.fixture
def bench(tmp_path: Path, modem_lines: Path, build: Build) -> Iterator[Stm32s]:
    bench = Stm32s(tmp_path, modem_lines, build)
    yield bench
    bench.close()


@pytest.mark.board
def test_what_was_written_runs(bench: Stm32s, build: Build, tmp_path: Path) -> None:
    device = bench.device(qemu=QEMU)
    board = board_file(tmp_path, "device_id = 0x413\n")
    done = edgeflow(
        "profile", build.directory, "--board", board, "--port", device.port.path,
        "--data", workload.recordings(tmp_path / "mine.npz"), "--steps", "300",
        "-o", tmp_path / "out", environment={**os.environ, **device.port.environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "profile.json").read_text())
    assert result["steps"] >= 300 and result["mismatches"] == 0
    assert device.flash.bytes[: len(bench.image)] == bench.image and device.runs == [0x0800_0000]


@pytest.mark.parametrize("chip", [F405, L4R5], ids=["F405", "L4R5"])
def test_every_byte_is_written(bench: Stm32s, chip: Chip) -> None:
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


def test_flash_that_stores_something_else(bench: Stm32s) -> None:
    device = bench.device(bad=777)
    with pytest.raises(DeviceError, match="does not take what is written"):
        bench.flash(device)
    assert not device.runs


def test_another_chip_is_left_alone(bench: Stm32s) -> None:
    device = bench.device(L4R5)
    device.flash.bytes[:4] = b"mine"
    with pytest.raises(DeviceError, match="its ID is 0x470 .*, not 0x413") as error:
        bench.flash(device, "device_id = 0x413\n")
    assert "\n" not in str(error.value)
    assert device.flash.bytes[:4] == b"mine"


def test_read_protection(bench: Stm32s) -> None:
    with pytest.raises(DeviceError, match="the chip is locked"):
        bench.flash(bench.device(protected=True))


def test_unplugged_in_mid_write_and_flashed_again(bench: Stm32s) -> None:
    device = bench.device(unplug_after=10)
    with pytest.raises(DeviceError, match="went away"):
        bench.flash(device)
    assert device.flash.bytes[:2560] == bench.image[:2560] and device.flash.bytes[2560] == 0xFF
    device = bench.device()
    bench.flash(device)
    assert device.flash.bytes[: len(bench.image)] == bench.image


def test_no_boot_loader(bench: Stm32s) -> None:
    with pytest.raises(DeviceError, match="set BOOT0 high"):
        bench.flash(bench.device(boot0=False))


def test_modem_lines_reset_into_the_loader(bench: Stm32s) -> None:
    device = bench.device(boot0=False)
    bench.flash(device, 'gpio = "rts,-dtr,dtr:-rts,-dtr,dtr"\n')
    assert device.flash.bytes[: len(bench.image)] == bench.image

"""The virtual nRF52840 itself: what flash tools and firmware are judged by must be right."""

import os
import struct
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.testbeds.nrf52840.chip import Nrf52840

if not os.environ.get("CI"):
    pytest.importorskip("unicorn", reason="not installed: unicorn (scripts/setup.sh installs it)")

RAM = 0x20000000
NVMC_CONFIG, NVMC_ERASEPAGE = 0x4001E504, 0x4001E508
DHCSR, DCRSR, DCRDR, DEMCR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
DWT_CTRL, DWT_CYCCNT, FPB_CTRL, FPB_COMP0 = 0xE0001000, 0xE0001004, 0xE0002000, 0xE0002008
KEY, ENABLED, HALTED, S_HALT = 0xA05F0000, 1, 2, 1 << 17
READ, PORT, SELECT, CSW, TAR, DRW = 2, 1, 8, 0x0, 0x4, 0xC


class Debugger:
    """Word accesses through the debug port, one at a time."""

    def __init__(self, chip: "Nrf52840") -> None:
        from tests.testbeds.nrf52840.dap import Dap

        self.chip, self._dap = chip, Dap(chip)
        self.port(0)
        self._transfer(PORT | CSW, 0x23000002)

    def port(self, number: int) -> None:
        self._transfer(SELECT, number << 24)

    def read(self, address: int) -> int:
        self._transfer(PORT | TAR, address)
        return self._transfer(PORT | READ | DRW)

    def write(self, address: int, value: int) -> None:
        self._transfer(PORT | TAR, address)
        self._transfer(PORT | DRW, value)

    def control(self, register: int, value: int | None = None) -> int:
        """Access CTRL-AP."""
        self.port(1)
        found = (
            self._transfer(PORT | READ | register)
            if value is None
            else self._transfer(PORT | register, value)
        )
        self.port(0)
        return found

    def store(self, address: int, code: bytes) -> None:
        """Halt the core and write code."""
        self.write(DHCSR, KEY | ENABLED | HALTED)
        for at, (word,) in enumerate(struct.iter_unpack("<I", code + bytes(-len(code) % 4))):
            self.write(address + 4 * at, word)

    def jump(self, address: int | None = None) -> None:
        """Go on, at an address or where the core is, until it halts."""
        if address is not None:
            self.write(DCRDR, address)
            self.write(DCRSR, 1 << 16 | 15)
        self.write(DHCSR, KEY | ENABLED)
        deadline = time.monotonic() + 20
        while not self.read(DHCSR) & S_HALT:
            assert time.monotonic() < deadline

    def _transfer(self, request: int, value: int = 0) -> int:
        from tests.testbeds.nrf52840.dap import OK

        with self.chip.core.visit():
            acknowledged, found = self._dap.transfer(request, value)
            if acknowledged != OK:
                self._dap.clear()
                raise TransferError(acknowledged)
        return found


class TransferError(Exception):
    """Acknowledged otherwise than with OK."""


@pytest.fixture
def chip() -> Iterator["Nrf52840"]:
    from tests.testbeds.nrf52840.chip import Nrf52840

    chip = Nrf52840()
    with chip.core.visit():
        chip.power_on()
    yield chip
    chip.core.close()


def test_flash_is_cleared_bit_by_bit_and_erased_by_pages(chip: "Nrf52840") -> None:
    debugger = Debugger(chip)
    debugger.write(0x1000, 0)
    assert debugger.read(0x1000) == 0xFFFFFFFF  # writing was not enabled
    debugger.write(NVMC_CONFIG, 1)
    for value in (0xFFFF00FF, 0x12345678):
        debugger.write(0x1000, value)
    debugger.write(0x2000, 0x55)
    assert debugger.read(0x1000) == 0xFFFF00FF & 0x12345678
    debugger.write(NVMC_ERASEPAGE, 0x1000)
    assert debugger.read(0x1000) == 0xFFFF00FF & 0x12345678  # erasing was not
    debugger.write(NVMC_CONFIG, 2)
    debugger.write(NVMC_ERASEPAGE, 0x1000)
    assert (debugger.read(0x1000), debugger.read(0x2000)) == (0xFFFFFFFF, 0x55)


def test_code_writes_flash_by_the_same_rules(chip: "Nrf52840") -> None:
    debugger = Debugger(chip)
    # ldr r0, =0x3000; ldr r1, =0x0f0f0f0f; str r1, [r0]; bkpt
    code = struct.pack("<4HII", 0x4801, 0x4902, 0x6001, 0xBE00, 0x3000, 0x0F0F0F0F)
    debugger.store(RAM, code)
    debugger.jump(RAM)
    assert debugger.read(0x3000) == 0xFFFFFFFF
    debugger.write(NVMC_CONFIG, 1)
    debugger.write(0x3000, 0xFFFF0000)
    debugger.jump(RAM)
    assert debugger.read(0x3000) == 0x0F0F0000


def test_a_cycle_an_instruction_also_with_a_debugger(chip: "Nrf52840") -> None:
    debugger = Debugger(chip)
    debugger.write(DEMCR, 1 << 24)
    debugger.write(DWT_CTRL, 1)
    debugger.write(NVMC_CONFIG, 1)
    # movs r0, #200; 1: add.w r1, r1, #1; nop; subs r0, #1; bne 1b; bkpt
    code = struct.pack("<7H", 0x20C8, 0xF101, 0x0101, 0xBF00, 0x3801, 0xD1FA, 0xBE00)
    debugger.store(0x1000, code)
    debugger.write(FPB_COMP0, 0x1004 | 2 << 30 | 1)  # the nop, within a block
    took = []
    for halts in (0, 3):
        debugger.write(DWT_CYCCNT, 0)
        debugger.write(FPB_CTRL, 2 | (halts > 0))
        debugger.jump(0x1000)
        for halt in range(halts):
            assert chip.core.pc == 0x1006
            debugger.write(FPB_CTRL, 2 | (halt < halts - 1))
            debugger.jump()
        assert chip.core.pc == 0x100C
        took.append(debugger.read(DWT_CYCCNT))
    assert took == [1 + 200 * 4] * 2


def test_a_locked_chip_shows_nothing_until_all_is_erased(chip: "Nrf52840") -> None:
    debugger = Debugger(chip)
    debugger.write(NVMC_CONFIG, 1)
    debugger.write(0x1000, 0x12345678)
    assert debugger.control(0x0C) == 1
    with chip.core.visit():
        chip.lock()
    assert debugger.read(0x1000) == 0x12345678  # from the next power-on
    with chip.core.visit():
        chip.power_off()
    with pytest.raises(TransferError):
        debugger.read(0x1000)
    with chip.core.visit():
        chip.power_on()
    assert debugger.control(0x0C) == 0
    for access in (lambda: debugger.read(0x1000), lambda: debugger.write(RAM, 1)):
        with pytest.raises(TransferError):
            access()
    debugger.control(0x04, 1)
    assert debugger.control(0x0C) == 1 and debugger.read(0x1000) == 0xFFFFFFFF


@pytest.mark.parametrize(
    ("register", "value", "heard"),
    [(None, 0, b"x"), (0x50C, 24, b""), (0x524, 0x00275000, b""), (0x500, 0, b"")],
)  # fmt: skip
def test_the_bridge_hears_the_right_pins_and_speed(
    chip: "Nrf52840", register: int | None, value: int, heard: bytes
) -> None:
    said: list[bytes] = []
    chip.uart._send = said.append
    known = {0x500: 4, 0x50C: 6, 0x514: 8, 0x524: 0x01D7E000, 0x000: 1, 0x008: 1}
    if register is not None:
        known[register] = value
    debugger = Debugger(chip)
    for offset, what in known.items():
        debugger.write(0x40002000 + offset, what)
    debugger.write(0x4000251C, ord("x"))
    with chip.core.visit():
        chip.uart.flush()
    assert b"".join(said) == heard
